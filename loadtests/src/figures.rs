//! The runs that measure: each has bounds, and says which of them did not hold.
//!
//! Only the command line of these runs and who answers them; what they measure stands in their own files.

use anyhow::Result;
use clap::{Subcommand, ValueEnum};

use crate::{accept, accept_postgres, fairness, latency, lookup, show, throughput, validate};

#[derive(Subcommand)]
pub(crate) enum Figures {
    /// Accepts per second beside a bare group-committing insert of the same bytes.
    Accept {
        /// Alternations of ceiling and gateway.
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Seconds for each measurement.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        #[arg(long, value_enum, default_value = "sqlite")]
        store: StoreKind,
    },
    /// From submission to the vendor's commit at a steady rate.
    Latency {
        #[arg(long, default_value_t = 200.0)]
        per_second: f64,
        #[arg(long, default_value_t = 30)]
        seconds: u64,
    },
    /// A quiet tenant beside a loud one, and beside a vendor that hangs.
    Fairness {
        /// The quiet tenant's rate; the loud one's is a hundred times it.
        #[arg(long, default_value_t = 2.0)]
        per_second: f64,
        /// Seconds for each of four measurements of a round.
        #[arg(long, default_value_t = 40)]
        seconds: u64,
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Two gateways on PostgreSQL, RabbitMQ and Redis.
        #[arg(long)]
        scaled: bool,
    },
    /// Deliveries a second to two fast vendors, everything on; and how long one takes at half that rate.
    Deliver {
        #[arg(long)]
        scaled: bool,
        #[arg(long, default_value_t = 20_000)]
        applications: u64,
        /// Seconds at half the rate.
        #[arg(long, default_value_t = 30)]
        seconds: u64,
    },
    /// How fast a backlog goes.
    Backlog {
        #[arg(long)]
        scaled: bool,
        /// Deliveries that wait.
        #[arg(long, default_value_t = 100_000)]
        waiting: u64,
    },
    /// A steady rate beside a transaction that somebody left open, on PostgreSQL and RabbitMQ
    OldSnapshot {
        #[arg(long, default_value_t = 60)]
        minutes: u64,
        #[arg(long, default_value_t = 30.0)]
        per_second: f64,
    },
    /// What two gateways accept beside one on the same cores, and that they deliver nothing twice.
    Gateways {
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Applications of each measurement.
        #[arg(long, default_value_t = 10_000)]
        applications: u64,
    },
    /// The gateway beside Express, ajv and amqplib, delivering to the same vendors over the same engines.
    Compare {
        #[arg(long, default_value_t = 10_000)]
        applications: u64,
    },
    /// The support lookup at many applications.
    Lookup {
        #[arg(long, default_value_t = 1_000_000)]
        rows: u64,
    },
    /// Parsing and validating, hot, on one core.
    Validate,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum StoreKind {
    Sqlite,
    Postgres,
}

impl Figures {
    pub(crate) async fn run(&self, json: bool) -> Result<bool> {
        match self {
            Self::Accept { rounds, seconds, store: StoreKind::Postgres } => {
                let report = accept_postgres::run(*rounds, *seconds).await?;
                show(json, &report, &report.violations)
            }
            Self::Accept { rounds, seconds, store: StoreKind::Sqlite } => {
                let report = accept::run(*rounds, *seconds).await?;
                show(json, &report, &report.violations)
            }
            Self::Latency { per_second, seconds } => {
                let report = latency::run(*per_second, *seconds).await?;
                show(json, &report, &report.violations)
            }
            Self::Fairness { per_second, seconds, rounds, scaled } => {
                let report = fairness::run(*per_second, *seconds, *rounds, *scaled).await?;
                show(json, &report, &report.violations)
            }
            Self::Deliver { scaled, applications, seconds } => {
                let report = throughput::deliver::run(*scaled, *applications, *seconds).await?;
                show(json, &report, &report.violations)
            }
            Self::Backlog { scaled, waiting } => {
                let report = throughput::backlog::run(*scaled, *waiting).await?;
                show(json, &report, &report.violations)
            }
            Self::OldSnapshot { minutes, per_second } => {
                let report = throughput::old_snapshot::run(*minutes, *per_second).await?;
                show(json, &report, &report.violations)
            }
            Self::Gateways { rounds, applications } => {
                let report = throughput::gateways::run(*rounds, *applications).await?;
                show(json, &report, &report.violations)
            }
            Self::Compare { applications } => {
                let report = throughput::compare::run(*applications).await?;
                show(json, &report, &report.violations)
            }
            Self::Lookup { rows } => {
                let report = lookup::run(*rows).await?;
                show(json, &report, &report.violations)
            }
            Self::Validate => {
                let report = validate::run()?;
                show(json, &report, &report.violations)
            }
        }
    }
}
