//! The scaled-out engine: one PostgreSQL that several gateways share. `open` brings a store up, `writer` makes things
//! durable, `readers` reads; the verbs are the store's (`sql`).
//!
//! It never migrates: the owner does, with `causeway migrate`. It holds no lock across a call to a vendor and keeps nothing
//! on a connection between transactions, so a pooler may stand before it. What the verbs were promised by SQLite's one
//! writer is kept by locks (`scope`) and by the rows they lock.

mod accept;
mod accounts;
mod ahead;
mod array;
mod audit;
mod check;
mod connect;
mod crowd;
mod dsn;
mod errors;
mod folder;
mod later;
mod migrate;
mod open;
mod pace;
mod partitions;
mod pending;
mod readers;
mod scope;
mod session;
mod text;
mod value;
#[cfg(test)]
mod walls;
mod watch;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::connect::Connector;
use self::partitions::Partitions;
use self::readers::Readers;
use self::watch::Watch;
use self::writer::Writer;
use super::finding::Finding;
use super::intake::Accepted;
use super::keys::Keyring;
use super::sql::accept::Prepared;
use super::sql::ahead::About;
use super::sql::conn::Conn;
use super::sql::errors::Op;
use super::sql::jobs::acceptance;
use super::sql::scope::Scope;
use super::sql::tx::Tx;
use super::{Result, StoreError};

pub(in crate::store) use self::audit::append_audit;
pub use self::check::look;
pub use self::migrate::{MigrateError, Migrated, migrate};
pub use self::open::{OpenError, OpenOptions, open};
pub(in crate::store) use self::scope::Among;
pub(crate) use self::session::{Row, Session};

/// A database that is reached.
pub(in crate::store) struct PostgresEngine {
    connector: Arc<Connector>,
    writer: Arc<Writer>,
    readers: Readers,
    watch: Arc<Watch>,
    partitions: Partitions,
}

impl PostgresEngine {
    pub(in crate::store) async fn write<T: Send + 'static>(
        &self,
        scope: Scope,
        among: Among,
        verb: impl Fn(&mut Tx<'_>) -> Op<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.run(scope, (among, None), verb).await
    }

    /// Beside others, with what it will ask.
    pub(in crate::store) async fn write_about<T: Send + 'static>(
        &self,
        scope: Scope,
        about: About,
        verb: impl Fn(&mut Tx<'_>) -> Op<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.run(scope, (Among::Beside, Some(about)), verb).await
    }

    /// Accepted with what else waits, table by table.
    pub(in crate::store) async fn accept(&self, scope: Scope, prepared: Prepared) -> Result<Accepted> {
        let (job, answer) = acceptance(prepared);
        self.writer.answer(scope, (Among::Beside, None), job, answer).await
    }

    pub(in crate::store) async fn read<T: Send + 'static>(
        &self,
        scope: Scope,
        verb: impl FnOnce(Conn<'_>) -> Op<T> + Send + 'static,
    ) -> Result<T> {
        self.readers.read(vec![scope], verb).await
    }

    pub(in crate::store) async fn read_of<T: Send + 'static>(
        &self,
        scopes: Vec<Scope>,
        verb: impl FnOnce(Conn<'_>) -> Op<T> + Send + 'static,
    ) -> Result<T> {
        self.readers.read(scopes, verb).await
    }

    pub(in crate::store) async fn examine(&self, keys: Arc<Keyring>) -> Result<Vec<Finding>> {
        let connector = Arc::clone(&self.connector);
        let looked = tokio::task::spawn_blocking(move || check::findings(&connector, &keys)).await;
        looked.map_err(|_| StoreError::Failed("a look at the database panicked".to_owned()))
    }

    pub(in crate::store) async fn close(&self) {
        self.partitions.close();
        let (writer, watch) = (Arc::clone(&self.writer), Arc::clone(&self.watch));
        let closed = tokio::task::spawn_blocking(move || {
            writer.close();
            watch.close();
        });
        if closed.await.is_err() {
            tracing::error!("closing the store panicked");
        }
    }
}
