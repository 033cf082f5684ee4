//! Faults of the engines behind scaled-out gateways: which is whose, and Redis's own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::sleep;

use super::{Done, broker, database};
use crate::engines::{Engines, blocking};
use crate::nemesis::schedule::{Fault, Kind};
use crate::nemesis::witness::Growth;
use crate::nemesis::world::World;

pub(super) async fn inject(world: &World, fault: &Fault) -> Result<Done> {
    let engines = world.engines.as_ref().with_context(|| format!("{} needs an engine", fault.kind.name()))?;
    match fault.kind {
        Kind::BrokerKill | Kind::BrokerRestart | Kind::BrokerWipe | Kind::BrokerFreeze => {
            broker::broker(world, engines, fault).await
        }
        Kind::BrokerAlarm => broker::alarm(engines, fault).await,
        Kind::Unroutable => broker::unroutable(world, engines, fault).await,
        Kind::QueueFull => broker::queue_full(world, engines, fault).await,
        Kind::QueueGone => broker::queue_gone(world, engines, fault).await,
        Kind::AckTimeout => broker::ack_timeout(world, engines, fault).await,
        Kind::DatabaseKill | Kind::DatabaseStop => database::database(engines, fault).await,
        Kind::BackendKill => database::sessions(engines, fault).await,
        Kind::FailOver => database::fail_over(world, engines).await,
        Kind::Contention => database::contention(engines, fault).await,
        Kind::Redis => redis(world, engines, fault).await,
        other => bail!("{} is no engine's", other.name()),
    }
}

pub(super) fn seconds(hold: Duration) -> String {
    format!("{:.1} s", hold.as_secs_f64())
}

/// What a gateway counts of calls that Redis did not answer, or not as asked.
const WITHOUT_REDIS: &[(&str, &str)] = &[
    ("causeway_redis_calls_total", "failed"),
    ("causeway_redis_calls_total", "timed_out"),
    ("causeway_redis_calls_total", "bypassed"),
];

/// F30.
async fn redis(world: &World, engines: &Engines, fault: &Fault) -> Result<Done> {
    let hold = fault.hold;
    let without = Growth::of(world, WITHOUT_REDIS).await;
    let kept: u64 = engines.redis(&["DBSIZE"]).await?.trim().parse().unwrap_or(0);
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
            return Ok(Done::if_it(kept > 0, format!("emptied of {kept} keys")));
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
    let without = without.so_far().await;
    Ok(Done::if_it(without > 0, format!("{how}, {}, {without} calls went without it", seconds(hold))))
}
