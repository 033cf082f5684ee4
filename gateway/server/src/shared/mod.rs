//! The way to a Redis or Valkey that several gateways share: one connection, and a circuit around it.
//!
//! Nothing here is needed for anything to be right. Whoever asks gets an answer within a tenth of a second, or none and goes
//! on without: the first call that fails or is late ends the connection, and from then on every question is bypassed at once
//! until a background task has connected anew and written something. So a Redis that hangs costs a tenth of a second once,
//! and one that cannot be written (full, a replica, loading) counts as one that is gone.
//!
//! What is asked belongs to whoever asks: the limits to `egress`, the forms to [`forms`].

mod examine;
mod figures;
pub mod forms;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, RedisError, RedisResult,
    ServerErrorKind, TlsCertificates,
};
use tokio_util::task::TaskTracker;

use crate::config::RedisAt;
use crate::trust::{Authorities, Fault, Named, NoCertificates, find};

pub use examine::examine;
use figures::Figures;
pub use figures::LinkFigures;

/// No question takes longer.
pub const PATIENCE: Duration = Duration::from_millis(100);
/// Connecting happens in the background and may take longer.
const CONNECT: Duration = Duration::from_secs(1);
/// Between two tries to connect, at first and at most.
const PAUSE: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];
/// Written to see whether it can be.
const PROBE: &str = "causeway:probe";

/// What [`Fault::told`] calls it.
const NAMED: Named = Named {
    server: "Redis",
    authorities: "redis.ca_file",
    address: "redis.url",
    clients: "its tls-auth-clients has to be no",
};

/// The settings are no way to a Redis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum Unusable {
    #[error(
        "redis.url: write redis://user:password@host:6379/0, or rediss:// with TLS; special characters in the password \
         percent-encoded"
    )]
    Url,
    #[error("redis.ca_file: {0}")]
    CaFile(#[from] NoCertificates),
    #[error(
        "redis.ca_file names an authority, but redis.url is not encrypted: write rediss:// there, or leave the file out"
    )]
    Plain,
    #[error(
        "redis.url ends in #insecure: a certificate is always verified; take that away and name its authority as redis.ca_file"
    )]
    Insecure,
}

/// Why nothing can be shared now, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum Trouble {
    #[error("it does not answer in time")]
    Late,
    #[error(
        "there is no connection: check that it runs, and host, port and firewall of redis.url, with rediss:// where the \
         port is one for TLS"
    )]
    Unreachable,
    #[error("it refuses the user or the password: correct redis.url (CAUSEWAY_REDIS_URL_FILE)")]
    Password,
    #[error("it is a replica and cannot be written: let redis.url name the primary")]
    Replica,
    #[error("its memory is used up: raise maxmemory, or give the gateways a Redis of their own")]
    Full,
    #[error("it still loads its data: it will be asked again")]
    Loading,
    #[error("a script of somebody else keeps it busy: it will be asked again")]
    Busy,
    #[error(
        "its user may not do what is needed: allow it the keys ~causeway:* and +@read +@write +@scripting +ping +info"
    )]
    Permission,
    #[error("it cannot write its data to disk and refuses all writes: make room there")]
    Disk,
    #[error(
        "it does not answer in time: check that it runs, host and firewall, and that the port of redis.url is one for TLS"
    )]
    LateWithTls,
    #[error("no TLS with it: {}", .0.told(&NAMED))]
    Tls(Fault),
    #[error(
        "the machine's own authorities cannot be read: see what SSL_CERT_FILE, SSL_CERT_DIR and /etc/ssl/certs hold"
    )]
    Machine,
    #[error("it answers with an error ({0})")]
    Other(String),
}

impl From<&RedisError> for Trouble {
    fn from(error: &RedisError) -> Self {
        match (error.kind(), error.code().unwrap_or_default()) {
            (ErrorKind::AuthenticationFailed, _) | (_, "NOAUTH" | "WRONGPASS") => Self::Password,
            (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => Self::Replica,
            (ErrorKind::Server(ServerErrorKind::NoPerm), _) => Self::Permission,
            (ErrorKind::Server(ServerErrorKind::BusyLoading), _) => Self::Loading,
            (_, "OOM") => Self::Full,
            (_, "BUSY") => Self::Busy,
            (_, "MISCONF") => Self::Disk,
            (ErrorKind::Io, _) if error.is_timeout() => Self::Late,
            // The library reads them even where `ca_file` names others.
            _ if find::<rustls_native_certs::Error>(error).is_some() => Self::Machine,
            (ErrorKind::Io, _) => Fault::of(error).map_or(Self::Unreachable, Self::Tls),
            (_, "") => Self::Other(error.category().to_owned()),
            (_, code) => Self::Other(code.to_owned()),
        }
    }
}

/// See the module's documentation.
pub struct Link {
    me: Weak<Self>,
    client: Client,
    gateways: u32,
    state: Mutex<State>,
    changed: tokio::sync::watch::Sender<bool>,
    figures: Figures,
    tasks: TaskTracker,
}

struct State {
    /// None while it is down; then a task is on its way to mend that.
    conn: Option<MultiplexedConnection>,
    /// Which connection it is, so that a late failure of an older one ends no newer one.
    number: u64,
    /// What was told last.
    trouble: Option<Trouble>,
}

impl Link {
    /// Begins to connect. None when no Redis is configured.
    ///
    /// # Errors
    /// When the URL or the file of authorities is none. That nothing answers there is no error.
    pub fn open(at: &RedisAt) -> Result<Option<Arc<Self>>, Unusable> {
        if at.url.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self::over(client(at)?, at.gateways)))
    }

    #[cfg(test)]
    pub(crate) fn to(url: &str, gateways: u32) -> Result<Arc<Self>, Unusable> {
        Ok(Self::over(Client::open(url).map_err(|_it_quotes_the_url| Unusable::Url)?, gateways))
    }

    fn over(client: Client, gateways: u32) -> Arc<Self> {
        let link = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            client,
            gateways: gateways.max(1),
            state: Mutex::new(State { conn: None, number: 0, trouble: None }),
            changed: tokio::sync::watch::Sender::new(false),
            figures: Figures::default(),
            tasks: TaskTracker::new(),
        });
        link.mend();
        link
    }

    /// How many gateways share it.
    pub(crate) fn gateways(&self) -> u32 {
        self.gateways
    }

    /// For what is told and not waited for. Not waited for at a stop either.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Counts.
    pub fn figures(&self) -> LinkFigures {
        self.figures.snapshot()
    }

    /// Can it be asked now?
    pub(crate) fn is_up(&self) -> bool {
        self.state().conn.is_some()
    }

    /// Resolves once it can be asked, or cannot.
    #[cfg(test)]
    pub(crate) async fn until(&self, up: bool) {
        let mut changes = self.changed.subscribe();
        changes.wait_for(|now| *now == up).await.expect("the link lives");
    }

    /// Why it cannot be asked, after a look of at most a second.
    pub async fn first_look(&self) -> Option<Trouble> {
        let mut changes = self.changed.subscribe();
        let up = tokio::time::timeout(CONNECT, changes.wait_for(|up| *up)).await;
        match up {
            Ok(Ok(_)) => None,
            Ok(Err(_)) | Err(_) => Some(self.state().trouble.clone().unwrap_or(Trouble::Late)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks one question. None: it was bypassed, failed or was late; whoever asks goes on without.
    pub(crate) async fn ask<T, F>(&self, question: impl FnOnce(MultiplexedConnection) -> F) -> Option<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let known = {
            let state = self.state();
            state.conn.clone().map(|conn| (conn, state.number))
        };
        let Some((conn, number)) = known else {
            self.figures.bypassed();
            return None;
        };
        let trouble = match tokio::time::timeout(PATIENCE, question(conn)).await {
            Ok(Ok(answer)) => {
                self.figures.answered();
                return Some(answer);
            }
            // This question's own: the next may well be answered.
            Ok(Err(error)) if is_of_the_question(&error) => {
                tracing::warn!(error = error.category(), "a question to Redis was answered with an error");
                self.figures.failed();
                return None;
            }
            Ok(Err(error)) => Trouble::from(&error),
            Err(_) => Trouble::Late,
        };
        if trouble == Trouble::Late {
            self.figures.timed_out();
        } else {
            self.figures.failed();
        }
        self.lost(number, trouble);
        None
    }

    /// This connection is of no use any more.
    fn lost(&self, number: u64, trouble: Trouble) {
        {
            let mut state = self.state();
            if state.number != number || state.conn.take().is_none() {
                return;
            }
            told(&mut state, trouble);
        }
        self.figures.is_up(false);
        self.changed.send_replace(false);
        self.mend();
    }

    fn mend(&self) {
        let me = self.me.clone();
        self.tasks.spawn(async move {
            let [first, most] = PAUSE;
            let backoff = ExponentialBuilder::new().with_min_delay(first).with_max_delay(most).without_max_times();
            let mut pauses = backoff.build();
            while let Some(link) = me.upgrade() {
                match link.connect().await {
                    Ok(conn) => return link.found(conn),
                    Err(trouble) => told(&mut link.state(), trouble),
                }
                drop(link);
                tokio::time::sleep(pauses.next().unwrap_or(most)).await;
            }
        });
    }

    fn found(&self, conn: MultiplexedConnection) {
        {
            let mut state = self.state();
            state.conn = Some(conn);
            state.number += 1;
            state.trouble = None;
        }
        tracing::info!("limits are shared through Redis");
        self.figures.is_up(true);
        self.changed.send_replace(true);
    }

    /// A new connection that can be written over.
    async fn connect(&self) -> Result<MultiplexedConnection, Trouble> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(PATIENCE));
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let encrypted = matches!(self.client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. });
        let late = || if encrypted { Trouble::LateWithTls } else { Trouble::Late };
        let mut conn = match tokio::time::timeout(CONNECT, connecting).await {
            Ok(connected) => connected.map_err(|error| match Trouble::from(&error) {
                Trouble::Late => late(),
                trouble => trouble,
            })?,
            Err(_) => return Err(late()),
        };
        let mut write = redis::cmd("SET");
        write.arg(PROBE).arg(1).arg("PX").arg(1_000);
        write.exec_async(&mut conn).await.map_err(|error| Trouble::from(&error))?;
        Ok(conn)
    }
}

/// Reads the settings and connects to nothing.
fn client(at: &RedisAt) -> Result<Client, Unusable> {
    let info = at.url.reveal().into_connection_info().map_err(|_it_quotes_the_url| Unusable::Url)?;
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return Err(Unusable::Insecure);
    }
    if at.ca_file.as_os_str().is_empty() {
        return Client::open(info).map_err(|_it_quotes_the_url| Unusable::Url);
    }
    if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        return Err(Unusable::Plain);
    }
    let root_cert = Some(Authorities::read(&at.ca_file)?.pem);
    Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
        .map_err(|_it_quotes_the_url| Unusable::Url)
}

/// Said once for each trouble, not for each try.
fn told(state: &mut State, trouble: Trouble) {
    if state.trouble.as_ref() != Some(&trouble) {
        tracing::warn!(%trouble, "Redis cannot be asked: each gateway keeps to its own, smaller limits");
        state.trouble = Some(trouble);
    }
}

/// A key of ours that holds something else, and the like.
fn is_of_the_question(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::ResponseError) | ErrorKind::UnexpectedReturnType | ErrorKind::Parse
    ) || error.code() == Some("WRONGTYPE")
}

#[cfg(test)]
mod tests;
