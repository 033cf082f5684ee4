//! One connection to the broker, opened under a deadline and cut for good when it is let go.
//!
//! The library drives a connection from a thread of its own, which may wait for ever for a broker that is frozen. So the
//! socket is kept at hand here: dropping the line shuts it down, and the thread ends whatever it was waiting for.

use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::tcp::RustlsConnector;
use lapin::uri::AMQPScheme;
use lapin::{AsyncTcpStream, Channel, Connection, ConnectionProperties};

use super::Options;
use super::address::Address;
use super::trouble::Trouble;
use crate::trust;

/// Connecting and each question in setting up; longer waits are for brokers that are busy, not for those that are gone.
const SETTING_UP: Duration = Duration::from_secs(5);
/// Longer than any frame of ours, and small: the library reserves many at once.
const FRAME: u32 = 16 * 1024;

/// Shuts the socket down when dropped.
#[derive(Default, Clone)]
struct Cut(Arc<Mutex<Option<std::net::TcpStream>>>);

impl Cut {
    fn hold(&self, socket: std::net::TcpStream) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(socket);
    }

    fn now(&self) {
        if let Some(socket) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // One that is closed already needs no cutting.
            socket.shutdown(Shutdown::Both).ok();
        }
    }
}

/// See the module's documentation.
pub(super) struct Line {
    connection: Connection,
    cut: Cut,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.cut.now();
    }
}

impl Line {
    pub(super) async fn open(address: &Address, purpose: &str, options: &Options) -> Result<Self, Trouble> {
        let mut uri = address.uri.clone();
        uri.query.heartbeat = Some(options.heartbeat);
        uri.query.frame_max = Some(FRAME);
        let name = format!("{} {purpose}", options.owner);
        let properties = ConnectionProperties::default().with_connection_name(name.as_str().into());
        let runtime = lapin::runtime::default_runtime().map_err(|error| Trouble::connecting(address, &error))?;
        let cut = Cut::default();
        let (held, authorities) = (cut.clone(), address.authorities.clone());
        let connecting = Connection::connector(
            uri,
            runtime,
            async move |uri, runtime| {
                let opened = async {
                    let place = (uri.authority.host.as_str(), uri.authority.port);
                    let found: Vec<SocketAddr> = tokio::net::lookup_host(place).await?.collect();
                    let stream = AsyncTcpStream::connect(&runtime, found).await?;
                    if let AsyncTcpStream::Plain(plain) = &stream {
                        held.hold(plain.get_ref().as_fd().try_clone_to_owned()?.into());
                    }
                    match uri.scheme {
                        AMQPScheme::AMQP => Ok(stream),
                        AMQPScheme::AMQPS => {
                            let tls = RustlsConnector::from(trust::client(authorities.as_ref())?);
                            stream.into_rustls(&tls, &uri.authority.host).await
                        }
                    }
                };
                let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
                Ok(tokio::time::timeout(SETTING_UP, opened).await.map_err(late)??)
            },
            properties,
        );
        match tokio::time::timeout(2 * SETTING_UP, connecting).await {
            Ok(Ok(connection)) => Ok(Self { connection, cut }),
            Ok(Err(error)) => {
                cut.now();
                Err(Trouble::connecting(address, &error))
            }
            Err(_late) => {
                cut.now();
                Err(Trouble::Silent { what: "connecting", within: 2 * SETTING_UP })
            }
        }
    }

    /// A channel of this line. An error closes a channel, so whatever may fail by itself gets its own.
    pub(super) async fn channel(&self) -> Result<Channel, Trouble> {
        within("opening a channel", self.connection.create_channel()).await
    }

    /// It is up, as far as is known.
    pub(super) fn is_up(&self) -> bool {
        self.connection.status().connected()
    }

    /// The broker takes nothing for now.
    pub(super) fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// Resolves when the line is lost.
    pub(super) async fn lost(&self) -> Trouble {
        let mut look = tokio::time::interval(Duration::from_millis(250));
        while self.is_up() {
            look.tick().await;
        }
        Trouble::Lost { what: "waiting", why: "it was closed".to_owned() }
    }

    /// Says goodbye, but waits only for a moment.
    pub(super) async fn close(self) {
        if self.is_up() && !self.is_blocked() {
            // The line is given up either way.
            tokio::time::timeout(Duration::from_secs(1), self.connection.close(200, "bye".into())).await.ok();
        }
    }
}

/// An answer of the broker in setting up, or trouble.
pub(super) async fn within<T>(what: &'static str, asked: impl Future<Output = lapin::Result<T>>) -> Result<T, Trouble> {
    match tokio::time::timeout(SETTING_UP, asked).await {
        Ok(answer) => answer.map_err(|error| Trouble::lost(what, &error)),
        Err(_late) => Err(Trouble::Silent { what, within: SETTING_UP }),
    }
}
