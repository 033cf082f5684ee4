//! The embedded engine: one SQLite file, one writer. `open` brings a store up, `writer` makes things durable, `readers`
//! reads; the verbs are the store's (`sql`).
//!
//! What only a file of one's own can have is here, too: its lock, the anchor and the erasure log beside it, its backup.

pub(in crate::store) mod anchor;
mod checkpoint;
pub(in crate::store) mod custody;
mod errors;
pub(in crate::store) mod examine;
mod open;
mod pragmas;
mod readers;
pub(in crate::store) mod statement;
mod writer;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use self::anchor::Anchor;
use self::readers::Readers;
use self::writer::Writer;
use super::Result;
use super::sql::conn::Conn;
use super::sql::errors::Op;
use super::sql::scope::Scope;
use super::sql::tx::Tx;

pub(in crate::store) use self::errors::{DAMAGED, is_damage};

pub use self::anchor::AnchorError;
pub use self::custody::{Erasures, RestoreError, RestoreOptions, RestoreReport, restore};
pub use self::examine::{AccountSeen, Seen, look};
pub use self::open::{OpenError, OpenOptions, open};
pub use self::pragmas::Unsafe;

/// A data directory that is open, and locked for as long.
pub(in crate::store) struct SqliteEngine {
    // Dropped in this order: the writer commits what is waiting before the lock goes.
    pub(in crate::store) writer: Writer,
    readers: Readers,
    pub(in crate::store) anchor: Arc<Anchor>,
    pub(in crate::store) folder: PathBuf,
    _lock: File,
}

// One writer: whoever writes is alone, and one file holds everybody's rows behind one key each, so a scope says nothing here.
impl SqliteEngine {
    pub(in crate::store) async fn write<T: Send + 'static>(
        &self,
        _: Scope,
        verb: impl Fn(&mut Tx<'_>) -> Op<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.run(verb).await
    }

    pub(in crate::store) async fn write_repeatable<T: Send + 'static>(
        &self,
        _: Scope,
        verb: impl Fn(&mut Tx<'_>) -> Op<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.run_repeatable(verb).await
    }

    pub(in crate::store) async fn read<T: Send + 'static>(
        &self,
        _: Scope,
        verb: impl FnOnce(Conn<'_>) -> Op<T> + Send + 'static,
    ) -> Result<T> {
        self.readers.read(move |conn| verb(Conn::Sqlite(conn))).await
    }

    pub(in crate::store) fn close(&self) {
        self.writer.close();
    }
}
