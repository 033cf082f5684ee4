//! The contract on SQLite, and what only this backend can be put through: kills, tampering, a full disk, a failed sync.

mod backups;
mod bucket;
mod clock;
mod custody;
mod damage;
mod durability;
mod examine;
mod loads;
mod pausing;
mod upkeep;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

use causeway_core::clock::{ManualClock, SeededEntropy};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{OpenError, OpenOptions};
use crate::store::Store;
use crate::store::keys::RootKey;
use crate::store::receipts::Receipts;
use crate::store::sql::SqlStore;
use crate::store::suite::store_suite;
use crate::store::suite::world::Backend;
use crate::store::webhooks::Webhooks;

/// A data directory of its own.
pub(in crate::store) struct Sqlite {
    folder: TempDir,
    opened: Mutex<Weak<SqlStore>>,
}

impl Default for Sqlite {
    fn default() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), opened: Mutex::default() }
    }
}

impl Sqlite {
    fn options(&self, clock: &Arc<ManualClock>) -> OpenOptions {
        let key = RootKey::generate(&SeededEntropy::new(1));
        // Not the seed of the cases: their ids must not meet the store's.
        let entropy = Arc::new(SeededEntropy::new(2));
        OpenOptions::new(self.folder(), key, Arc::<ManualClock>::clone(clock), entropy)
    }

    fn try_open(&self, clock: &Arc<ManualClock>) -> Result<Arc<SqlStore>, OpenError> {
        super::open(self.options(clock))
    }

    fn folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The open store, with what is behind the trait.
    fn inner(&self) -> Arc<SqlStore> {
        self.opened.lock().unwrap().upgrade().unwrap()
    }

    /// The database as somebody with a hex editor sees it.
    fn raw(&self) -> Connection {
        let conn = Connection::open(self.folder().join("causeway.db")).unwrap();
        conn.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA busy_timeout = 5000").unwrap();
        conn
    }
}

impl Backend for Sqlite {
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

store_suite!(Sqlite);
