//! The engines of a scaled-out run, private to it: PostgreSQL, RabbitMQ, Redis; and what a gateway has to be told to find
//! them.
//!
//! Calls of the engines block and so run on threads of their own. Which PostgreSQL is the one that takes writes changes
//! when it fails over; the proxies before it are led there by whoever does that.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use causeway_servers::{Postgres, RabbitMq, Redis};

use crate::disk::Disk;

const ROLE: &str = "gateway";
const PASSWORD: &str = "of-this-run-only";
/// A broker may take longer than its consumers' bound before it is given up.
const CONSUMERS_MAX: Duration = Duration::from_secs(90);
const DATABASE_DISK_MB: u64 = 3_000;
/// A database whose log says the state of what failed, and whose it was.
pub(crate) const STANDARD: [(&str, &str); 2] = [("max_connections", "100"), ("log_line_prefix", "%m [%p] %u %e ")];

pub(crate) struct Engines {
    primary: Mutex<Arc<Postgres>>,
    database: Mutex<String>,
    pub(crate) broker: Arc<RabbitMq>,
    pub(crate) redis: Arc<Redis>,
    /// What was the primary before; its disk outlives it.
    retired: Mutex<Vec<Arc<Postgres>>>,
    /// A small file system under the database's files, if it is to be filled up.
    pub(crate) disk: Option<Disk>,
}

impl Engines {
    /// As an operator would have them.
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(None, &[], &[("max_connections", "100")]).await
    }

    /// For the nemesis: the database has a disk of its own in that image and tells SQLSTATEs in its log, and the broker gives
    /// up a consumer that does not acknowledge for so long.
    pub(crate) async fn start_for_faults(image: PathBuf, acknowledged_within: Duration) -> Result<Self> {
        let within = acknowledged_within.as_millis().to_string();
        let broker = [("consumer_timeout".to_owned(), within)];
        Self::start_with(Some(image), &broker, &STANDARD).await
    }

    async fn start_with(
        image: Option<PathBuf>,
        broker: &[(String, String)],
        database: &'static [(&'static str, &'static str)],
    ) -> Result<Self> {
        let broker = broker.to_vec();
        let engines = blocking(move || {
            let broker: Vec<(&str, &str)> =
                broker.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let postgres = Postgres::start_with(database)?;
            let disk = image.map(|image| on_a_disk_of_its_own(&postgres, image)).transpose()?;
            postgres.psql("postgres", &format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'"))?;
            Ok(Self {
                primary: Mutex::new(Arc::new(postgres)),
                database: Mutex::default(),
                broker: Arc::new(RabbitMq::start_with(&broker)?),
                redis: Arc::new(Redis::start()?),
                retired: Mutex::default(),
                disk,
            })
        });
        let engines = engines.await?;
        engines.new_database().await?;
        Ok(engines)
    }

    /// From here on everything concerns an empty database.
    pub(crate) async fn new_database(&self) -> Result<()> {
        let primary = self.primary();
        let dsn = blocking(move || primary.database()).await?;
        let name =
            dsn.rsplit_once('/').and_then(|(_, name)| name.split('?').next()).context("a DSN names a database")?;
        name.clone_into(&mut self.database.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    fn database(&self) -> String {
        self.database.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The owner's way to the database.
    pub(crate) fn owner_dsn(&self) -> String {
        self.primary().dsn_of(&self.database())
    }

    /// The PostgreSQL that takes writes.
    pub(crate) fn primary(&self) -> Arc<Postgres> {
        Arc::clone(&self.primary.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn has_failed_over(&self) -> bool {
        !self.retired.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(crate) fn promoted(&self, standby: Arc<Postgres>) {
        let before = std::mem::replace(&mut *self.primary.lock().unwrap_or_else(PoisonError::into_inner), standby);
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).push(before);
    }

    /// What a gateway or a command needs to be told, each engine at the port that stands here.
    pub(crate) fn settings(
        &self,
        (postgres, broker, redis): (u16, u16, u16),
        gateways: usize,
    ) -> Vec<(String, String)> {
        let (primary, database) = (self.primary(), self.database());
        let owner = primary.dsn_of(&database).replace(&format!(":{}/", primary.port()), &format!(":{postgres}/"));
        let dsn = format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{postgres}/{database}?sslmode=disable");
        let at = |url: String, from: u16, to: u16| url.replace(&format!(":{from}"), &format!(":{to}"));
        [
            ("CAUSEWAY_STORE_DSN", dsn),
            ("CAUSEWAY_STORE_DIRECT_DSN", owner),
            ("CAUSEWAY_QUEUE_URL", at(self.broker.url(), self.broker.port(), broker)),
            ("CAUSEWAY_REDIS_URL", at(self.redis.url(), self.redis.port(), redis)),
            ("CAUSEWAY_REDIS_GATEWAYS", gateways.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Each at its own port.
    pub(crate) fn ports(&self) -> (u16, u16, u16) {
        (self.primary().port(), self.broker.port(), self.redis.port())
    }

    /// SQL as the owner of everything, on the gateways' database.
    pub(crate) async fn sql(&self, sql: impl Into<String>) -> Result<String> {
        let (primary, database, sql) = (self.primary(), self.database(), sql.into());
        blocking(move || primary.psql(&database, &sql)).await
    }

    pub(crate) async fn rabbitmqctl(&self, words: &[&str]) -> Result<String> {
        let (broker, words) =
            (Arc::clone(&self.broker), words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        blocking(move || broker.ctl(&words.iter().map(String::as_str).collect::<Vec<_>>())).await
    }

    /// Rings for a connector lead nowhere from here on. Whether there was something to part.
    pub(crate) async fn unbind(&self, connector: &str) -> Result<bool> {
        let of = |kind: &str, name: &str| format!("{{resource, <<\"causeway\">>, {kind}, <<\"{name}\">>}}");
        let remove = format!(
            "rabbit_binding:remove({{binding, {}, <<\"{connector}\">>, {}, []}}, <<\"loadtests\">>).",
            of("exchange", "causeway.rings"),
            of("queue", &format!("causeway.{connector}.v1"))
        );
        Ok(self.rabbitmqctl(&["eval", &remove]).await?.trim() == "ok")
    }

    pub(crate) async fn redis(&self, words: &[&str]) -> Result<String> {
        let (redis, words) = (Arc::clone(&self.redis), words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        blocking(move || redis.command(&words.iter().map(String::as_str).collect::<Vec<_>>())).await
    }

    /// Waits until every connector's queue is listened to; how long that took.
    pub(crate) async fn consumers_are_back(&self, connectors: &[&str]) -> Result<Duration> {
        let began = Instant::now();
        loop {
            let list = ["list_queues", "-q", "-p", "causeway", "--no-table-headers", "name", "consumers"];
            // A broker that has just come back may not answer its own tool yet.
            let queues = self.rabbitmqctl(&list).await.unwrap_or_default();
            let heard = |connector: &&str| {
                let queue = format!("causeway.{connector}.v1");
                queues
                    .lines()
                    .filter_map(|line| line.split_once('\t'))
                    .any(|(name, count)| name == queue && count.trim().parse::<u64>().is_ok_and(|count| count > 0))
            };
            if connectors.iter().all(heard) {
                return Ok(began.elapsed());
            }
            ensure!(began.elapsed() < CONSUMERS_MAX, "no consumers within {CONSUMERS_MAX:?}: {queues}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    pub(crate) async fn versions(&self) -> Result<Vec<(&'static str, String)>> {
        let first = |text: String| text.lines().next().unwrap_or_default().trim().to_owned();
        let redis = self.redis(&["INFO", "server"]).await?;
        let redis =
            redis.lines().find_map(|line| line.trim().strip_prefix("redis_version:")).unwrap_or("unknown").to_owned();
        Ok(vec![
            ("postgresql", first(self.sql("SHOW server_version").await?)),
            ("rabbitmq", first(self.rabbitmqctl(&["-q", "version"]).await?)),
            ("redis", redis),
        ])
    }
}

/// What blocks, on a thread where it may.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.context("a thread of the run's own")?
}

/// Moves what a stopped server has onto a small file system, so that it can be filled up.
fn on_a_disk_of_its_own(postgres: &Postgres, image: PathBuf) -> Result<Disk> {
    postgres.stop()?;
    let data = postgres.folder().join("data");
    let aside = postgres.folder().join("data.aside");
    std::fs::rename(&data, &aside)?;
    let disk = Disk::mount_at(image, data, DATABASE_DISK_MB)?;
    disk.take_over(&aside)?;
    postgres.restart()?;
    Ok(disk)
}
