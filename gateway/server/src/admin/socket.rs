//! The control socket: one request and one answer a connection, a JSON line each.
//!
//! Whoever can open it may do anything, so it lives in the data directory (0700) with mode 0600. It is not a network
//! interface and keeps no session. A gateway that holds the data directory answers here, so the command line never needs
//! a second opening of the store.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Fault, FaultKind, Request, Response, Services, execute};

/// The socket's name in the data directory.
pub const NAME: &str = "control.sock";
/// A request is small; the largest holds an account's secrets.
const REQUEST_BYTES_MAX: u64 = 1024 * 1024;
/// Answers hold at most some hundred explained submissions, a page of documents, or one attachment.
const ANSWER_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// A caller that says nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Ok(Response),
    Fault(Fault),
}

/// A listener on its place in the file system.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
}

/// A socket's path is at most 107 bytes long; a longer one is reached through the open directory.
struct Place {
    path: PathBuf,
    /// Keeps the directory open while `path` leads through it.
    _directory: Option<std::fs::File>,
}

fn place(data_dir: &Path) -> io::Result<Place> {
    let path = data_dir.join(NAME);
    if path.as_os_str().len() <= 100 {
        return Ok(Place { path, _directory: None });
    }
    use std::os::fd::AsRawFd;
    let directory = std::fs::File::open(data_dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{NAME}", directory.as_raw_fd()));
    Ok(Place { path, _directory: Some(directory) })
}

impl Control {
    /// Listens. The caller holds the data directory's lock, so a socket that is there is a dead one.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn bind(data_dir: &Path) -> io::Result<Self> {
        let place = place(data_dir)?;
        match std::fs::remove_file(&place.path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = UnixListener::bind(&place.path)?;
        std::fs::set_permissions(&place.path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: data_dir.join(NAME) })
    }

    /// Answers until `stop`, then removes the socket.
    pub async fn serve(self, services: Services, tasks: TaskTracker, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let services = services.clone();
                    tasks.spawn(async move {
                        if let Err(error) = converse(stream, &services).await {
                            tracing::debug!(%error, "a control connection ended early");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket could not accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the control socket was gone already");
        }
    }
}

async fn converse(stream: UnixStream, services: &Services) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    let mut bounded = (&mut stream).take(REQUEST_BYTES_MAX);
    tokio::time::timeout(SILENCE_MAX, bounded.read_until(b'\n', &mut line)).await??;
    let answer = match serde_json::from_slice::<Request>(&line) {
        Ok(request) => match execute(services, request).await {
            Ok(response) => Answer::Ok(response),
            Err(fault) => Answer::Fault(fault),
        },
        // Another version's command line. The place is named, the content never.
        Err(error) => Answer::Fault(Fault::new(
            FaultKind::Usage,
            format!("the running gateway does not know this request (column {})", error.column()),
        )),
    };
    let mut bytes = serde_json::to_vec(&answer)?;
    bytes.push(b'\n');
    stream.write_all(&bytes).await?;
    stream.shutdown().await
}

/// A connection to the gateway that holds this data directory; `None` when there is none.
///
/// # Errors
/// When there is a socket that cannot be used.
pub async fn connect(data_dir: &Path) -> io::Result<Option<UnixStream>> {
    let place = match place(data_dir) {
        Ok(place) => place,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match UnixStream::connect(&place.path).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asks one thing.
///
/// # Errors
/// [`Fault`]: the gateway's, or that it went away.
pub async fn ask(stream: UnixStream, request: &Request) -> Result<Response, Fault> {
    let gone = |what: &str| Fault::new(FaultKind::Unavailable, format!("the running gateway {what}"));
    let mut stream = BufReader::new(stream);
    let mut bytes = serde_json::to_vec(request).map_err(|_| gone("cannot be asked this"))?;
    bytes.push(b'\n');
    stream.write_all(&bytes).await.map_err(|_| gone("went away"))?;
    stream.flush().await.map_err(|_| gone("went away"))?;
    let mut line = Vec::new();
    (&mut stream).take(ANSWER_BYTES_MAX).read_until(b'\n', &mut line).await.map_err(|_| gone("went away"))?;
    match serde_json::from_slice(&line).map_err(|_| gone("gave an answer this program cannot read"))? {
        Answer::Ok(response) => Ok(response),
        Answer::Fault(fault) => Err(fault),
    }
}
