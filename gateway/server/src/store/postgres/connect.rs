//! How connections are made: the address from a DSN, TLS with the system's roots or the DSN's, and a deadline for everything.
//!
//! A DSN holds a password: it is never printed, and neither is what the driver says about one it cannot read.

use std::time::Duration;

use causeway_core::pii::Secret;
use rustls::ClientConfig;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::dsn::{self, Dsn, Roots};
use super::scope::settings;
use super::session::{Opening, Session};
use super::text::Use;
use crate::store::{Result, StoreError};
use crate::trust::{self, Authorities};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(10);

/// Until a peer that says nothing is given up, below TCP.
const UNANSWERED: Duration = Duration::from_secs(15);

/// Where the database is.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    pooler: bool,
}

impl Connector {
    /// Reads a DSN: `postgresql://role:password@host:port/database?sslmode=require`, or words as libpq has them. Of its
    /// words about TLS: `sslmode`, `sslnegotiation` and `sslrootcert`.
    pub(crate) fn new(dsn: &Secret, pooler: bool) -> Result<Self> {
        let unreadable = || {
            StoreError::Failed(
                "store.dsn is none: write postgresql://role:password@host:5432/database?sslmode=require".to_owned(),
            )
        };
        let Dsn { mut config, roots } = dsn::read(dsn.reveal()).ok_or_else(unreadable)?;
        config
            .application_name("causeway")
            .connect_timeout(CONNECT)
            .tcp_user_timeout(UNANSWERED)
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(3))
            .keepalives_retries(3);
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(MakeRustlsConnect::new(tls(&roots)?)),
        };
        Ok(Self { config, tls, pooler })
    }

    /// Whether connections lead through a pooler in transaction mode.
    pub(crate) const fn is_pooled(&self) -> bool {
        self.pooler
    }

    /// The role it connects as, if the DSN names one.
    pub(crate) fn role(&self) -> Option<&str> {
        self.config.get_user()
    }

    /// A new connection whose statements may take so many milliseconds. Blocks, at most until the deadline.
    pub(crate) fn connect(&self, use_: Use, statement: u32) -> Result<Session> {
        let (config, pooler) = (&self.config, self.pooler);
        let session = match &self.tls {
            None => Session::open(Opening { config, tls: NoTls, pooler, use_, deadline: CONNECT }),
            Some(tls) => Session::open(Opening { config, tls: tls.clone(), pooler, use_, deadline: CONNECT }),
        }?;
        // Behind a pooler the next transaction is another connection's: each says it for itself.
        if !pooler {
            let text: String =
                settings(use_, statement).iter().map(|(name, value)| format!("SET {name} = {value};")).collect();
            session.batch(&text)?;
        }
        Ok(session)
    }
}

/// A certificate has to be signed by one of these, and be for the host's name.
fn tls(roots: &Roots) -> Result<ClientConfig> {
    let authorities = match roots {
        Roots::System => None,
        Roots::File(file) => {
            let none = |none| StoreError::Failed(format!("sslrootcert of store.dsn: {none}"));
            Some(Authorities::read(file).map_err(none)?)
        }
    };
    trust::client(authorities.as_ref()).map_err(|_| StoreError::Failed("TLS cannot be set up".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::Connector;
    use causeway_core::pii::Secret;

    fn check(dsn: &str, reads: bool) {
        let made = Connector::new(&Secret::new(dsn), false);
        assert_eq!(made.is_ok(), reads, "{dsn}");
        if let Err(error) = made {
            assert!(error.to_string().contains("store.dsn"));
            assert!(!error.to_string().contains("canary"));
        }
    }

    #[test]
    fn a_dsn_is_read_or_refused_without_being_printed() {
        check("postgresql://gateway:canary@db.example.org:5432/causeway?sslmode=require", true);
        check("postgresql://gateway:canary@db.example.org/causeway?sslmode=verify-full", true);
        check("host=127.0.0.1 port=5432 user=gateway password=canary dbname=causeway sslmode=disable", true);
        check("postgresql://gateway:canary@db.example.org:port/causeway", false);
        check("mysql://gateway:canary@db.example.org/causeway", false);
        check("dbname=canary", false);
    }
}
