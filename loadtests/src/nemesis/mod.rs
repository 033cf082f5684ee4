//! The nemesis: a steady stream of applicants, a seeded schedule of faults over everything between them and the vendors,
//! then quiescence, and the three ledgers compared. What it shows and what it does not is decision 23.
//!
//! It knows the gateway from outside only: the command line, HTTP, signals, sockets and files.

mod books;
mod clock;
mod inject;
mod keeper;
mod load;
mod manners;
mod proof;
mod recovery;
mod schedule;
mod tenants;
mod vendors;
mod verdict;
mod witness;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

use self::books::Call;
use self::clock::RunClock;
use self::inject::Entry;
use self::keeper::Exit;
use self::load::{Applied, Attempt, Load};
use self::manners::{Allowed, Manners, Refused};
use self::proof::{Proof, Readings};
pub(crate) use self::schedule::Kind;
use self::tenants::Leaks;
use self::verdict::{Judged, Timing};
use self::world::{Tenant, World};
use crate::accept::futures_join;
use crate::checker::{self, Lookups, Sent, Verdict};
use crate::ledgers::{self, Desk};
use crate::rig;

/// When nothing has settled for so long, nothing will.
const QUIESCENCE_MAX: Duration = Duration::from_secs(90);
/// What is held because it failed like many others goes on by itself; for so long it is waited for.
const HELD_MAX: Duration = Duration::from_secs(60);

/// How the run goes.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) minutes: f64,
    pub(crate) faults: u64,
    pub(crate) submissions: u64,
    /// Two gateways on engines, instead of one on a file.
    pub(crate) scaled: bool,
    /// The promise of a control that has to be caught.
    pub(crate) broken: Option<&'static str>,
    /// Nothing but these, together in every slot.
    pub(crate) only: Option<&'static [Kind]>,
}

/// What it came to.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) commit: String,
    pub(crate) versions: BTreeMap<&'static str, String>,
    pub(crate) scaled: bool,
    pub(crate) minutes: f64,
    #[serde(flatten)]
    pub(crate) verdict: Verdict,
    #[serde(flatten)]
    pub(crate) timing: Timing,
    /// Beyond the first record, where the vendor knows our reference and where it does not.
    pub(crate) dup_idem: u64,
    pub(crate) dup_nonidem: u64,
    pub(crate) dup_unflagged: u64,
    #[serde(flatten)]
    pub(crate) leaks: Leaks,
    #[serde(flatten)]
    pub(crate) proof: Proof,
    pub(crate) manners: Manners,
    pub(crate) max_rss_mb: f64,
    pub(crate) max_rss_at_s: f64,
    /// After the last fault and the last submission, until nothing was on its way.
    pub(crate) drained_s: f64,
    pub(crate) starts: u64,
    /// Connections that each link's proxy carried.
    pub(crate) carried: BTreeMap<String, u64>,
    /// Whoever ended without having been told to, after how long, and the fault that excuses it.
    pub(crate) ended_by_itself: Vec<String>,
    /// Why accepts were answered with 500, in the gateways' words.
    pub(crate) store_failures: BTreeSet<String>,
    pub(crate) answers_lost_at_vendors: u64,
    pub(crate) took_s: f64,
    pub(crate) void: Vec<String>,
    pub(crate) violations: Vec<String>,
}

pub(crate) async fn run(plan: &Plan) -> Result<Report> {
    let clock = RunClock::start()?;
    let world = World::set_up(plan, clock).await?;
    let keeping = async {
        futures_join(world.keepers.iter().map(|keeper| keeper.keep())).await?;
        anyhow::bail!("the keepers never end")
    };
    let report = tokio::select! {
        kept = keeping => kept,
        report = play(&world, plan) => report,
    };
    let report = report.with_context(|| last_words(&world.log))?;
    for keeper in &world.keepers {
        keeper.finish()?;
    }
    Ok(report)
}

/// The end of the gateways' log, for whoever has to find out.
fn last_words(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(12);
    format!("the gateways' last words:\n{}\n", lines.get(from..).unwrap_or_default().join("\n"))
}

async fn play(world: &World, plan: &Plan) -> Result<Report> {
    let clock = world.clock;
    for keeper in &world.keepers {
        keeper.ready_after(0).await?;
    }
    let length = Duration::from_secs_f64(plan.minutes * 60.0);
    let slots = match plan.only {
        Some(only) => schedule::draw_only(plan.seed, length, plan.faults, only),
        None => schedule::draw(plan.seed, length, plan.faults, plan.scaled),
    };
    for tenant in &world.tenants {
        for vendor in [checker::Vendor::Ats, checker::Vendor::Crm] {
            tenant.vendors.play(vendor, &[]).await?;
        }
    }
    let to = |tenant: &Tenant| Applied { key: tenant.key.clone(), postings: tenant.postings.clone() };
    let to = world.tenants.iter().map(to).collect();
    let load = Load::new((plan.seed, plan.submissions, length), world.doors.clone(), to, clock);
    let readings = Readings::default();
    let breaking = async { tokio::try_join!(load.send_all(), inject::carry_out(world, &slots, &load)) };
    let (mut sent, log) = tokio::select! {
        () = readings.read_all_the_time(world) => anyhow::bail!("the ledger is read for ever"),
        broken = breaking => broken?,
    };
    world.heal();
    for tenant in &world.tenants {
        tenant.vendors.behave().await?;
    }
    for keeper in &world.keepers {
        keeper.ready_after(0).await?;
    }
    // What paused an account just before it was looked at last.
    for account in ["greenhouse", "hubspot"] {
        world.resume(account).await?;
    }
    eprintln!("{:>6.1} s  sent; waiting for quiescence", clock.now().as_secs_f64());
    let quiet_since = clock.now();
    load.send_again(&mut sent).await?;
    let sent = by_tenant(sent);
    let mut lookups = Lookups::new();
    for (tenant, sent) in world.tenants.iter().zip(&sent) {
        lookups.extend(quiescent(world, tenant, sent).await?);
    }
    let drained_s = clock.now().saturating_sub(quiet_since).as_secs_f64();
    let under_faults: Vec<_> = log.iter().map(|entry| (entry.struck, entry.over)).collect();
    let proof = readings.sum_up(world, &under_faults).await?;
    Ledgers { sent, attempts: load.take_attempts(), lookups, log, proof, drained_s }.judge(world, plan).await
}

/// They are in order of their numbers.
fn by_tenant(sent: Vec<Sent>) -> Vec<Vec<Sent>> {
    let mut of = vec![Vec::new(); world::TENANTS.len()];
    for (number, one) in (0_u64..).zip(sent) {
        of[load::tenant_of(number)].push(one);
    }
    of
}

/// Looks everything up until nothing is on its way, and what is held with others has had its chance.
async fn quiescent(world: &World, tenant: &Tenant, sent: &[Sent]) -> Result<Lookups> {
    let keeper = world.keepers.first().context("a gateway")?;
    let desk = Desk { management: keeper.management_address(), key: tenant.key.clone() };
    let mut lookups = ledgers::look_up(&desk, sent, QUIESCENCE_MAX).await?;
    let patience = world.clock.now() + HELD_MAX;
    loop {
        let is_held = |one: &&Sent| {
            let found = one.accepted.as_deref().and_then(|id| lookups.get(id));
            found.is_some_and(|found| found.targets.iter().any(|target| target.state == "held"))
        };
        let held: Vec<Sent> = sent.iter().filter(is_held).cloned().collect();
        if held.is_empty() || world.clock.now() > patience {
            return Ok(lookups);
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        lookups.extend(ledgers::look_up(&desk, &held, QUIESCENCE_MAX).await?);
    }
}

/// Everything that was written down.
struct Ledgers {
    /// By tenant.
    sent: Vec<Vec<Sent>>,
    attempts: Vec<Attempt>,
    lookups: Lookups,
    log: Vec<Entry>,
    proof: Proof,
    drained_s: f64,
}

impl Ledgers {
    async fn judge(self, world: &World, plan: &Plan) -> Result<Report> {
        let (calls, at_once) = books::calls(&world.tenants, &world.clock).await?;
        let mut created = Vec::new();
        let (mut dropped, mut verdict) = (0, Verdict::default());
        for (tenant, sent) in world.tenants.iter().zip(&self.sent) {
            let (of_tenant, lost) = ledgers::at_vendors(&tenant.vendors.ats, &tenant.vendors.crm).await?;
            verdict.add(checker::check(sent, &of_tenant, &self.lookups));
            created.push(of_tenant);
            dropped += lost;
        }
        let mut leaks = Leaks::in_ledgers(&created, &calls, &self.attempts);
        leaks.ask(world, &self.sent).await?;
        let all_sent = self.sent.concat();
        let mut timing = verdict::timing(&self.attempts, &self.log, world.keepers.len());
        timing.unknown = all_sent.iter().filter(|one| one.accepted.is_none()).count() as u64;
        let manners = Manners { most_at_once: at_once, ..self.manners(world, &calls, &all_sent) };
        let lost_at_crm =
            calls.iter().filter(|call| call.vendor == checker::Vendor::Crm && call.committed && !call.answered);
        let answers_lost_at_vendors = dropped + lost_at_crm.count() as u64;
        let (dup_idem, dup_nonidem) = checker::duplicates(&created.concat());
        let exits: Vec<Exit> = world.keepers.iter().flat_map(|keeper| keeper.exits()).collect();
        let most_rss = world.keepers.iter().map(|keeper| keeper.most_rss());
        let (max_rss_mb, max_rss_at) = most_rss.max_by(|one, other| one.0.total_cmp(&other.0)).unwrap_or_default();
        let judged = Judged {
            plan,
            verdict: &verdict,
            timing: &timing,
            manners: &manners,
            log: &self.log,
            exits: &exits,
            panics: panics(&world.log)?,
            dup_idem,
            ledger: &self.proof,
            tenant_leaks: leaks.tenant_leaks,
            max_rss_mb,
            answers_lost_at_vendors,
        };
        let mut void = verdict::void(&judged);
        let bypassed = world.links.iter().filter(|link| link.proxy.served() == 0);
        void.extend(bypassed.map(|link| format!("nothing went through the proxy before {}", link.name)));
        let mut violations = verdict::violations(&judged);
        violations.extend(void.iter().map(|why| format!("void: {why}")));
        Ok(Report {
            seed: plan.seed,
            commit: commit(),
            versions: versions(world).await?,
            scaled: plan.scaled,
            minutes: plan.minutes,
            dup_idem,
            dup_nonidem,
            dup_unflagged: verdict.duplicates_unflagged,
            leaks,
            proof: self.proof.clone(),
            max_rss_mb,
            max_rss_at_s: max_rss_at.as_secs_f64(),
            drained_s: self.drained_s,
            carried: world.links.iter().map(|link| (link.name.clone(), link.proxy.served())).collect(),
            starts: world.keepers.iter().map(|keeper| keeper.starts()).sum(),
            ended_by_itself: self.ends(&exits),
            store_failures: store_failures(&world.log)?,
            answers_lost_at_vendors,
            took_s: world.clock.now().as_secs_f64(),
            verdict,
            timing,
            manners,
            void,
            violations,
        })
    }
}

impl Ledgers {
    /// Who ended without having been told to, and what excuses it.
    fn ends(&self, exits: &[Exit]) -> Vec<String> {
        let end = |exit: &Exit| {
            let why = verdict::excuse(exit, &self.log).map_or("nothing", |entry| entry.kind.name());
            let (at, ran) = (exit.at.as_secs_f64(), exit.ran.as_secs_f64());
            format!("{} at {at:.1} s, after {ran:.1} s: {}; {why}", exit.name, exit.status)
        };
        exits.iter().map(end).collect()
    }

    fn manners(&self, world: &World, calls: &[Call], sent: &[Sent]) -> Manners {
        let allowed = Allowed { calls: world::CALLS, window: world::WINDOW, first_wait: Duration::from_millis(200) };
        // Each tenant's vendors refuse the same few, who apply to one of them.
        let who: BTreeSet<&String> = world.tenants.iter().flat_map(|tenant| tenant.vendors.refused()).collect();
        let who: Vec<String> = who.into_iter().cloned().collect();
        manners::judge(calls, &self.log, allowed, &Refused { who: &who, sent, lookups: &self.lookups })
    }
}

/// What the gateways logged of accepts that they answered with 500, each text once: a failure that has no better name.
fn store_failures(log: &Path) -> Result<BTreeSet<String>> {
    let log = std::fs::read_to_string(log)?;
    let failed = log.lines().filter(|line| line.contains("\"store failed\""));
    let said = failed.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    Ok(said.filter_map(|line| line["error"].as_str().map(str::to_owned)).collect())
}

fn panics(log: &Path) -> Result<u64> {
    let log = std::fs::read_to_string(log)?;
    Ok(log.lines().filter(|line| line.contains("panicked")).count() as u64)
}

/// Of the tree that this was built in, if it is still there.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(["-C", env!("CARGO_MANIFEST_DIR")]).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    let commit = git(&["rev-parse", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    if changed { format!("{commit}, changed") } else { commit }
}

async fn versions(world: &World) -> Result<BTreeMap<&'static str, String>> {
    let output = Command::new(rig::beside_me("causeway")?).arg("--version").output()?;
    let causeway = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut versions = BTreeMap::from([("causeway", causeway)]);
    match &world.engines {
        Some(engines) => versions.extend(engines.versions().await?),
        None => drop(versions.insert("sqlite", rusqlite::version().to_owned())),
    }
    Ok(versions)
}
