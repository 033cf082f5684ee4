//! The settings every connection needs to be safe, set and read back; a connection that does not take them is refused.
//!
//! Also refuses a SQLite library older than the one that fixed the corruption of databases with several checkpointing
//! connections. Memory-mapped reads stay off: a failed read would be a signal instead of an error.

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::types::Value;

use super::errors::{DAMAGED, is_damage};

/// 3.51.3: the first without the WAL-reset bug.
const OLDEST_LIBRARY: i32 = 3_051_003;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Use {
    Write,
    Read,
    Checkpoint,
}

/// A connection that would not be safe.
#[derive(Debug, thiserror::Error)]
pub enum Unsafe {
    /// The library has a known corruption bug.
    #[error("the SQLite library is version {0}; 3.51.3 or newer is needed")]
    Library(i32),
    /// A setting was not taken over.
    #[error("the database did not take the setting {0}")]
    Setting(&'static str),
    /// The file is not, or not wholly, what was written.
    #[error("{DAMAGED}")]
    Damaged,
    /// The engine failed.
    #[error("the database could not be set up")]
    Engine(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for Unsafe {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Self::Damaged } else { Self::Engine(error) }
    }
}

/// Name, value to set, value read back.
const EVERYWHERE: &[(&str, &str, i64)] = &[
    ("busy_timeout", "5000", 5_000),
    ("synchronous", "FULL", 2),
    ("foreign_keys", "ON", 1),
    ("trusted_schema", "OFF", 0),
    ("cell_size_check", "ON", 1),
    ("secure_delete", "ON", 1),
    ("mmap_size", "0", 0),
    // Sorting and large scans must not write personal data to a temporary file.
    ("temp_store", "MEMORY", 2),
    // The checkpointer does it beside the writer; inside a commit it is a stall of tens of milliseconds.
    ("wal_autocheckpoint", "0", 0),
    ("journal_size_limit", "134217728", 134_217_728),
];

/// Makes the connection safe, or says why it is not.
pub(in crate::store) fn apply(conn: &Connection, use_: Use) -> Result<(), Unsafe> {
    library()?;
    // The mode is a property of the file and the first writer sets it; every connection reads it back.
    if use_ == Use::Write {
        set(conn, "journal_mode", "WAL")?;
    }
    for (name, value, _) in EVERYWHERE {
        set(conn, name, value)?;
    }
    let (cache, query_only) = match use_ {
        // A commit looks at every slot of the cache, so a larger one costs each commit more than it saves in reads.
        Use::Write => ("-16384", 0),
        Use::Read => ("-8192", 1),
        Use::Checkpoint => ("-512", 0),
    };
    set(conn, "cache_size", cache)?;
    set(conn, "query_only", if query_only == 1 { "ON" } else { "OFF" })?;
    // Without it a statement whose plan could depend on a value is planned anew whenever one is bound.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.set_prepared_statement_cache_capacity(256);
    check(conn)?;
    if read(conn, "query_only")? != Value::Integer(query_only) {
        return Err(Unsafe::Setting("query_only"));
    }
    Ok(())
}

/// Is the library one without the bug?
pub(in crate::store) fn library() -> Result<(), Unsafe> {
    let library = rusqlite::version_number();
    if library < OLDEST_LIBRARY { Err(Unsafe::Library(library)) } else { Ok(()) }
}

/// Tries every setting of a connection on one that may not write. The mode of the file is not among them.
pub(in crate::store) fn apply_unwritten(conn: &Connection) -> Result<(), Unsafe> {
    for (name, value, _) in EVERYWHERE {
        set(conn, name, value)?;
    }
    check_connection(conn)
}

/// Reads every setting back.
pub(in crate::store) fn check(conn: &Connection) -> Result<(), Unsafe> {
    if read(conn, "journal_mode")? != Value::Text("wal".to_owned()) {
        return Err(Unsafe::Setting("journal_mode"));
    }
    check_connection(conn)
}

fn check_connection(conn: &Connection) -> Result<(), Unsafe> {
    for &(name, _, expected) in EVERYWHERE {
        if read(conn, name)? != Value::Integer(expected) {
            return Err(Unsafe::Setting(name));
        }
    }
    Ok(())
}

/// Some settings answer with a row, some do not; either is taken.
fn set(conn: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(&format!("PRAGMA {name} = {value}"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

fn read(conn: &Connection, name: &str) -> rusqlite::Result<Value> {
    conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::{EVERYWHERE, Unsafe, Use, apply, check};
    use rusqlite::Connection;

    #[test]
    fn the_library_has_the_fix() {
        assert!(rusqlite::version_number() >= super::OLDEST_LIBRARY);
    }

    #[test]
    fn every_use_is_safe_and_every_missing_setting_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        for use_ in [Use::Write, Use::Read, Use::Checkpoint] {
            apply(&Connection::open(&path).unwrap(), use_).unwrap();
        }
        for (name, _, expected) in EVERYWHERE {
            let conn = Connection::open(&path).unwrap();
            apply(&conn, Use::Write).unwrap();
            let other = if *name == "journal_size_limit" { -1 } else { 1 - expected.min(&1) };
            super::set(&conn, name, &other.to_string()).unwrap();
            assert!(matches!(check(&conn), Err(Unsafe::Setting(found)) if found == *name), "{name}");
        }
    }

    #[test]
    fn a_database_that_cannot_keep_a_write_ahead_log_is_refused() {
        let conn = Connection::open_in_memory().unwrap();
        assert!(matches!(apply(&conn, Use::Write), Err(Unsafe::Setting("journal_mode"))));
    }
}
