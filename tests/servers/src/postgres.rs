//! A private PostgreSQL: with its syncs on, passwords checked, on loopback only.
//!
//! A standby is one too, made from a running primary, with the same password. Kept out: any schema.

use crate::keeper::Keeper;
use crate::server::Server;
use crate::tools;
use anyhow::{Context, Result, anyhow};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

const PACKAGE: &str = "postgresql";
const FOLDERS: &str = "/usr/lib/postgresql/*/bin";
/// The user that Debian's package makes; PostgreSQL refuses to be root.
const USER: &str = "postgres";

pub struct Postgres {
    server: Server,
    port: u16,
    password: String,
    databases: AtomicUsize,
}

impl Deref for Postgres {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Postgres {
    /// An empty cluster with PostgreSQL's own settings.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// The same with other settings, by the names of postgresql.conf.
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        let initdb = program("initdb")?;
        let prepare = format!(
            "'{}' --pgdata=data.new --username=postgres --pwfile=password --auth-host=scram-sha-256 --auth-local=reject \
             --encoding=UTF8 --locale=C.UTF-8 --no-sync\necho \"include '../settings.conf'\" >>data.new/postgresql.conf",
            initdb.display()
        );
        Self::launch("postgres", &tools::password(), &prepare, settings)
    }

    /// Nothing is synced: for tests that concern neither durability nor the gateway's own look at the settings.
    pub fn fast() -> Result<Self> {
        Self::start_with(&[("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off")])
    }

    /// A streaming standby. Its `application_name`, for the primary's synchronous_standby_names, is `name`.
    pub fn standby_of(primary: &Self, name: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let basebackup = program("pg_basebackup")?;
        let source = format!(
            "host=127.0.0.1 port={} user=postgres password={} application_name={name}",
            primary.port, primary.password
        );
        let prepare = format!(
            "'{}' --dbname='{source}' --pgdata=data.new --write-recovery-conf --wal-method=stream --checkpoint=fast --no-sync",
            basebackup.display()
        );
        Self::launch("standby", &primary.password, &prepare, settings)
    }

    fn launch(name: &'static str, password: &str, prepare: &str, settings: &[(&str, &str)]) -> Result<Self> {
        let (postgres, isready) = (program("postgres")?, program("pg_isready")?);
        let port = tools::free_port()?;
        let keeper = Keeper::new(name, Some(USER))?;
        keeper.write("password", password)?;
        let own = [("listen_addresses", "127.0.0.1"), ("port", &port.to_string()), ("unix_socket_directories", "")];
        let settings: String = own
            .iter()
            .chain(settings)
            .map(|(key, value)| format!("{key} = '{}'\n", value.replace('\'', "''")))
            .collect();
        keeper.write("settings.conf", &settings)?;
        let run = format!(
            "set -e\nif [ ! -e data ]; then\nrm -rf data.new\n{prepare}\nmv data.new data\nfi\nexec '{}' -D data\n",
            postgres.display()
        );
        keeper.write("run", &run)?;
        let ready = move || {
            let mut ask = Command::new(&isready);
            ask.args(["-q", "-h", "127.0.0.1", "-t", "3", "-p", &port.to_string()]);
            ask.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
        };
        // SIGINT: sessions are ended, what is open is rolled back, all is written.
        let server = Server::start(name, keeper, "INT", Box::new(ready))?;
        Ok(Self { server, port, password: password.to_owned(), databases: AtomicUsize::new(0) })
    }

    /// One for all tests of this process.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<Postgres, String>> = OnceLock::new();
        let shared = SHARED
            .get_or_init(|| Self::start_with(&[("max_connections", "300")]).map_err(|error| format!("{error:#}")));
        shared.as_ref().map_err(|error| anyhow!("{error}"))
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The superuser's password, `postgres` being its name.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The superuser at the database that every cluster has.
    #[must_use]
    pub fn dsn(&self) -> String {
        self.dsn_of("postgres")
    }

    /// The superuser at a database.
    #[must_use]
    pub fn dsn_of(&self, database: &str) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/{database}?sslmode=disable", self.password, self.port)
    }

    /// Makes an empty database; the superuser's DSN of it.
    pub fn database(&self) -> Result<String> {
        let name = format!("test_{}_{}", std::process::id(), self.databases.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("CREATE DATABASE {name}"))?;
        Ok(self.dsn_of(&name))
    }

    /// What psql prints for some SQL, as superuser: rows on lines, columns apart by `|`.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        psql(&self.dsn_of(database), sql)
    }

    /// Changes a setting while it runs, and returns when every new session has it. Some take effect at a restart only; a
    /// wipe forgets it.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        let read = || self.psql("postgres", "SELECT pg_conf_load_time()");
        let before = read()?;
        self.psql("postgres", &format!("ALTER SYSTEM SET {key} = '{}'", value.replace('\'', "''")))?;
        self.psql("postgres", "SELECT pg_reload_conf()")?;
        tools::until("the server has read its settings", || Ok((read()? != before).then_some(())))
    }

    /// Ends at once without a checkpoint: the next start recovers from the log.
    pub fn stop_immediate(&self) -> Result<()> {
        self.server.signal("QUIT")
    }

    /// Kills it and starts it with an empty cluster; a standby is made from its primary again.
    pub fn wipe(&self) -> Result<()> {
        self.server.wipe(&["data"])
    }

    /// Makes a standby a primary; returns when it takes writes.
    pub fn promote(&self) -> Result<()> {
        self.psql("postgres", "SELECT pg_promote(true, 60)")?;
        tools::until("the standby takes writes", || {
            Ok((self.psql("postgres", "SELECT pg_is_in_recovery()")? == "f").then_some(()))
        })
    }
}

pub(crate) fn psql(dsn: &str, sql: &str) -> Result<String> {
    let mut psql = Command::new(program("psql")?);
    psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-c", sql]);
    psql.env("PGCONNECT_TIMEOUT", "10").stdin(Stdio::null());
    tools::output(&mut psql).context("psql")
}

fn program(name: &str) -> Result<PathBuf> {
    tools::program(name, PACKAGE, FOLDERS)
}
