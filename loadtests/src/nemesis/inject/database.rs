//! Faults of the database behind scaled-out gateways: ended, failed over, and in the gateways' way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use causeway_servers::Postgres;
use tokio::time::sleep;

use super::Done;
use super::engines::seconds;
use crate::engines::{Engines, STANDARD, blocking};
use crate::nemesis::schedule::{Fault, Kind};
use crate::nemesis::witness::Mark;
use crate::nemesis::world::World;
use crate::proxy::{Proxy, Rules};
use crate::rig;

/// F14. Whoever had a session has none any more.
pub(super) async fn database(engines: &Engines, fault: &Fault) -> Result<Done> {
    let (primary, kind, hold) = (engines.primary(), fault.kind, fault.hold);
    let sessions = engines.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'gateway'").await?;
    let sessions: u64 = sessions.trim().parse()?;
    let was_down = blocking(move || {
        match kind {
            Kind::DatabaseStop => primary.stop_immediate()?,
            _ => primary.kill()?,
        }
        std::thread::sleep(hold);
        let was_down = !primary.answers();
        primary.restart()?;
        Ok(was_down)
    })
    .await?;
    Ok(Done::if_it(was_down && sessions > 0, format!("for {}, {sessions} sessions lost", seconds(hold))))
}

/// F14: one session ended, all of them, or one process killed, which makes the database recover.
pub(super) async fn sessions(engines: &Engines, fault: &Fault) -> Result<Done> {
    let of_the_gateways = "FROM pg_stat_activity WHERE usename = 'gateway'";
    let (ended, how) = match fault.draw % 3 {
        0 => (engines.sql(format!("SELECT pg_terminate_backend(pid) {of_the_gateways} LIMIT 1")).await?, "one ended"),
        1 => (engines.sql(format!("SELECT pg_terminate_backend(pid) {of_the_gateways}")).await?, "all ended"),
        _ => {
            let pid = engines.sql(format!("SELECT pid {of_the_gateways} LIMIT 1")).await?;
            if let Ok(pid) = pid.trim().parse() {
                rig::signal(pid, "KILL")?;
                let primary = engines.primary();
                // Until it has noticed, it still answers.
                sleep(Duration::from_millis(300)).await;
                blocking(move || primary.wait()).await?;
            }
            (pid, "one killed")
        }
    };
    Ok(Done::if_it(!ended.trim().is_empty(), how))
}

/// F16: a standby that every commit waits for takes over. In the control no commit waits, and the standby hears nothing of
/// the last two seconds.
pub(super) async fn fail_over(world: &World, engines: &Engines) -> Result<Done> {
    const NAME: &str = "nemesis";
    let (primary, synchronous) = (engines.primary(), world.synchronous);
    let replication = Proxy::start(([127, 0, 0, 1], primary.port()).into(), 1).await?;
    let through = format!(
        "host=127.0.0.1 port={} user=postgres password={} application_name={NAME}",
        replication.address.port(),
        primary.password()
    );
    let standby = blocking(move || {
        let standby = Postgres::standby_of(&primary, NAME, &STANDARD)?;
        standby.set("primary_conninfo", &through)?;
        if synchronous {
            primary.set("synchronous_standby_names", NAME)?;
        }
        Ok(Arc::new(standby))
    })
    .await?;
    let wanted = if synchronous { "sync" } else { "async" };
    replicates(engines, wanted).await?;
    // What is acknowledged from here on is there, or it is not.
    sleep(Duration::from_secs(2)).await;
    if !synchronous {
        replication.set(Rules::partition());
        sleep(Duration::from_secs(2)).await;
    }
    let (primary, promoted) = (engines.primary(), Arc::clone(&standby));
    blocking(move || {
        primary.kill()?;
        drop(replication);
        promoted.promote()
    })
    .await?;
    let port = standby.port();
    engines.promoted(standby);
    let promoted_at = world.clock.now();
    for link in world.links.iter().filter(|link| link.name.starts_with("store")) {
        link.proxy.lead_to(([127, 0, 0, 1], port).into());
        link.proxy.cut();
    }
    // The gateways have to find it.
    let deadline = Instant::now() + Duration::from_secs(30);
    let at_it = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'gateway'";
    while engines.sql(at_it).await?.trim() == "0" && Instant::now() < deadline {
        sleep(Duration::from_millis(100)).await;
    }
    let found = engines.sql(at_it).await?.trim() != "0";
    Ok(Done::if_it(found, format!("{wanted} standby promoted")).at(promoted_at))
}

async fn replicates(engines: &Engines, wanted: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let state = engines.sql("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'").await?;
        if state.lines().any(|line| line.trim() == wanted) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the standby is not {wanted}: {state}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// What the gateways' statements end with here, as the database's log says it: a deadlock, a lock or a statement waited for
/// too long or cancelled, and transactions in each other's way.
const CONTENDED: &[&str] = &["gateway 40P01", "gateway 55P03", "gateway 57014", "gateway 40001"];
/// A little more than a gateway waits for a lock.
const LOCKED: Duration = Duration::from_millis(6_500);

/// F17: locks on what the gateways write, held longer than they wait; two locks taken the other way round; and their
/// statements cancelled. The database's log says what came of it.
pub(super) async fn contention(engines: &Engines, fault: &Fault) -> Result<Done> {
    let log = Mark::at_the_end_of(&engines.primary().folder().join("log"));
    let (how, done) = match fault.draw % 3 {
        0 => ("locked for long", engines.sql(lock("deliveries", LOCKED)).await),
        1 => ("locked the other way round", the_other_way_round(engines).await),
        _ => ("cancelled", cancelled(engines, fault).await),
    };
    let by_state: Vec<String> = CONTENDED
        .iter()
        .map(|state| Ok(format!("{} {}", log.lines_with(&[*state])?, state.trim_start_matches("gateway "))))
        .collect::<Result<_>>()?;
    let failed = log.lines_with(CONTENDED)?;
    // A lock may have been ended with the session that held it: by what went on beside it.
    let held = if done.is_ok() { "" } else { ", cut short" };
    Ok(Done::if_it(failed > 0, format!("{how}{held}: {}", by_state.join(", "))))
}

fn lock(table: &str, hold: Duration) -> String {
    format!("BEGIN; LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE; SELECT pg_sleep({}); ROLLBACK", hold.as_secs_f64())
}

/// An accept writes submissions and then deliveries. Whoever waits longest gives up first: not this session.
async fn the_other_way_round(engines: &Engines) -> Result<String> {
    let mut last = String::new();
    for _ in 0..4 {
        let locks = "SET deadlock_timeout = '8s'; BEGIN; LOCK TABLE deliveries IN SHARE ROW EXCLUSIVE MODE; \
                     SELECT pg_sleep(0.4); LOCK TABLE submissions IN SHARE ROW EXCLUSIVE MODE; ROLLBACK";
        last = engines.sql(locks).await?;
    }
    Ok(last)
}

async fn cancelled(engines: &Engines, fault: &Fault) -> Result<String> {
    let until = Instant::now() + fault.hold;
    let cancelling = async {
        while Instant::now() < until {
            let waiting =
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'gateway' AND state = 'active'";
            engines.sql(waiting).await?;
            sleep(Duration::from_millis(250)).await;
        }
        Ok::<(), anyhow::Error>(())
    };
    let (locked, cancelled) = tokio::join!(engines.sql(lock("submissions", fault.hold)), cancelling);
    cancelled?;
    locked
}
