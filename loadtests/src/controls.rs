//! The controls: gateways with one promise broken, which the checker has to catch. A run that finds no violation, or that is
//! void, has noticed nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::nemesis::{self, Kind};
use crate::trust::{self, Precaution};
use crate::{crash, order, show};

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Control {
    /// The application and its deliveries are committed apart.
    TwoCommits,
    /// The answer does not wait for the sync.
    SyncOff,
    /// "Not seen" is believed before the vendor can show it.
    NoLag,
    /// Everybody is told before anything is stored.
    RingWithoutRow,
    /// A message is acknowledged when it is heard, not when what it caused is claimed.
    AutoAck,
    /// The broker is not asked whether a message is safe.
    NoConfirms,
    /// What no queue took is not given back.
    NoMandatory,
    /// Callers' keys are kept in Redis alone.
    RedisOnly,
    /// The database that takes over was not waited for.
    AsynchronousFailOver,
}

impl Control {
    pub(crate) async fn run(self, kills: u64, submissions: u64, json: bool) -> Result<bool> {
        match self {
            Self::TwoCommits => crashed("two-commits", kills, submissions, json).await,
            Self::RingWithoutRow => {
                // At most a kill every other second: each has to find one answered and not stored yet.
                let plan = scaled_plan(Some("ring-without-row"), kills.max(12), &[Kind::Kill], submissions);
                let report = nemesis::run(&plan).await?;
                show(json, &report, &noticed(&report.violations))
            }
            Self::SyncOff => {
                let report = order::run(Some("sync-off")).await?;
                show(json, &report, &report.violations)
            }
            Self::NoLag => {
                let mut plan = crash_plan(Some("no-lag"), kills, submissions, 1);
                plan.lag = Duration::from_secs(6);
                plan.claimed_lag = plan.lag;
                plan.lost_answers = 0.1;
                let report = crash::run(&plan).await?;
                show(json, &report, &noticed(&report.violations))
            }
            Self::AutoAck => queue(Precaution::Ack, json).await,
            Self::NoConfirms => queue(Precaution::Confirms, json).await,
            Self::NoMandatory => queue(Precaution::Mandatory, json).await,
            Self::RedisOnly => {
                let plan = scaled_plan(Some("redis-only"), 16, &[Kind::Redis, Kind::Network], submissions);
                let report = nemesis::run(&plan).await?;
                show(json, &report, &noticed(&report.violations))
            }
            Self::AsynchronousFailOver => {
                let plan = |broken| scaled_plan(broken, 1, &[Kind::FailOver], submissions);
                // The same with commits that wait for the standby: what is missing then is not the standby's.
                let waited_for = nemesis::run(&plan(None)).await?;
                ensure!(
                    waited_for.verdict.lost == 0,
                    "{} lost although commits waited: {:?}",
                    waited_for.verdict.lost,
                    waited_for.verdict.examples
                );
                let report = nemesis::run(&plan(Some("asynchronous-fail-over"))).await?;
                show(json, &report, &noticed(&report.violations))
            }
        }
    }
}

async fn crashed(promise: &'static str, kills: u64, submissions: u64, json: bool) -> Result<bool> {
    let report = crash::run(&crash_plan(Some(promise), kills, submissions, 1)).await?;
    show(json, &report, &noticed(&report.violations))
}

async fn queue(precaution: Precaution, json: bool) -> Result<bool> {
    let report = trust::run(precaution).await?;
    show(json, &report, &report.violations)
}

fn scaled_plan(broken: Option<&'static str>, faults: u64, only: &'static [Kind], submissions: u64) -> nemesis::Plan {
    nemesis::Plan { seed: 1, minutes: 0.75, faults, submissions, scaled: true, broken, only: Some(only) }
}

/// That a control's run is void is no violation.
fn noticed(violations: &[String]) -> Vec<String> {
    violations.iter().filter(|violation| !violation.starts_with("void: ")).cloned().collect()
}

pub(crate) fn crash_plan(broken: Option<&'static str>, kills: u64, submissions: u64, seed: u64) -> crash::Plan {
    let lag = Duration::from_millis(600);
    crash::Plan {
        broken,
        kills,
        submissions,
        seed,
        lag,
        claimed_lag: lag + Duration::from_millis(100),
        lost_answers: 0.01,
    }
}
