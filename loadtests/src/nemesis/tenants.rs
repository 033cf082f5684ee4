//! Whether one tenant's things ever showed at another's: at its vendors, in its answers, to its support desk (R31).
//!
//! Its applicants are told apart by their addresses, and their callers' keys are the same on purpose. The desk of each is
//! asked for people and receipts of the other; what the ledgers already hold is judged without asking.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde::Serialize;
use serde_json::json;

use super::books::Call;
use super::load::{self, Attempt, Outcome};
use super::world::World;
use crate::checker::{Created, Sent};
use crate::client::Client;

/// Of each tenant, asked for at the other's desk.
const ASKED: usize = 150;

#[derive(Debug, Clone, Default, Serialize, PartialEq, Eq)]
pub(crate) struct Leaks {
    pub(crate) tenant_leaks: u64,
    /// Questions to a desk about somebody else's applicant.
    pub(crate) asked_of_the_other_tenant: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tenant_leak_examples: Vec<String>,
}

impl Leaks {
    fn tell(&mut self, what: String) {
        self.tenant_leaks += 1;
        if self.tenant_leak_examples.len() < 5 {
            self.tenant_leak_examples.push(what);
        }
    }

    /// What the vendors' books and the clients' own ledger show.
    pub(crate) fn in_ledgers(created: &[Vec<Created>], calls: &[Call], attempts: &[Attempt]) -> Self {
        let mut leaks = Self::default();
        let is_of = |tenant: usize, email: &str| email.starts_with(&format!("{}-", load::run_of(tenant)));
        for (tenant, created) in created.iter().enumerate() {
            for record in created.iter().filter(|record| !is_of(tenant, &record.email)) {
                leaks.tell(format!("{} stands at tenant {tenant}'s {:?}", record.email, record.vendor));
            }
        }
        for call in calls {
            if let Some(about) = call.about.as_deref().filter(|about| !is_of(call.tenant, about)) {
                leaks.tell(format!("{about} was told to tenant {}'s {:?}", call.tenant, call.vendor));
            }
        }
        let mut receipts: HashMap<&str, usize> = HashMap::new();
        for attempt in attempts {
            if let Outcome::Accepted(id) = &attempt.outcome {
                let tenant = load::tenant_of(attempt.number);
                if *receipts.entry(id).or_insert(tenant) != tenant {
                    leaks.tell(format!("receipt {id} was given to both tenants"));
                }
            }
        }
        leaks
    }

    /// Asks each tenant's desk for the other's people and receipts.
    pub(crate) async fn ask(&mut self, world: &World, sent: &[Vec<Sent>]) -> Result<()> {
        let Some(keeper) = world.keepers.first() else { return Ok(()) };
        let mut desk = Client::new(keeper.management_address(), Duration::from_secs(30));
        let mut door = Client::new(keeper.public_address(), Duration::from_secs(30));
        for (mine, tenant) in world.tenants.iter().enumerate() {
            let others = sent.iter().enumerate().filter(|(other, _)| *other != mine).flat_map(|(_, sent)| sent);
            let others: Vec<&Sent> = others.filter(|one| one.accepted.is_some()).collect();
            for one in others.iter().step_by((others.len() / ASKED).max(1)) {
                self.asked_of_the_other_tenant += 1;
                let query = json!({ "email": one.email, "job": one.job });
                let answer = desk.json("POST", "/v1/support/lookup", Some(&tenant.key), Some(&query)).await?;
                ensure!(answer.0 == 200, "lookup: {} {}", answer.0, answer.1);
                let id = one.accepted.as_deref().unwrap_or_default();
                let found = answer.1["submissions"].as_array().map_or(0, Vec::len);
                if found > 0 || answer.1.to_string().contains(id) {
                    self.tell(format!("the desk of {} knows {}", tenant.name, one.email));
                }
                let request = Request::get(format!("/v1/applications/{id}"))
                    .header("host", "127.0.0.1")
                    .header("authorization", format!("Bearer {}", tenant.key))
                    .body(Full::new(Bytes::new()))?;
                let status = door.send(request).await?.status();
                if status != 404 {
                    self.tell(format!("{} is answered {status} for receipt {id}", tenant.name));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::Vendor;

    #[test]
    fn each_way_to_show_is_seen() {
        let created = |email: &str| Created {
            vendor: Vendor::Ats,
            email: email.to_owned(),
            job: "1".to_owned(),
            given: String::new(),
            family: String::new(),
            resume_sha256: None,
            answer_lost: false,
        };
        let call = |tenant, about: &str| Call {
            tenant,
            vendor: Vendor::Crm,
            at: Duration::ZERO,
            operation: "search".to_owned(),
            status: 200,
            committed: false,
            answered: true,
            about: Some(about.to_owned()),
        };
        let accepted = |number, id: &str| Attempt {
            number,
            door: 0,
            sent: Duration::ZERO,
            done: Duration::ZERO,
            outcome: Outcome::Accepted(id.to_owned()),
        };
        let (first, second) = (load::email(0), load::email(3));
        let good = [vec![created(&first)], vec![created(&second)]];
        let calls = [call(0, &first), call(1, &second)];
        let attempts = [accepted(0, "a"), accepted(0, "a"), accepted(3, "b")];
        assert_eq!(Leaks::in_ledgers(&good, &calls, &attempts).tenant_leaks, 0);
        let crossed = [vec![created(&second)], vec![]];
        assert_eq!(Leaks::in_ledgers(&crossed, &calls, &attempts).tenant_leaks, 1);
        assert_eq!(Leaks::in_ledgers(&good, &[call(1, &first)], &attempts).tenant_leaks, 1);
        assert_eq!(Leaks::in_ledgers(&good, &calls, &[accepted(2, "a"), accepted(3, "a")]).tenant_leaks, 1);
    }
}
