//! The queue's precautions, one by one: a gateway that trusts its queue and nothing else, first with all of them, then with
//! one left out, through the same fault. With all of them nothing may be missing; without the one, something must be.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;
use tokio::time::sleep;

use crate::accept::Stage;
use crate::checker::{self, Sent, Verdict};
use crate::client::Client;
use crate::documents;
use crate::engines::{Engines, blocking};
use crate::ledgers::{self, Desk};
use crate::rig::{self, Gateway, GatewayOptions};

const CONNECTORS: [&str; 2] = ["greenhouse", "hubspot"];
const BURST: u64 = 40;
/// A claim comes a second and a half after the message: killed before, it was never made.
const AFTER_THE_MESSAGE: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(25);
/// A message counts until a look finds nothing due; the next comes a second after what may be a claim. Before that, what is
/// submitted would be found without a message of its own.
const NO_LONGER_TOLD: Duration = Duration::from_secs(5);

/// Which precaution, and so which fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precaution {
    Ack,
    Confirms,
    Mandatory,
}

impl Precaution {
    fn left_out(self) -> &'static str {
        match self {
            Self::Ack => "auto-ack",
            Self::Confirms => "no-confirms",
            Self::Mandatory => "no-mandatory",
        }
    }
}

/// What it came to.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) with_all_precautions: Verdict,
    pub(crate) left_out: &'static str,
    pub(crate) without_it: Verdict,
    pub(crate) violations: Vec<String>,
}

pub(crate) async fn run(precaution: Precaution) -> Result<Report> {
    let with_all_precautions = through_the_fault(precaution, "queue-alone").await?;
    ensure!(with_all_precautions.lost == 0, "void: {} lost with every precaution", with_all_precautions.lost);
    let without_it = through_the_fault(precaution, precaution.left_out()).await?;
    let lost = without_it.lost;
    let violations = if lost > 0 { vec![format!("{lost} lost")] } else { Vec::new() };
    Ok(Report { with_all_precautions, left_out: precaution.left_out(), without_it, violations })
}

async fn through_the_fault(precaution: Precaution, promise: &'static str) -> Result<Verdict> {
    let engines = Engines::start().await?;
    let settings = engines.settings(engines.ports(), 1);
    let stage = Stage::set_over(89, &[("visibility_lag_ms", "300")], settings).await?;
    let options = GatewayOptions { command: rig::gateway_command(Some(promise))?, ..GatewayOptions::default() };
    let mut gateway = stage.start_with(&options).await?;
    engines.consumers_are_back(&CONNECTORS).await?;
    let mut sent = submit(&stage, &gateway, 0..5).await?;
    // What went before has been delivered when the fault comes.
    let desk = |gateway: &Gateway| Desk { management: gateway.management, key: stage.tenancy.key.clone() };
    ledgers::look_up(&desk(&gateway), &sent, PATIENCE).await?;
    sleep(NO_LONGER_TOLD).await;
    match precaution {
        Precaution::Ack => {
            sent.extend(submit(&stage, &gateway, 5..5 + BURST).await?);
            sleep(AFTER_THE_MESSAGE).await;
            gateway.kill();
            gateway = stage.start_with(&options).await?;
        }
        Precaution::Confirms => {
            let broker = std::sync::Arc::clone(&engines.broker);
            blocking(move || broker.freeze()).await?;
            sent.extend(submit(&stage, &gateway, 5..5 + BURST).await?);
            sleep(AFTER_THE_MESSAGE).await;
            let broker = std::sync::Arc::clone(&engines.broker);
            blocking(move || {
                broker.kill()?;
                broker.restart()
            })
            .await?;
        }
        Precaution::Mandatory => {
            for connector in CONNECTORS {
                engines.unbind(connector).await?;
            }
            sent.extend(submit(&stage, &gateway, 5..5 + BURST).await?);
            sleep(AFTER_THE_MESSAGE).await;
            rig::causeway(&stage.place, &["migrate"])?;
        }
    }
    engines.consumers_are_back(&CONNECTORS).await?;
    let lookups = ledgers::look_up(&desk(&gateway), &sent, PATIENCE).await?;
    let (created, _) = ledgers::at_vendors(&stage.ats, &stage.crm).await?;
    gateway.kill();
    Ok(checker::check(&sent, &created, &lookups))
}

async fn submit(stage: &Stage, gateway: &Gateway, numbers: std::ops::Range<u64>) -> Result<Vec<Sent>> {
    let mut client = Client::new(gateway.public, Duration::from_secs(30));
    let mut sent = Vec::new();
    for number in numbers {
        let one = documents::applicant("trust", 89, number, &stage.job, &stage.answers, 0);
        let answer = client.send(stage.request(&one, &format!("trust-{number}"))?).await?;
        ensure!(answer.status() == 202, "{}: {:?}", answer.status(), answer.body());
        let receipt: serde_json::Value = serde_json::from_slice(answer.body())?;
        sent.push(Sent {
            email: one.email,
            job: stage.job.clone(),
            given: one.given,
            family: one.family,
            resume_sha256: None,
            accepted: receipt["id"].as_str().map(str::to_owned),
        });
    }
    Ok(sent)
}
