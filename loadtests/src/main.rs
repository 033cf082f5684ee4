//! Load, crash and durability runs against the built program. Each prints what it measured, `--json` for machines, and
//! exits 0 only when every bound holds. Only loopback is talked to, every run is bounded, and what was started is ended.

mod accept;
mod accept_postgres;
mod canary;
mod ceiling_postgres;
mod checker;
mod client;
mod conformance;
mod controls;
mod crash;
mod disk;
mod documents;
mod engines;
mod fairness;
mod figures;
mod fill;
mod hostile;
mod latency;
mod ledgers;
mod lookup;
mod marks;
mod nemesis;
mod order;
mod postings;
mod preflight;
mod prototype;
mod proxy;
mod rig;
mod throughput;
mod trust;
mod validate;
mod wire;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use serde::Serialize;

// The generator shares the cores with what it measures: what it saves, the gateway has.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Parser)]
#[command(about = "Load, crash and durability runs against the built program", version)]
struct Arguments {
    #[command(subcommand)]
    run: Run,
    /// One JSON object on standard output.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Run {
    #[command(flatten)]
    Figures(figures::Figures),
    /// What `accept` measures itself against; ends when it is ended.
    #[command(hide = true)]
    Prototype {
        #[arg(long)]
        folder: std::path::PathBuf,
        #[arg(long)]
        token: String,
    },
    /// SIGKILL at random under load, answers dropped after commit, then the three ledgers.
    Crash {
        #[arg(long, default_value_t = 100)]
        kills: u64,
        #[arg(long, default_value_t = 20_000)]
        submissions: u64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Faults of every kind, by a seeded schedule, over everything between the clients and the vendors.
    Nemesis {
        #[arg(long, default_value_t = 1)]
        seed: u64,
        #[arg(long, default_value_t = 10.0)]
        minutes: f64,
        #[arg(long, default_value_t = 120)]
        faults: u64,
        #[arg(long, default_value_t = 20_000)]
        submissions: u64,
        /// One gateway on a file.
        #[arg(long, conflicts_with = "scaled")]
        embedded: bool,
        /// Two gateways on PostgreSQL, RabbitMQ and Redis.
        #[arg(long)]
        scaled: bool,
    },
    /// Every 202 follows the sync of what it acknowledges, by system call.
    Order,
    /// A gateway with one promise broken. The run has to find violations, so it exits non-zero.
    Control {
        broken: controls::Control,
        #[arg(long, default_value_t = 4)]
        kills: u64,
        #[arg(long, default_value_t = 400)]
        submissions: u64,
    },
    /// Slow, greedy and flooding clients, many of each kind at once.
    Hostile {
        #[arg(long, default_value_t = 200)]
        connections: usize,
    },
    /// Preflight beside submit over every posting, down to what the vendor then says.
    Preflight {
        #[arg(long, default_value_t = 10_000)]
        documents: u64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Marks in every field, and a search of everything the gateway wrote, before and after erasing everybody.
    Canary {
        #[arg(long, default_value_t = 5_000)]
        submissions: u64,
    },
    /// Gateways cut at random boundaries of deliveries, at every vendor; then the vendors' books.
    Conformance {
        /// Inside deliveries of several steps.
        #[arg(long, default_value_t = 1_000)]
        kills: usize,
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Every vendor's window kept full, counted at the vendor.
    Limits {
        #[arg(long, default_value_t = 600)]
        seconds: u64,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    match runtime.block_on(run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => fail(&error),
    }
}

#[expect(clippy::print_stderr, reason = "a command-line program")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("loadtests: {error:#}");
    ExitCode::FAILURE
}

async fn run(arguments: &Arguments) -> Result<bool> {
    let json = arguments.json;
    match &arguments.run {
        Run::Figures(figures) => figures.run(json).await,
        Run::Prototype { folder, token } => prototype::serve(folder, token).await.map(|()| true),
        Run::Crash { kills, submissions, seed } => {
            let report = crash::run(&controls::crash_plan(None, *kills, *submissions, *seed)).await?;
            show(json, &report, &report.violations)
        }
        Run::Nemesis { seed, minutes, faults, submissions, embedded: _, scaled } => {
            let (seed, minutes, faults, submissions, scaled) = (*seed, *minutes, *faults, *submissions, *scaled);
            let plan = nemesis::Plan { seed, minutes, faults, submissions, scaled, broken: None, only: None };
            let report = nemesis::run(&plan).await?;
            show(json, &report, &report.violations)
        }
        Run::Order => {
            let report = order::run(None).await?;
            show(json, &report, &report.violations)
        }
        Run::Control { broken, kills, submissions } => broken.run(*kills, *submissions, json).await,
        Run::Hostile { connections } => {
            let report = hostile_clients(*connections).await?;
            show(json, &report, &report.violations)
        }
        Run::Canary { submissions } => {
            let report = canary::run(*submissions).await?;
            show(json, &report, &report.violations)
        }
        Run::Preflight { documents, seed } => {
            let report = preflight_over_every_posting(*documents, *seed).await?;
            show(json, &report, &report.violations)
        }
        Run::Conformance { kills, seed } => {
            let report = conformance::run(*kills, *seed).await?;
            show(json, &report, &report.violations)
        }
        Run::Limits { seconds } => {
            let report = conformance::limits(*seconds).await?;
            show(json, &report, &report.violations)
        }
    }
}

async fn preflight_over_every_posting(documents: u64, seed: u64) -> Result<preflight::Report> {
    let stage = accept::Stage::set(seed).await?;
    let gateway = stage.start(&[]).await?;
    let setting = preflight::Setting {
        gateway: gateway.public,
        key: stage.tenancy.key.clone(),
        ats: stage.ats.address,
        ats_told: stage.ats.start_line.clone(),
    };
    let report = preflight::run(&setting, documents, seed).await?;
    gateway.stop()?;
    Ok(report)
}

async fn hostile_clients(connections: usize) -> Result<hostile::Report> {
    let stage = accept::Stage::set(61).await?;
    let gateway = stage.start(&[]).await?;
    let target = hostile::Target {
        public: gateway.public,
        management: gateway.management,
        key: stage.tenancy.key.clone(),
        pid: gateway.pid(),
    };
    let honest = |number| {
        let one = documents::applicant("honest", 61, number, &stage.job, &stage.answers, 0);
        stage.request(&one, &format!("honest-{number}"))
    };
    let report = hostile::run(&target, &hostile::attack::Kind::ALL, connections, honest).await?;
    gateway.stop()?;
    Ok(report)
}

#[expect(clippy::print_stdout, reason = "a command-line program")]
fn show(json: bool, report: &impl Serialize, violations: &[String]) -> Result<bool> {
    if json {
        println!("{}", serde_json::to_string(report)?);
    } else {
        println!("{}", serde_json::to_string_pretty(report)?);
        let verdict = if violations.is_empty() { "every bound holds".to_owned() } else { violations.join("; ") };
        println!("{verdict}");
    }
    Ok(violations.is_empty())
}
