//! What stands between a gateway and others: pgbouncer before a database, HAProxy before gateways.

use crate::keeper::Keeper;
use crate::server::Server;
use crate::{postgres, tools};
use anyhow::{Context, Result, bail};
use std::net::{Ipv4Addr, TcpStream};
use std::ops::Deref;
use std::process::Command;

/// pgbouncer in transaction mode. Any role of the database may use it, with its own password.
pub struct PgBouncer {
    server: Server,
    dsn: String,
    port: u16,
}

impl Deref for PgBouncer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl PgBouncer {
    /// Before the server of this DSN, which has to be a superuser's: it looks the other roles' secrets up with it.
    pub fn before(dsn: &str) -> Result<Self> {
        Self::before_with(dsn, &[])
    }

    /// The same with settings by the names of pgbouncer.ini, such as `("default_pool_size", "4")`.
    pub fn before_with(dsn: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let program = tools::program("pgbouncer", "pgbouncer", "")?;
        let (user, password, host, rest) = parts(dsn).context("not postgres://user:password@host:port/database")?;
        let (host, behind) = host.split_once(':').unwrap_or((host, "5432"));
        let port = tools::free_port()?;
        // The user that Debian's postgresql makes; pgbouncer refuses to be root.
        let keeper = Keeper::new("pgbouncer", Some("postgres"))?;
        keeper.write("users", &format!("\"{user}\" \"{password}\"\n"))?;
        let settings: String = settings.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let text = format!(
            "[databases]\n* = host={host} port={behind} auth_user={user}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = \
             {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = users\npool_mode = transaction\n\
             max_client_conn = 1000\ndefault_pool_size = 20\n{settings}"
        );
        keeper.write("pgbouncer.ini", &text)?;
        keeper.write("run", &format!("exec '{}' ./pgbouncer.ini\n", program.display()))?;
        let dsn = format!("postgres://{user}:{password}@127.0.0.1:{port}/{rest}");
        let ask = dsn.clone();
        let ready = move || postgres::psql(&ask, "SELECT 1").is_ok();
        let server = Server::start("pgbouncer", keeper, "INT", Box::new(ready))?;
        Ok(Self { server, dsn, port })
    }

    /// The DSN it was given, through it.
    #[must_use]
    pub fn dsn(&self) -> &str {
        &self.dsn
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// User, password, host with port, and what follows the slash.
fn parts(dsn: &str) -> Option<(&str, &str, &str, &str)> {
    let (login, place) = dsn.split_once("://")?.1.rsplit_once('@')?;
    let (user, password) = login.split_once(':')?;
    let (host, rest) = place.split_once('/')?;
    Some((user, password, host, rest))
}

/// HAProxy with a configuration of the caller's.
pub struct Haproxy {
    server: Server,
}

impl Deref for Haproxy {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Haproxy {
    /// `port` is one that the configuration binds on 127.0.0.1 (`free_port` finds one); it is up when that is open.
    pub fn start(config: &str, port: u16) -> Result<Self> {
        let program = tools::program("haproxy", "haproxy", "")?;
        let keeper = Keeper::new("haproxy", None)?;
        let file = keeper.write("haproxy.cfg", config)?;
        if let Err(error) = tools::output(Command::new(&program).arg("-c").arg("-f").arg(file)) {
            bail!("HAProxy refuses the configuration: {error:#}");
        }
        keeper.write("run", &format!("exec '{}' -db -f ./haproxy.cfg\n", program.display()))?;
        let ready = move || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        Ok(Self { server: Server::start("haproxy", keeper, "TERM", Box::new(ready))? })
    }
}
