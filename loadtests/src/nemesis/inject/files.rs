//! The embedded database's file locked by others, and the disk full. Locks are taken through the bundled SQLite: another
//! version beside a running gateway could do what no fault should, such as end its log.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rusqlite::Connection;
use tokio::time::sleep;

use super::Done;
use crate::disk::free_bytes;
use crate::engines::{Engines, blocking};
use crate::nemesis::schedule::{Fault, Part};
use crate::nemesis::world::World;

/// F18: a lock that lets nobody write.
pub(super) async fn locked(world: &World, hold: Duration) -> Result<Done> {
    let database = world.place.data.join("causeway.db");
    let held = tokio::task::spawn_blocking(move || {
        let connection = open(&database)?;
        connection.execute_batch("BEGIN EXCLUSIVE")?;
        std::thread::sleep(hold);
        connection.execute_batch("ROLLBACK")
    });
    done(held.await.context("the holder of the lock")?, format!("BEGIN EXCLUSIVE for {:.1} s", hold.as_secs_f64()))
}

/// F18: a snapshot that keeps the log from being started over.
pub(super) async fn long_reader(world: &World, hold: Duration) -> Result<Done> {
    let database = world.place.data.join("causeway.db");
    let log = database.with_extension("db-wal");
    let held = tokio::task::spawn_blocking(move || {
        let connection = open(&database)?;
        connection.execute_batch("BEGIN")?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
        std::thread::sleep(hold);
        connection.execute_batch("ROLLBACK")
    });
    let held = held.await.context("the reader")?;
    // It may have been started over in this moment.
    let size = std::fs::metadata(&log).map_or(0, |found| found.len()) >> 20;
    done(held, format!("for {:.1} s, the log at {size} MB", hold.as_secs_f64()))
}

/// A file system that is full, or a gateway that starts, may keep the lock from being taken: then nothing was shown.
fn done(held: rusqlite::Result<()>, what: String) -> Result<Done> {
    match held {
        Ok(()) => Ok(Done::shown(what)),
        Err(error) => Ok(Done::if_it(false, format!("{what}: {error}"))),
    }
}

fn open(database: &PathBuf) -> rusqlite::Result<Connection> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// F19: filled to the last block, then freed: the gateways' disk or the database's.
pub(super) async fn disk_full(world: &World, fault: &Fault) -> Result<Done> {
    // Once it has failed over, its files are elsewhere.
    let its_own = |engines: &&Engines| !fault.draw.is_multiple_of(2) && !engines.has_failed_over();
    let of_database = world.engines.as_ref().filter(its_own);
    let _part = match of_database {
        Some(_) => Some(world.part(Part::Database).await),
        None => None,
    };
    let its = of_database.and_then(|engines| engines.disk.as_ref());
    let (disk, whose) = its.map_or((&world.disk, "the gateway's"), |disk| (disk, "the database's"));
    let filler = disk.fill()?;
    let left = free_bytes(&disk.folder)?;
    sleep(fault.hold).await;
    drop(filler);
    if let Some(engines) = of_database {
        // It ends when it cannot write its log, and whoever runs it starts it again.
        let primary = engines.primary();
        blocking(move || if primary.answers() { Ok(()) } else { primary.restart() }).await?;
    }
    Ok(Done::if_it(left < 1 << 20, format!("{whose}, {left} bytes left for {:.1} s", fault.hold.as_secs_f64())))
}
