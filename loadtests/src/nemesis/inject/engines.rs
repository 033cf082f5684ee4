//! Faults of the engines behind scaled-out gateways: the broker's, the database's, and Redis's.
//!
//! What a person would have to mend (a queue that is gone, or another of its name) is mended here by `causeway migrate`,
//! as the gateway's own words advise.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use causeway_servers::Postgres;
use tokio::time::sleep;

use super::Done;
use crate::engines::{Engines, blocking};
use crate::nemesis::schedule::{Fault, Kind};
use crate::nemesis::world::World;
use crate::proxy::{Proxy, Rules};
use crate::rig;

const CONNECTORS: [&str; 2] = ["greenhouse", "hubspot"];
const RESOURCE: &str = "<<\"causeway\">>";

pub(super) async fn inject(world: &World, fault: &Fault) -> Result<Done> {
    let engines = world.engines.as_ref().with_context(|| format!("{} needs an engine", fault.kind.name()))?;
    match fault.kind {
        Kind::BrokerKill | Kind::BrokerRestart | Kind::BrokerWipe | Kind::BrokerFreeze => broker(engines, fault).await,
        Kind::BrokerAlarm => alarm(engines, fault).await,
        Kind::Unroutable => unroutable(world, engines, fault).await,
        Kind::QueueFull => queue_full(engines, fault).await,
        Kind::QueueGone => queue_gone(world, engines, fault).await,
        Kind::AckTimeout => ack_timeout(world, engines, fault).await,
        Kind::DatabaseKill | Kind::DatabaseStop => database(engines, fault).await,
        Kind::BackendKill => sessions(engines, fault).await,
        Kind::FailOver => fail_over(world, engines).await,
        Kind::Contention => contention(engines, fault).await,
        Kind::Redis => redis(engines, fault).await,
        other => bail!("{} is no engine's", other.name()),
    }
}

fn seconds(hold: Duration) -> String {
    format!("{:.1} s", hold.as_secs_f64())
}

/// F7 and F8.
async fn broker(engines: &Engines, fault: &Fault) -> Result<Done> {
    let (broker, kind, hold) = (Arc::clone(&engines.broker), fault.kind, fault.hold);
    blocking(move || {
        match kind {
            Kind::BrokerWipe => return broker.wipe(),
            Kind::BrokerFreeze => {
                broker.freeze()?;
                std::thread::sleep(hold);
                return broker.thaw();
            }
            Kind::BrokerRestart => broker.stop()?,
            _ => broker.kill()?,
        }
        std::thread::sleep(hold);
        broker.restart()
    })
    .await?;
    let back = engines.consumers_are_back(&CONNECTORS).await?;
    Ok(Done::shown(format!("for {}, consumers back after {}", seconds(hold), seconds(back))))
}

/// F9: publishers are blocked, consumers go on.
async fn alarm(engines: &Engines, fault: &Fault) -> Result<Done> {
    let (begin, end) = if fault.draw.is_multiple_of(2) {
        (["set_vm_memory_high_watermark", "absolute", "1MB"].to_vec(), ["set_vm_memory_high_watermark", "0.4"].to_vec())
    } else {
        (["set_disk_free_limit", "999GB"].to_vec(), ["set_disk_free_limit", "50MB"].to_vec())
    };
    engines.rabbitmqctl(&begin).await?;
    sleep(fault.hold).await;
    let alarms = engines.rabbitmqctl(&["eval", "rabbit_alarm:get_alarms()."]).await?;
    engines.rabbitmqctl(&end).await?;
    Ok(Done::if_it(alarms.contains("resource_limit"), format!("{} for {}", begin[0], seconds(fault.hold))))
}

fn connector(draw: u64) -> &'static str {
    CONNECTORS[usize::from(!draw.is_multiple_of(2))]
}

/// F10: what is rung goes nowhere and comes back.
async fn unroutable(world: &World, engines: &Engines, fault: &Fault) -> Result<Done> {
    let connector = connector(fault.draw);
    let removed = engines.unbind(connector).await?;
    sleep(fault.hold).await;
    world.migrate().await?;
    Ok(Done::if_it(removed, format!("{connector} for {}", seconds(fault.hold))))
}

/// F11.
async fn queue_full(engines: &Engines, fault: &Fault) -> Result<Done> {
    let pattern = format!("^causeway\\.{}\\.", connector(fault.draw));
    let policy = ["set_policy", "-p", "causeway", "nemesis", &pattern, r#"{"max-length":0}"#, "--apply-to", "queues"];
    engines.rabbitmqctl(&policy).await?;
    sleep(fault.hold).await;
    engines.rabbitmqctl(&["clear_policy", "-p", "causeway", "nemesis"]).await?;
    Ok(Done::shown(format!("{} for {}", connector(fault.draw), seconds(fault.hold))))
}

/// F12.
async fn queue_gone(world: &World, engines: &Engines, fault: &Fault) -> Result<Done> {
    let connector = connector(fault.draw);
    let queue = format!("causeway.{connector}.v1");
    let delete = ["delete_queue", "-p", "causeway", &queue];
    engines.rabbitmqctl(&delete).await?;
    let otherwise = fault.draw % 4 > 1;
    if otherwise {
        let declare = format!(
            "rabbit_amqqueue:declare({{resource, {RESOURCE}, queue, <<\"{queue}\">>}}, true, false, [], none, <<\"nemesis\">>)."
        );
        engines.rabbitmqctl(&["eval", &declare]).await?;
    }
    sleep(fault.hold).await;
    if otherwise {
        // It may be in use by nobody or, if the gateway was faster, be the right one again.
        engines.rabbitmqctl(&delete).await?;
    }
    world.migrate().await?;
    let back = engines.consumers_are_back(&CONNECTORS).await?;
    let how = if otherwise { "declared otherwise" } else { "deleted" };
    Ok(Done::shown(format!("{connector}, {how}, consumers back after {}", seconds(back))))
}

/// F13: the broker gives up consumers that do not acknowledge, while a vendor never answers.
async fn ack_timeout(world: &World, engines: &Engines, fault: &Fault) -> Result<Done> {
    let set = |ms: u64| format!("application:set_env(rabbit, consumer_timeout, {ms}).");
    engines.rabbitmqctl(&["eval", &set(5_000)]).await?;
    let hang = serde_json::json!({ "operation": "*", "probability": 0.5, "do": "hang" });
    let hung = world.vendors.play_for(crate::checker::Vendor::Crm, &[hang], fault.hold).await?;
    engines.rabbitmqctl(&["eval", &set(1_800_000)]).await?;
    Ok(Done::if_it(hung > 0, format!("5 s, {hung} calls hung for {}", seconds(fault.hold))))
}

/// F14.
async fn database(engines: &Engines, fault: &Fault) -> Result<Done> {
    let (primary, kind, hold) = (engines.primary(), fault.kind, fault.hold);
    blocking(move || {
        match kind {
            Kind::DatabaseStop => primary.stop_immediate()?,
            _ => primary.kill()?,
        }
        std::thread::sleep(hold);
        primary.restart()
    })
    .await?;
    Ok(Done::shown(format!("for {}", seconds(hold))))
}

/// F14: one session ended, all of them, or one process killed, which makes the database recover.
async fn sessions(engines: &Engines, fault: &Fault) -> Result<Done> {
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
async fn fail_over(world: &World, engines: &Engines) -> Result<Done> {
    const NAME: &str = "nemesis";
    let (primary, synchronous) = (engines.primary(), world.synchronous);
    let replication = Proxy::start(([127, 0, 0, 1], primary.port()).into(), 1).await?;
    let through = format!(
        "host=127.0.0.1 port={} user=postgres password={} application_name={NAME}",
        replication.address.port(),
        primary.password()
    );
    let standby = blocking(move || {
        let standby = Postgres::standby_of(&primary, NAME, &[("max_connections", "100")])?;
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
    for link in world.links.iter().filter(|link| link.name.starts_with("store")) {
        link.proxy.lead_to(([127, 0, 0, 1], port).into());
        link.proxy.cut();
    }
    Ok(Done::shown(format!("{wanted} standby promoted")))
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

/// F17: a lock on what the gateways write, and their statements cancelled.
async fn contention(engines: &Engines, fault: &Fault) -> Result<Done> {
    let table = if fault.draw.is_multiple_of(2) { "deliveries" } else { "submissions" };
    let lock = format!(
        "BEGIN; LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE; SELECT pg_sleep({}); ROLLBACK",
        fault.hold.as_secs_f64()
    );
    let until = Instant::now() + fault.hold;
    let cancelling = async {
        let mut cancelled = 0;
        while Instant::now() < until {
            let waiting =
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'gateway' AND state = 'active'";
            cancelled += engines.sql(waiting).await?.lines().filter(|line| line.trim() == "t").count();
            sleep(Duration::from_millis(250)).await;
        }
        Ok::<usize, anyhow::Error>(cancelled)
    };
    let (locked, cancelled) = tokio::join!(engines.sql(lock), cancelling);
    let (locked, cancelled) = (locked.is_ok(), cancelled?);
    Ok(Done::if_it(locked, format!("{table} for {}, {cancelled} statements cancelled", seconds(fault.hold))))
}

/// F30.
async fn redis(engines: &Engines, fault: &Fault) -> Result<Done> {
    let hold = fault.hold;
    let redis = Arc::clone(&engines.redis);
    let how = match fault.draw % 6 {
        0 => {
            blocking(move || {
                redis.kill()?;
                std::thread::sleep(hold);
                redis.restart()
            })
            .await?;
            "killed"
        }
        1 => {
            blocking(move || {
                redis.freeze()?;
                std::thread::sleep(hold);
                redis.thaw()
            })
            .await?;
            "frozen"
        }
        2 => {
            engines.redis(&["FLUSHALL"]).await?;
            "emptied"
        }
        3 => {
            engines.redis(&["CONFIG", "SET", "maxmemory", "1"]).await?;
            sleep(hold).await;
            engines.redis(&["CONFIG", "SET", "maxmemory", "0"]).await?;
            "out of memory"
        }
        4 => {
            engines.redis(&["REPLICAOF", "127.0.0.1", "1"]).await?;
            sleep(hold).await;
            engines.redis(&["REPLICAOF", "NO", "ONE"]).await?;
            "read-only"
        }
        _ => {
            let busy = format!(
                "local t = redis.call('TIME') local u = t[1] * 1000 + t[2] / 1000 + {} repeat t = redis.call('TIME') \
                 until t[1] * 1000 + t[2] / 1000 > u return 1",
                hold.as_millis().min(3_000)
            );
            engines.redis(&["EVAL", &busy, "0"]).await?;
            "busy with a script"
        }
    };
    Ok(Done::shown(format!("{how}, {}", seconds(hold))))
}
