//! Migrations: numbered SQL texts, applied in order by the owner, each in a transaction of its own, each remembered by its
//! checksum.
//!
//! One process migrates at a time; a killed one is gone on with by the next. Migrations only ever go forward, and only add,
//! or replace an index: gateways of the version before go on meanwhile. A migration says from which on a program has to know
//! it; an older program than that is refused, and so is one whose texts are not those that were applied.

use causeway_core::pii::Secret;
use jiff::Timestamp;

use super::connect::Connector;
use super::session::Session;
use super::text::Use;
use crate::hash::sha256;
use crate::store::StoreError;
use crate::store::sql::conn::{FromValue, Sql};
use crate::store::sql::errors::Stop;

/// One numbered text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    number: i64,
    name: &'static str,
    sql: &'static str,
    /// The oldest migration a program may know as its newest and still run on this database.
    least: i64,
}

#[cfg(test)]
impl Migration {
    pub(super) const fn name(&self) -> &'static str {
        self.name
    }
}

macro_rules! migrations {
    ($($number:literal $name:literal from $least:literal;)*) => {
        &[$(Migration {
            number: $number,
            name: $name,
            sql: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
            least: $least,
        }),*]
    };
}

/// Every migration, in order.
pub(super) const ALL: &[Migration] = migrations! {
    1 "0001-first" from 3;
    2 "0002-tenants-apart" from 3;
    3 "0003-partitions" from 3;
    4 "0004-keys-to-forget" from 3;
};

/// Why the database was not migrated, or is not used.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A newer program made it what it is.
    #[error(
        "the database has migration {found} and needs a program that knows {least}; this one knows {known}: run a newer"
    )]
    Newer {
        /// The newest applied.
        found: i64,
        /// What a program has to know.
        least: i64,
        /// The newest known here.
        known: i64,
    },
    /// What was applied is not what this program would apply.
    #[error("migration {0} is not the one that was applied to this database")]
    Changed(i64),
    /// The engine refused.
    #[error("migration {number} failed: nothing of it was applied")]
    Failed {
        /// Which.
        number: i64,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// It cannot be reached, or does not let the owner in.
    #[error("the database cannot be migrated")]
    Store(#[from] StoreError),
}

impl From<Stop> for MigrateError {
    fn from(stop: Stop) -> Self {
        Self::Store(stop.into())
    }
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The names of what was applied now.
    pub applied: Vec<&'static str>,
    /// The gateway's role, when it was let in now or before.
    pub let_in: Option<String>,
}

/// Who migrates holds this.
const LOCK: &str = "SELECT pg_advisory_lock(hashtext('causeway migrations'))";

/// Longer than any migration of a large table takes.
const STATEMENT: u32 = 3_600_000;

/// Brings the database to this program's newest migration, and lets the role of `dsn` in.
///
/// # Errors
/// When the database cannot be reached, is newer, or a migration fails. What was applied before that stays.
pub fn migrate(owner: &Secret, dsn: &Secret, now: Timestamp) -> Result<Migrated, MigrateError> {
    let role = Connector::new(dsn, false)?.role().map(str::to_owned);
    let session = Connector::new(owner, false)?.connect(Use::Write, STATEMENT)?;
    session.set_deadline(std::time::Duration::from_millis(u64::from(STATEMENT)));
    session.batch("SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0")?;
    session.batch(LOCK)?;
    session.batch(
        "CREATE TABLE IF NOT EXISTS migrations (number bigint PRIMARY KEY, name text NOT NULL, checksum bytea NOT NULL, \
         applied_at bigint NOT NULL, least bigint NOT NULL)",
    )?;
    let mut applied = Vec::new();
    for migration in missing(&session, ALL)? {
        apply(&session, migration, now).map_err(|stop| {
            // What the engine says stands in its own log: its text may quote rows.
            MigrateError::Failed { number: migration.number, source: stop.into() }
        })?;
        applied.push(migration.name);
    }
    session.batch("GRANT SELECT ON migrations TO causeway_gateway")?;
    let let_in = role.map(|role| let_in(&session, &role).map(|()| role)).transpose()?;
    Ok(Migrated { applied, let_in })
}

fn apply(session: &Session, migration: &Migration, now: Timestamp) -> Result<(), Stop> {
    // The time-out that waits for locks is short: a migration that waits keeps every gateway waiting behind it.
    session.batch("BEGIN; SET LOCAL lock_timeout = '5s'")?;
    // A migration becomes the tables' owner, who has no right to this table; whoever migrates need not be a superuser.
    let done = session.batch(migration.sql).and_then(|()| session.batch("RESET ROLE")).and_then(|()| {
        session.execute(
            "INSERT INTO migrations (number, name, checksum, applied_at, least) VALUES (?1, ?2, ?3, ?4, ?5)",
            &[
                &migration.number,
                &migration.name,
                &sha256(migration.sql.as_bytes()),
                &now.as_microsecond(),
                &migration.least,
            ],
        )
    });
    session.take_trouble();
    match done {
        Ok(_) => session.batch("COMMIT"),
        Err(stop) => {
            session.batch("ROLLBACK")?;
            Err(stop)
        }
    }
}

/// The gateway logs in as a role of its own and becomes the one that has the rights.
fn let_in(session: &Session, role: &str) -> Result<(), StoreError> {
    let quoted = role.replace('"', "\"\"");
    session.batch(&format!("GRANT causeway_gateway TO \"{quoted}\"")).map_err(|_| {
        StoreError::Failed("the role of store.dsn is not there: make it with CREATE ROLE … LOGIN PASSWORD …".to_owned())
    })
}

/// How a database stands to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) applied: usize,
    pub(super) pending: usize,
}

/// Looks, and changes nothing.
pub(super) fn standing(session: &Session) -> Result<Standing, MigrateError> {
    if session.text("SELECT to_regclass('migrations')::text")?.is_none() {
        return Ok(Standing { applied: 0, pending: ALL.len() });
    }
    let pending = missing(session, ALL)?.len();
    Ok(Standing { applied: ALL.len() - pending, pending })
}

/// What was not applied yet.
fn missing<'a>(session: &Session, migrations: &'a [Migration]) -> Result<Vec<&'a Migration>, MigrateError> {
    const APPLIED: Sql = Sql::of("SELECT number, checksum, least FROM migrations ORDER BY number");
    let mut applied = Vec::new();
    for row in session.query(APPLIED.postgres, &[])? {
        let corrupt = || MigrateError::Store(StoreError::Corrupt("migrations"));
        let number = i64::from_value(row.value("number")?).ok_or_else(corrupt)?;
        let checksum = Vec::<u8>::from_value(row.value("checksum")?).ok_or_else(corrupt)?;
        applied.push((number, checksum, i64::from_value(row.value("least")?).ok_or_else(corrupt)?));
    }
    let known = migrations.last().map_or(0, |newest| newest.number);
    let least = applied.iter().map(|(_, _, least)| *least).max().unwrap_or(0);
    if let Some((found, _, _)) = applied.last()
        && *found > known
        && least > known
    {
        return Err(MigrateError::Newer { found: *found, least, known });
    }
    let mut missing = Vec::new();
    for migration in migrations {
        match applied.iter().find(|(number, _, _)| *number == migration.number) {
            Some((_, checksum, _)) if checksum[..] == sha256(migration.sql.as_bytes()) => {}
            Some(_) => return Err(MigrateError::Changed(migration.number)),
            None => missing.push(migration),
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn numbers_grow_and_names_begin_with_them() {
        assert!(ALL.is_sorted_by(|a, b| a.number < b.number));
        for migration in ALL {
            assert!(migration.name.starts_with(&format!("{:04}-", migration.number)));
            assert!(migration.least <= ALL.last().unwrap().number);
        }
    }
}
