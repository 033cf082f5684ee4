//! Commits an application's deliveries apart from the application: takes the rows out again and puts them back in a
//! transaction of their own, a little later. What a service does that stores first and enqueues afterwards.

use std::path::{Path, PathBuf};
use std::time::Duration;

use causeway_core::ids::SubmissionId;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

/// The window between the two commits.
const LATER: Duration = Duration::from_millis(60);

/// Returns once the deliveries are gone; they come back by themselves, if the process lives.
pub(crate) async fn commit_deliveries_later(database: PathBuf, submission: SubmissionId) {
    let id = submission.as_uuid().as_bytes().to_vec();
    let taken = tokio::task::spawn_blocking({
        let database = database.clone();
        move || take(&database, &id)
    })
    .await;
    let Ok(Ok(rows)) = taken else { return };
    #[expect(clippy::disallowed_methods, reason = "nobody waits for it: that is the broken promise")]
    tokio::spawn(async move {
        tokio::time::sleep(LATER).await;
        drop(tokio::task::spawn_blocking(move || put_back(&database, &rows)).await);
    });
}

fn open(database: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(database)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    Ok(connection)
}

/// The rows of the application's deliveries, removed.
fn take(database: &Path, submission: &[u8]) -> rusqlite::Result<Vec<Vec<Value>>> {
    let mut connection = open(database)?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let rows = {
        let mut select = transaction.prepare("SELECT * FROM deliveries WHERE submission = ?1 AND state = 'queued'")?;
        let columns = select.column_count();
        select
            .query_map([submission], |row| (0..columns).map(|column| row.get(column)).collect())?
            .collect::<rusqlite::Result<Vec<Vec<Value>>>>()?
    };
    transaction.execute("DELETE FROM deliveries WHERE submission = ?1 AND state = 'queued'", [submission])?;
    transaction.commit()?;
    Ok(rows)
}

fn put_back(database: &Path, rows: &[Vec<Value>]) -> rusqlite::Result<()> {
    let mut connection = open(database)?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    for row in rows {
        // The row number may have been given away meanwhile.
        let mut row = row.clone();
        row[0] = Value::Null;
        let marks = vec!["?"; row.len()].join(", ");
        transaction.execute(&format!("INSERT INTO deliveries VALUES ({marks})"), params_from_iter(&row))?;
    }
    transaction.commit()
}
