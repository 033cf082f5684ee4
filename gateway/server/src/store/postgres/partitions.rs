//! Looks after the tables that are apart by time: their next partitions are made before they are needed, and those that are
//! over and empty go.
//!
//! A thread of its own, since what it runs waits for locks. Of several gateways one does it, by a lease. It waits so shortly
//! for a lock that nobody notices who queues behind it, and when it is refused one (a backup reads the table) it comes again
//! later and later: the next two periods are there already.
//!
//! Rows whose period was not there when they came are moved when it is made, and a statement that is planned at that very moment
//! finds them in neither place. So a period is made while nothing can be in it; `migrate` makes the first.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use causeway_core::clock::{Clock, Entropy};

use super::connect::Connector;
use super::scope::{Among, Limits, Reach, Whose};
use super::text::Use;
use crate::clock::later;
use crate::store::Result;
use crate::store::sql::conn::{Conn, Sql};
use crate::store::sql::rows::{micros, params, sql, value};

/// Between two looks, and after the first that failed.
const EVERY: Duration = Duration::from_hours(1);
const AGAIN: Duration = Duration::from_mins(2);

/// Longer than between two looks: whoever did it last does it next.
const LEASE: Duration = Duration::from_mins(90);
const JOB: &str = "partitions";

const KEEP: Sql = Sql::of("SELECT causeway_keep_partitions(?1)");

const LIMITS: Limits = Limits { pooled: true, statement: 30_000 };
const ANSWER: Duration = Duration::from_secs(33);

/// What is done, and as whom.
pub(super) struct Keeper {
    connector: Arc<Connector>,
    clock: Arc<dyn Clock>,
    owner: String,
}

impl Keeper {
    pub(super) fn new(connector: Arc<Connector>, clock: Arc<dyn Clock>, entropy: &dyn Entropy) -> Self {
        let mut name = [0; 8];
        entropy.fill(&mut name);
        Self { connector, clock, owner: data_encoding::HEXLOWER.encode(&name) }
    }

    /// How many partitions were made and dropped; `None` where another gateway sees to it.
    pub(super) fn keep(&self) -> Result<Option<i64>> {
        let session = self.connector.connect(Use::Write, LIMITS.statement)?;
        session.set_deadline(ANSWER);
        let (conn, now) = (Conn::Postgres(&session), self.clock.now());
        let mut reach = Reach::default();
        session.batch(&reach.begin_apart(LIMITS))?;
        let wish = params![JOB, self.owner, micros(now), micros(later(now, LEASE))];
        let fence = value::<i64>(conn, sql!("job_lease"), wish)?;
        session.batch("COMMIT")?;
        if fence.is_none() {
            return Ok(None);
        }
        reach.add(Whose::Every, Among::Beside);
        session.batch(&reach.begin_apart(LIMITS))?;
        let changed = value(conn, KEEP, params![micros(now)])?;
        session.batch("COMMIT")?;
        Ok(changed)
    }

    fn run(&self, desk: &Desk) {
        let mut again = AGAIN;
        loop {
            let wait = match self.keep() {
                Ok(_) => {
                    again = AGAIN;
                    EVERY
                }
                Err(error) => {
                    tracing::warn!(%error, "partitions were not looked after: tried again");
                    let wait = again;
                    again = (again * 2).min(EVERY);
                    wait
                }
            };
            let closed = desk.closed.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = desk.changed.wait_timeout_while(closed, wait, |closed| !*closed);
            if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                return;
            }
        }
    }
}

#[derive(Default)]
struct Desk {
    closed: Mutex<bool>,
    changed: Condvar,
}

/// The thread.
pub(super) struct Partitions(Arc<Desk>);

impl Partitions {
    pub(super) fn start(keeper: Keeper) -> std::io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let theirs = Arc::clone(&desk);
        std::thread::Builder::new().name("store-partitions".to_owned()).spawn(move || keeper.run(&theirs))?;
        Ok(Self(desk))
    }

    /// It ends; what it is at just now is not waited for: the server finishes or undoes it.
    pub(super) fn close(&self) {
        *self.0.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }
}

impl Drop for Partitions {
    fn drop(&mut self) {
        self.close();
    }
}
