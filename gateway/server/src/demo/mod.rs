//! The demonstration: a whole integration on loopback, from one command, with everything that goes wrong in real life.
//!
//! It starts the gateway and the vendors' sandboxes as processes of their own, sets a tenant up through the same door as
//! the command line, plays some hundred applications, and counts what became of them from the vendors' ledgers. It knows
//! nothing the outside does not know, and it is the one part of the server that names vendors.

mod call;
mod career_pages;
mod career_site;
mod cast;
mod play;
mod sandboxes;
mod stage;
mod tally;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::json;

use stage::Stage;

/// What was asked for on the command line.
#[derive(Debug, Clone)]
pub struct Options {
    /// Run to quiescence and end.
    pub once: bool,
    /// One JSON object on standard output.
    pub json: bool,
    /// Where the data goes; a new temporary folder if not given.
    pub data: Option<PathBuf>,
    /// The same seed, the same cast.
    pub seed: u64,
}

/// Runs the demonstration. True when nothing was lost and nothing was doubled.
///
/// # Errors
/// When something could not be started, or the world outside did not answer.
pub async fn run(options: Options) -> Result<bool> {
    let mut stage = Stage::set(&options).await?;
    let summary = play::play(&mut stage, &options).await?;
    let clean = summary.lost == 0 && summary.duplicates_at_vendor == 0;
    show(&options, &stage, &summary)?;
    if options.once {
        stage.strike().await?;
        return Ok(clean);
    }
    let site = career_site::serve(&stage).await?;
    invite(&stage, &summary, site)?;
    tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")?;
    stage.strike().await?;
    Ok(true)
}

#[expect(clippy::print_stdout, reason = "the demonstration speaks on standard output")]
fn show(options: &Options, stage: &Stage, summary: &tally::Summary) -> Result<()> {
    if options.json {
        println!("{}", serde_json::to_string(&json!(summary))?);
        return Ok(());
    }
    println!();
    println!(
        "{:>6}  submitted = {} accepted + {} refused, with reasons",
        summary.submitted, summary.accepted, summary.refused
    );
    println!("{:>6}  targets of the accepted ones (ATS and CRM)", summary.targets);
    for (count, what) in [
        (summary.delivered, "delivered"),
        (summary.refused_by_vendor, "refused by the vendor"),
        (summary.held, "held for the admin: a wrong credential paused the account"),
        (summary.parked, "parked: the vendor never answered well"),
        (summary.cancelled, "cancelled"),
        (summary.lost, "lost"),
        (summary.duplicates_at_vendor, "duplicates at a vendor"),
    ] {
        println!("{count:>6}  {what}");
    }
    println!();
    println!("Counted from the vendors' own ledgers. The data is in {}", stage.data().display());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the demonstration speaks on standard output")]
fn invite(stage: &Stage, summary: &tally::Summary, site: std::net::SocketAddr) -> Result<()> {
    let program = std::env::args().next().unwrap_or_else(|| "causeway".to_owned());
    println!();
    println!("Open      http://{site}/  (the career site: apply, or leave something out)");
    println!("Gateway   http://{}/v1/applications   management http://{}/readyz", stage.public(), stage.management());
    println!();
    println!("Ask why, in another terminal:");
    for example in &summary.examples {
        let kind = serde_json::to_value(example.kind)?;
        let data = stage.data().display();
        println!(
            "  {program} why --data {data} --email {} --job {}  # {}",
            example.email,
            example.job,
            kind.as_str().unwrap_or_default()
        );
    }
    println!();
    println!("Ctrl-C ends it all.");
    std::io::Write::flush(&mut std::io::stdout())?;
    Ok(())
}
