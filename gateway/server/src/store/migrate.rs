//! Migrations: numbered SQL texts, applied in order, all in one exclusive transaction, each remembered by its checksum.
//!
//! A killed migration leaves nothing behind. A database that a newer program migrated, or whose applied texts were
//! changed since, is refused and left as it is. Migrations only ever go forward.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::sqlite::{DAMAGED, is_damage};
use crate::hash::sha256;

/// One numbered text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migration {
    pub(crate) number: i64,
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

/// The SQLite backend's, in order.
pub(crate) const SQLITE: &[Migration] = &[
    Migration { number: 1, name: "first", sql: include_str!("migrations/sqlite/0001-first.sql") },
    Migration { number: 2, name: "custody", sql: include_str!("migrations/sqlite/0002-custody.sql") },
    Migration {
        number: 3,
        name: "keys of two kinds",
        sql: include_str!("migrations/sqlite/0003-keys-of-two-kinds.sql"),
    },
    Migration { number: 4, name: "suspended keys", sql: include_str!("migrations/sqlite/0004-suspended-keys.sql") },
    Migration { number: 5, name: "onboarding", sql: include_str!("migrations/sqlite/0005-onboarding.sql") },
    Migration { number: 6, name: "webhooks", sql: include_str!("migrations/sqlite/0006-webhooks.sql") },
    Migration { number: 7, name: "failing alike", sql: include_str!("migrations/sqlite/0007-failing-alike.sql") },
    Migration { number: 8, name: "ledger", sql: include_str!("migrations/sqlite/0008-ledger.sql") },
];

/// Why the database was not migrated. It is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A newer program wrote it.
    #[error(
        "the database has migration {found}, this program knows {known}; run the program that wrote it, or a newer"
    )]
    Newer {
        /// The newest applied.
        found: i64,
        /// The newest known here.
        known: i64,
    },
    /// What was applied is not what this program would apply.
    #[error("migration {0} is not the one that was applied to this database")]
    Changed(i64),
    /// The file is not, or not wholly, what was written.
    #[error("{DAMAGED}")]
    Damaged,
    /// The engine failed.
    #[error("the migration failed")]
    Engine(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for MigrateError {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Self::Damaged } else { Self::Engine(error) }
    }
}

/// Brings the database to the newest of `migrations`; returns how many were applied.
pub(crate) fn run(conn: &Connection, migrations: &[Migration], now: Timestamp) -> Result<usize, MigrateError> {
    conn.execute_batch("BEGIN EXCLUSIVE")?;
    let done = apply(conn, migrations, now);
    conn.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    done
}

/// How a database stands to `migrations`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) applied: usize,
    pub(crate) pending: usize,
}

/// Looks, and changes nothing.
pub(crate) fn standing(conn: &Connection, migrations: &[Migration]) -> Result<Standing, MigrateError> {
    let exists: i64 =
        conn.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'migrations'", [], |row| row.get(0))?;
    if exists == 0 {
        return Ok(Standing { applied: 0, pending: migrations.len() });
    }
    let pending = missing(conn, migrations)?.len();
    Ok(Standing { applied: migrations.len() - pending, pending })
}

fn apply(conn: &Connection, migrations: &[Migration], now: Timestamp) -> Result<usize, MigrateError> {
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum BLOB NOT NULL, \
         applied_at INTEGER NOT NULL) STRICT",
    )?;
    let missing = missing(conn, migrations)?;
    for migration in &missing {
        conn.execute_batch(migration.sql)?;
        conn.execute(
            "INSERT INTO migrations (number, name, checksum, applied_at) VALUES (?1, ?2, ?3, ?4)",
            params![migration.number, migration.name, sha256(migration.sql.as_bytes()), now.as_microsecond()],
        )?;
    }
    Ok(missing.len())
}

/// What was not applied yet.
fn missing<'a>(conn: &Connection, migrations: &'a [Migration]) -> Result<Vec<&'a Migration>, MigrateError> {
    let found: i64 = conn.query_row("SELECT coalesce(max(number), 0) FROM migrations", [], |row| row.get(0))?;
    let known = migrations.last().map_or(0, |newest| newest.number);
    if found > known {
        return Err(MigrateError::Newer { found, known });
    }
    let mut missing = Vec::new();
    for migration in migrations {
        let stored: Option<[u8; 32]> = conn
            .query_row("SELECT checksum FROM migrations WHERE number = ?1", [migration.number], |row| row.get(0))
            .optional()?;
        match stored {
            Some(stored) if stored == sha256(migration.sql.as_bytes()) => {}
            Some(_) => return Err(MigrateError::Changed(migration.number)),
            None => missing.push(migration),
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::{MigrateError, Migration, SQLITE, run};
    use jiff::Timestamp;
    use rusqlite::Connection;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn tables(conn: &Connection) -> i64 {
        conn.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn each_migration_is_applied_once() {
        let conn = Connection::open_in_memory().unwrap();
        assert_eq!(run(&conn, SQLITE, NOW).unwrap(), SQLITE.len());
        assert_eq!(run(&conn, SQLITE, NOW).unwrap(), 0);
    }

    #[test]
    fn numbers_grow_and_names_match_the_files() {
        assert!(SQLITE.is_sorted_by(|a, b| a.number < b.number));
    }

    #[test]
    fn a_newer_or_changed_database_is_refused_untouched() {
        let conn = Connection::open_in_memory().unwrap();
        run(&conn, SQLITE, NOW).unwrap();
        let before = tables(&conn);
        let mut changed = SQLITE.to_vec();
        changed[0].sql = "CREATE TABLE other (a)";
        assert!(matches!(run(&conn, &changed, NOW), Err(MigrateError::Changed(1))));
        conn.execute("INSERT INTO migrations VALUES (999, 'later', x'00', 0)", []).unwrap();
        assert!(matches!(run(&conn, SQLITE, NOW), Err(MigrateError::Newer { found: 999, .. })));
        assert_eq!(tables(&conn), before);
    }

    #[test]
    fn a_failing_migration_leaves_nothing_behind() {
        let conn = Connection::open_in_memory().unwrap();
        let broken = [Migration { number: 1, name: "broken", sql: "CREATE TABLE a (b); CREATE TABEL c" }];
        assert!(matches!(run(&conn, &broken, NOW), Err(MigrateError::Engine(_))));
        assert_eq!(tables(&conn), 0);
    }
}
