//! What PostgreSQL itself takes: a bare `UNNEST` insert of the same bytes as an accept stores, 64 applications a commit, two
//! writers, on the same server as the gateway that is measured beside it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio_postgres::{Client, NoTls};

use crate::accept::{futures_join, new_id};

const APPLICATIONS_PER_COMMIT: u64 = 64;
const WRITERS: u64 = 2;

const TABLES: &str = "
    DROP TABLE IF EXISTS bare_delivery, bare_body;
    CREATE TABLE bare_body (id bytea NOT NULL, tenant bytea NOT NULL, content bytea NOT NULL);
    ALTER TABLE bare_body ALTER COLUMN content SET STORAGE EXTERNAL;
    CREATE UNIQUE INDEX bare_body_tenant ON bare_body (tenant, id);
    CREATE TABLE bare_delivery (id bytea PRIMARY KEY, body bytea NOT NULL, account bytea NOT NULL, due_at bigint);
    CREATE INDEX bare_delivery_due ON bare_delivery (account, due_at) WHERE due_at IS NOT NULL;";

/// One statement and so one commit: bodies, and two deliveries for each.
const INSERT: &str = "
    WITH bodies AS (INSERT INTO bare_body SELECT * FROM UNNEST($1::bytea[], $2::bytea[], $3::bytea[]))
    INSERT INTO bare_delivery SELECT * FROM UNNEST($4::bytea[], $5::bytea[], $6::bytea[], $7::bigint[])";

/// Applications per second.
pub(crate) async fn ceiling(dsn: &str, body: &[u8], length: Duration) -> Result<f64> {
    let (owner, _connection) = connect(dsn).await?;
    owner.batch_execute(TABLES).await?;
    let started = Instant::now();
    let writers = (0..WRITERS).map(|writer| write(dsn, body, writer, started + length));
    let rows: u64 = futures_join(writers).await?.into_iter().sum();
    let took = started.elapsed();
    owner.batch_execute("DROP TABLE bare_delivery, bare_body").await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of applications")]
    Ok(rows as f64 / took.as_secs_f64())
}

async fn write(dsn: &str, body: &[u8], writer: u64, until: Instant) -> Result<u64> {
    let (client, _connection) = connect(dsn).await?;
    let insert = client.prepare(INSERT).await?;
    let (tenant, accounts) = (new_id(1, 7), [new_id(1, 8), new_id(1, 9)]);
    let mut rows = 0;
    while Instant::now() < until {
        let ids: Vec<Vec<u8>> =
            (0..APPLICATIONS_PER_COMMIT).map(|row| new_id((rows + row) * WRITERS + writer + 1, writer)).collect();
        let tenants = vec![&tenant[..]; ids.len()];
        let bodies = vec![body; ids.len()];
        let twice = |kind: u64| ids.iter().map(move |id| [&kind.to_be_bytes()[6..], &id[..]].concat());
        let deliveries: Vec<Vec<u8>> = twice(1).chain(twice(2)).collect();
        let of: Vec<&Vec<u8>> = ids.iter().chain(&ids).collect();
        let to: Vec<&[u8]> = accounts.iter().flat_map(|account| vec![&account[..]; ids.len()]).collect();
        let due: Vec<i64> = vec![i64::try_from(rows)?; of.len()];
        client.execute(&insert, &[&ids, &tenants, &bodies, &deliveries, &of, &to, &due]).await?;
        rows += APPLICATIONS_PER_COMMIT;
    }
    Ok(rows)
}

/// The connection is driven until the guard is dropped.
async fn connect(dsn: &str) -> Result<(Client, tokio::task::JoinSet<()>)> {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.context("connecting to the database")?;
    let mut driving = tokio::task::JoinSet::new();
    driving.spawn(async move {
        // Whoever waits for an answer on it sees the error.
        drop(connection.await);
    });
    Ok((client, driving))
}
