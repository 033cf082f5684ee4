//! A gateway over PostgreSQL, set up as an operator does it, and the database that comes late, goes and comes back.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use causeway_servers::Postgres;

use crate::people;
use crate::process::{run, until};
use crate::rig::Rig;

const LONG: Duration = Duration::from_secs(60);

/// A database of its own: how the gateway reaches it, and how its owner does.
fn database(postgres: &Postgres) -> Result<[String; 2]> {
    postgres.psql("postgres", "CREATE ROLE gateway LOGIN PASSWORD 'canary-secret'")?;
    let owner = postgres.database()?;
    let (_, at) = owner.rsplit_once('@').context("a DSN names a host")?;
    Ok([format!("postgres://gateway:canary-secret@{at}"), owner])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_comes_late_or_goes_is_waited_for() -> Result<()> {
    let postgres = tokio::task::block_in_place(Postgres::start)?;
    let [dsn, owner] = tokio::task::block_in_place(|| database(&postgres))?;
    let settings = [("CAUSEWAY_STORE_DSN", dsn.as_str()), ("CAUSEWAY_STORE_DIRECT_DSN", owner.as_str())];
    let mut rig = Rig::with(&settings).await?;
    let apply = async |rig: &Rig, name: &str| {
        rig.site.apply(name, &people::document(&format!("{name}@example.org"), &rig.job)).await
    };
    let delivered = async |rig: &Rig, name: &str| {
        let answer = until("it is accepted", LONG, async || {
            let answer = apply(rig, name).await?;
            ensure!(answer.status == 202, "{answer}");
            Ok(answer)
        });
        rig.site.all_are(&answer.await?.id()?, &["delivered"]).await?;
        ensure!(rig.ats.applications_of(&format!("{name}@example.org")).await? == 1, "{name}: once");
        Ok(())
    };
    delivered(&rig, "before").await?;

    tokio::task::block_in_place(|| postgres.kill())?;
    let refused = apply(&rig, "meanwhile").await?;
    ensure!(refused.status == 503 && refused.code() == "store_unavailable", "{refused}");
    tokio::task::block_in_place(|| postgres.restart())?;
    delivered(&rig, "meanwhile").await?;

    ensure!(rig.stop().await?.0.success(), "a clean stop");
    tokio::task::block_in_place(|| postgres.kill())?;
    let log = rig.log();
    let comes_late = until("it waits for the database", LONG, async || {
        ensure!(std::fs::read_to_string(&log)?.contains("the database is waited for"), "it does not say so");
        tokio::task::block_in_place(|| postgres.restart())
    });
    let (started, came) = tokio::join!(rig.start(), comes_late);
    came?;
    started?;
    delivered(&rig, "after").await?;
    ensure!(!std::fs::read_to_string(rig.log())?.contains("canary-secret"), "the password is in the log");

    let data = rig.data();
    let wrong = dsn.replace("canary-secret", "hunter2");
    let settings = [("CAUSEWAY_DATA_DIR", data.to_str().context("a path of ours")?), ("CAUSEWAY_STORE_DSN", &wrong)];
    let ran = run(&settings, &["serve"], "")?;
    ensure!(ran.code == 1 && ran.stderr.contains("check store.dsn") && !ran.stderr.contains("hunter2"), "{ran:?}");
    Ok(())
}
