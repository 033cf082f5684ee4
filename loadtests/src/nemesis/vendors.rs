//! The two vendors of a tenant: what they always do to deliveries, and what they do on top of it for a while.
//!
//! A few applicants are refused for good: a zero of lost ones means more where something failed visibly, and what was
//! refused for good must never be sent again.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::load;
use crate::checker::Vendor;
use crate::rig::{self, Sandbox};

/// So few that they never count as many that fail alike.
const REFUSED: u64 = 6;

pub(crate) struct Vendors {
    pub(crate) ats: Sandbox,
    pub(crate) crm: Sandbox,
    refused: Vec<String>,
}

impl Vendors {
    pub(crate) fn start(seed: u64, submissions: u64) -> Result<Self> {
        let every = (submissions / REFUSED).max(1);
        let refused = (0..REFUSED.min(submissions)).map(|number| load::email(number * every)).collect();
        Ok(Self { ats: rig::start_sandbox("greenhouse", seed)?, crm: rig::start_sandbox("hubspot", seed)?, refused })
    }

    pub(crate) fn one(&self, vendor: Vendor) -> &Sandbox {
        match vendor {
            Vendor::Ats => &self.ats,
            Vendor::Crm => &self.crm,
        }
    }

    /// Who is refused for good.
    pub(crate) fn refused(&self) -> &[String] {
        &self.refused
    }

    pub(crate) async fn hide_new_records_for(&self, lag: Duration) -> Result<()> {
        let lag = u64::try_from(lag.as_millis())?;
        for sandbox in [&self.ats, &self.crm] {
            sandbox
                .control("POST", "/_sandbox/settings", Some(&json!({ "visibility_lag_ms": lag, "rate_limit": null })))
                .await?;
        }
        self.crm.control("POST", "/_sandbox/settings", Some(&json!({ "search_limit": null }))).await.map(drop)
    }

    /// What always happens, and `more` before it.
    pub(crate) async fn play(&self, vendor: Vendor, more: &[Value]) -> Result<()> {
        let rules = [self.for_good(vendor), more.to_vec(), always(vendor)].concat();
        self.one(vendor).faults(rules.into()).await
    }

    /// How often the rules fired that are there for a while: the first `count` after those for good.
    pub(crate) async fn fired(&self, vendor: Vendor, count: usize) -> Result<u64> {
        let (from, rules) = (self.for_good(vendor).len(), self.one(vendor).control("GET", "/_sandbox/faults", None));
        let rules = rules.await?;
        let rules = rules["rules"].as_array().context("rules")?;
        Ok(rules.iter().skip(from).take(count).filter_map(|rule| rule["fired"].as_u64()).sum())
    }

    /// Nothing goes wrong at the vendors any more, except for whom they refuse.
    pub(crate) async fn behave(&self) -> Result<()> {
        for vendor in [Vendor::Ats, Vendor::Crm] {
            self.one(vendor).faults(self.for_good(vendor).into()).await?;
        }
        Ok(())
    }

    fn for_good(&self, vendor: Vendor) -> Vec<Value> {
        let refuse = |email: &String| {
            json!({ "operation": "submit", "when": { "email": email }, "do": "status", "status": 422,
                    "body": { "error": "Failed to save person", "reason": "This person may not apply" } })
        };
        match vendor {
            Vendor::Ats => self.refused.iter().map(refuse).collect(),
            Vendor::Crm => Vec::new(),
        }
    }
}

/// A few answers are lost at all times, and a few calls fail.
fn always(vendor: Vendor) -> Vec<Value> {
    let lost = |operation: &str, share: f64| json!({ "operation": operation, "probability": share, "do": "drop_after_commit" });
    match vendor {
        Vendor::Ats => vec![
            lost("submit", 0.02),
            json!({ "operation": "submit", "probability": 0.01, "do": "status", "status": 503 }),
        ],
        Vendor::Crm => vec![lost("contact_create", 0.005), lost("record_upsert", 0.005)],
    }
}
