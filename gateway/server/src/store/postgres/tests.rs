//! The contract on PostgreSQL, straight and through a pooler, and what only this backend can be put through: killed
//! servers and connections, several gateways at once, unsafe settings, missing rights.

mod between;
mod faults;
mod gathering;
mod later;
mod migrating;
mod notice;
mod pausing;
mod plans;
mod refused;
mod several;
mod snapshots;
mod tls;
mod trouble;
mod waiting;
mod waits;

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use causeway_core::clock::{Clock, ManualClock, SeededEntropy};
use causeway_core::pii::Secret;
use causeway_servers::{PgBouncer, Postgres as Server};
use jiff::Timestamp;
use tempfile::TempDir;

use super::{OpenError, OpenOptions, migrate, open};
use crate::store::Store;
use crate::store::keys::RootKey;
use crate::store::receipts::Receipts;
use crate::store::sql::SqlStore;
use crate::store::suite::store_suite;
use crate::store::suite::world::Backend;
use crate::store::webhooks::Webhooks;

/// A database of its own on the server that the tests of this process share.
pub(super) struct Postgres {
    pub(super) dsn: String,
    pub(super) pooler: bool,
    blobs: TempDir,
    opened: Mutex<Weak<SqlStore>>,
}

/// The gateway's role on a server, made once, and the DSN of a database as it.
pub(super) const ROLE: &str = "gateway";
pub(super) const PASSWORD: &str = "canary";

pub(super) fn make_role(server: &Server) {
    server.psql("postgres", &format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")).unwrap();
}

pub(super) fn as_role(owner: &str) -> String {
    let (_, rest) = owner.rsplit_once('@').unwrap();
    format!("postgres://{ROLE}:{PASSWORD}@{rest}")
}

/// Migrates on a thread that drives no tasks.
pub(super) fn migrated(owner: &str, dsn: &str) {
    let (owner, dsn) = (Secret::new(owner), Secret::new(dsn));
    let done = std::thread::scope(|scope| scope.spawn(|| migrate(&owner, &dsn, Timestamp::UNIX_EPOCH)).join().unwrap());
    done.unwrap();
}

/// Migrated once; the others are copies.
fn template() -> &'static str {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let server = Server::shared().unwrap();
        make_role(server);
        let owner = server.database().unwrap();
        let name = owner.rsplit_once('/').and_then(|(_, name)| name.split('?').next()).unwrap().to_owned();
        // Whoever migrates owns the database and may make roles, and is no superuser.
        let migrator = format!("CREATE ROLE migrator LOGIN CREATEROLE PASSWORD '{PASSWORD}'");
        server.psql("postgres", &migrator).unwrap();
        server.psql("postgres", &format!("ALTER DATABASE {name} OWNER TO migrator")).unwrap();
        migrated(&as_role(&owner).replacen(ROLE, "migrator", 1), &as_role(&owner));
        // For the tests' time, as a gateway that runs makes them months ahead: rows of a time that has none yet are moved
        // when it gets one, and a statement that is being planned at that moment finds them nowhere.
        let ahead =
            "SELECT causeway_keep_partitions((extract(epoch FROM '2026-03-02 UTC'::timestamptz) * 1000000)::bigint)";
        server.psql(&name, ahead).unwrap();
        name
    })
}

/// A copy of the migrated database, under the gateway's role.
fn copy() -> String {
    static COPYING: Mutex<u32> = Mutex::new(0);
    let template = template();
    let server = Server::shared().unwrap();
    // Two copies of one template at once are one too many.
    let mut count = COPYING.lock().unwrap_or_else(PoisonError::into_inner);
    *count += 1;
    let name = format!("copy_{count}");
    server.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}")).unwrap();
    as_role(&server.dsn_of(&name))
}

impl Default for Postgres {
    fn default() -> Self {
        Self::at(copy(), false)
    }
}

impl Postgres {
    pub(super) fn at(dsn: String, pooler: bool) -> Self {
        Self { dsn, pooler, blobs: tempfile::tempdir().unwrap(), opened: Mutex::default() }
    }

    pub(super) fn options(&self, clock: &Arc<ManualClock>) -> OpenOptions {
        let key = RootKey::generate(&SeededEntropy::new(1));
        // Not the seed of the cases: their ids must not meet the store's.
        let entropy = Arc::new(SeededEntropy::new(2));
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
        let options = OpenOptions::new(Secret::new(&*self.dsn), self.blobs.path(), key, clock, entropy);
        OpenOptions { pooler: self.pooler, ..options }
    }

    pub(super) fn try_open(&self, clock: &Arc<ManualClock>) -> Result<Arc<SqlStore>, OpenError> {
        open(self.options(clock))
    }

    pub(super) fn inner(&self) -> Arc<SqlStore> {
        self.opened.lock().unwrap().upgrade().unwrap()
    }
}

impl Backend for Postgres {
    fn open(&self, clock: Arc<ManualClock>) -> Arc<dyn Store> {
        let store = self.try_open(&clock).unwrap();
        *self.opened.lock().unwrap() = Arc::downgrade(&store);
        store
    }

    fn webhooks(&self) -> Arc<dyn Webhooks> {
        self.inner()
    }

    fn receipts(&self) -> Arc<dyn Receipts> {
        self.inner()
    }
}

store_suite!(Postgres);

/// The same through pgbouncer, which hands out another connection with every transaction.
mod pooled {
    use super::*;

    struct Pooled(Postgres);

    impl Default for Pooled {
        fn default() -> Self {
            static POOLER: OnceLock<PgBouncer> = OnceLock::new();
            let dsn = copy();
            let pooler = POOLER.get_or_init(|| {
                // One pool for each database of a test: it must not keep connections of those that are over.
                let settings = [("server_idle_timeout", "1"), ("default_pool_size", "10")];
                PgBouncer::before_with(&Server::shared().unwrap().dsn(), &settings).unwrap()
            });
            let (_, database) = dsn.rsplit_once('/').unwrap();
            Self(Postgres::at(format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{}/{database}", pooler.port()), true))
        }
    }

    impl Backend for Pooled {
        fn open(&self, clock: Arc<ManualClock>) -> Arc<dyn Store> {
            self.0.open(clock)
        }
        fn webhooks(&self) -> Arc<dyn Webhooks> {
            self.0.webhooks()
        }
        fn receipts(&self) -> Arc<dyn Receipts> {
            self.0.receipts()
        }
    }

    store_suite!(Pooled);
}
