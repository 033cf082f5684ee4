//! The checker: a pure function over three ledgers, none written by the gateway.
//!
//! **C**, the client's: what was sent and what was answered. **V**, the vendors': every request, written before the reply.
//! **L**, the public lookup: what a support engineer would read. It never sees the gateway's tables.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

/// What the client knows of one submission.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) email: String,
    pub(crate) job: String,
    pub(crate) given: String,
    pub(crate) family: String,
    pub(crate) resume_sha256: Option<String>,
    /// The id of the receipt, once a 202 was seen.
    pub(crate) accepted: Option<String>,
}

/// A record some vendor created.
#[derive(Debug, Clone)]
pub(crate) struct Created {
    pub(crate) vendor: Vendor,
    pub(crate) email: String,
    pub(crate) job: String,
    pub(crate) given: String,
    pub(crate) family: String,
    pub(crate) resume_sha256: Option<String>,
    /// The vendor committed and the answer was lost.
    pub(crate) answer_lost: bool,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Vendor {
    Ats,
    Crm,
}

/// What the lookup says of one target.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) vendor: Vendor,
    pub(crate) state: String,
    pub(crate) has_reason: bool,
    pub(crate) possible_duplicate: bool,
    /// Attempts whose outcome was unknown.
    pub(crate) ambiguous: u64,
}

/// What the lookup says of one receipt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    pub(crate) targets: Vec<Seen>,
    /// Submissions of the same person for the same job, this one included.
    pub(crate) submissions: u64,
}

/// By the receipt's id.
pub(crate) type Lookups = HashMap<String, Found>;

/// What the three ledgers come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) submitted: u64,
    pub(crate) accepted: u64,
    pub(crate) targets: u64,
    pub(crate) delivered: u64,
    pub(crate) failed_visible: u64,
    pub(crate) erased: u64,
    pub(crate) lost: u64,
    pub(crate) phantom: u64,
    pub(crate) corrupt: u64,
    pub(crate) duplicates_unflagged: u64,
    /// Records at vendors beyond the first, flagged or not.
    pub(crate) duplicates: u64,
    /// Of these, those that the delivery's own attempts do not explain: one for each that ended without a known outcome.
    pub(crate) duplicates_unexplained: u64,
    pub(crate) flagged: u64,
    /// Flagged though each of the delivery's own attempts had a known outcome.
    pub(crate) flagged_without_cause: u64,
    pub(crate) ambiguous: u64,
    /// Submitted once, under one key, and there more than once.
    pub(crate) stored_twice: u64,
    pub(crate) answers_lost: u64,
    pub(crate) resolved_by_find: u64,
    /// The first few violations, by what they concern.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) examples: Vec<String>,
}

const EXAMPLES: usize = 12;

impl Verdict {
    /// That of another tenant, or of another part of the same ledgers, on top.
    pub(crate) fn add(&mut self, other: Self) {
        for (mine, its) in [
            (&mut self.submitted, other.submitted),
            (&mut self.accepted, other.accepted),
            (&mut self.targets, other.targets),
            (&mut self.delivered, other.delivered),
            (&mut self.failed_visible, other.failed_visible),
            (&mut self.erased, other.erased),
            (&mut self.lost, other.lost),
            (&mut self.phantom, other.phantom),
            (&mut self.corrupt, other.corrupt),
            (&mut self.duplicates_unflagged, other.duplicates_unflagged),
            (&mut self.duplicates, other.duplicates),
            (&mut self.duplicates_unexplained, other.duplicates_unexplained),
            (&mut self.flagged, other.flagged),
            (&mut self.flagged_without_cause, other.flagged_without_cause),
            (&mut self.ambiguous, other.ambiguous),
            (&mut self.stored_twice, other.stored_twice),
            (&mut self.answers_lost, other.answers_lost),
            (&mut self.resolved_by_find, other.resolved_by_find),
        ] {
            *mine += its;
        }
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES);
    }

    fn tell(&mut self, what: &str, whom: &str, job: &str) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(format!("{what}: {whom} for {job}"));
        }
    }
}

/// Joins the ledgers on (vendor, e-mail, job).
pub(crate) fn check(sent: &[Sent], created: &[Created], lookups: &Lookups) -> Verdict {
    let mut verdict = Verdict { submitted: sent.len() as u64, ..Verdict::default() };
    let mut at_vendor: HashMap<(Vendor, &str, &str), Vec<&Created>> = HashMap::new();
    for record in created {
        at_vendor.entry((record.vendor, &record.email, &record.job)).or_default().push(record);
    }
    let by_person: BTreeMap<(&str, &str), &Sent> =
        sent.iter().map(|one| ((one.email.as_str(), one.job.as_str()), one)).collect();

    for record in created {
        match by_person.get(&(record.email.as_str(), record.job.as_str())) {
            None => {
                verdict.phantom += 1;
                verdict.tell("phantom", &record.email, &record.job);
            }
            Some(one) if !same_person(one, record) => {
                verdict.corrupt += 1;
                verdict.tell("corrupt", &record.email, &record.job);
            }
            Some(_) => {}
        }
    }
    for one in sent {
        let Some(id) = &one.accepted else { continue };
        verdict.accepted += 1;
        let none = Found::default();
        let found = lookups.get(id).unwrap_or(&none);
        if found.targets.is_empty() {
            // Accepted, and the lookup does not know it: every target is lost.
            verdict.targets += 1;
            verdict.lost += 1;
            verdict.tell("not found", &one.email, &one.job);
        }
        if found.submissions > 1 {
            verdict.stored_twice += 1;
            verdict.tell("stored twice", &one.email, &one.job);
        }
        for target in &found.targets {
            verdict.targets += 1;
            verdict.ambiguous += target.ambiguous;
            verdict.flagged += u64::from(target.possible_duplicate);
            let records =
                at_vendor.get(&(target.vendor, one.email.as_str(), one.job.as_str())).map_or(&[][..], Vec::as_slice);
            judge_target(&mut verdict, one, target, records);
        }
    }
    verdict
}

fn judge_target(verdict: &mut Verdict, one: &Sent, target: &Seen, records: &[&Created]) {
    let settled_without = matches!(target.state.as_str(), "refused" | "parked" | "held" | "cancelled");
    if !records.is_empty() {
        verdict.delivered += 1;
    } else if target.state == "erased" {
        verdict.erased += 1;
    } else if settled_without && target.has_reason {
        verdict.failed_visible += 1;
    } else {
        verdict.lost += 1;
        verdict.tell(&format!("lost at {:?}, {}", target.vendor, target.state), &one.email, &one.job);
    }
    let beyond = records.len().saturating_sub(1) as u64;
    verdict.duplicates += beyond;
    if beyond > 0 && !target.possible_duplicate {
        verdict.duplicates_unflagged += beyond;
        verdict.tell(&format!("{} times at {:?}, unflagged", records.len(), target.vendor), &one.email, &one.job);
    }
    let unexplained = beyond.saturating_sub(target.ambiguous);
    verdict.duplicates_unexplained += unexplained;
    if unexplained > 0 {
        let what = format!("{} times at {:?}, {} ambiguous", records.len(), target.vendor, target.ambiguous);
        verdict.tell(&what, &one.email, &one.job);
    }
    if target.possible_duplicate && target.ambiguous == 0 {
        verdict.flagged_without_cause += 1;
        verdict.tell(&format!("flagged at {:?} without a cause", target.vendor), &one.email, &one.job);
    }
    if records.iter().any(|record| record.answer_lost) {
        verdict.answers_lost += 1;
        verdict.resolved_by_find += u64::from(records.len() == 1 && target.state == "delivered");
    }
}

/// (CRM, ATS). Records beyond the first, at vendors that know an application by our reference and at those that do not.
pub(crate) fn duplicates(created: &[Created]) -> (u64, u64) {
    let mut records: HashMap<(Vendor, &str, &str), u64> = HashMap::new();
    for record in created {
        *records.entry((record.vendor, &record.email, &record.job)).or_default() += 1;
    }
    let beyond =
        |wanted: Vendor| records.iter().filter(|((vendor, ..), _)| *vendor == wanted).map(|(_, count)| count - 1).sum();
    (beyond(Vendor::Crm), beyond(Vendor::Ats))
}

fn same_person(sent: &Sent, record: &Created) -> bool {
    let names = record.given == sent.given && record.family == sent.family;
    // A CRM gets no files by default: only compare what the vendor was given.
    let file = record.vendor == Vendor::Crm || record.resume_sha256 == sent.resume_sha256;
    names && file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(accepted: bool) -> Sent {
        Sent {
            email: "a@example.org".to_owned(),
            job: "1".to_owned(),
            given: "Ada".to_owned(),
            family: "Abebe".to_owned(),
            resume_sha256: None,
            accepted: accepted.then(|| "sub_1".to_owned()),
        }
    }

    fn created(email: &str, given: &str, answer_lost: bool) -> Created {
        Created {
            vendor: Vendor::Ats,
            email: email.to_owned(),
            job: "1".to_owned(),
            given: given.to_owned(),
            family: "Abebe".to_owned(),
            resume_sha256: None,
            answer_lost,
        }
    }

    fn seen(state: &str, flagged: bool) -> Lookups {
        let target = Seen {
            vendor: Vendor::Ats,
            state: state.to_owned(),
            has_reason: state != "delivered",
            possible_duplicate: flagged,
            ambiguous: 0,
        };
        HashMap::from([("sub_1".to_owned(), Found { targets: vec![target], submissions: 1 })])
    }

    #[test]
    fn a_delivered_application_is_no_violation() {
        let verdict = check(&[sent(true)], &[created("a@example.org", "Ada", false)], &seen("delivered", false));
        let violations = verdict.lost + verdict.phantom + verdict.corrupt + verdict.duplicates_unflagged;
        assert_eq!((verdict.delivered, violations), (1, 0));
    }

    #[test]
    fn each_violation_is_seen() {
        let lost = check(&[sent(true)], &[], &seen("delivered", false));
        assert_eq!(lost.lost, 1, "the lookup says delivered, the vendor has nothing");
        let forgotten = check(&[sent(true)], &[], &HashMap::new());
        assert_eq!(forgotten.lost, 1, "accepted, and the lookup does not know it");
        let phantom = check(&[sent(true)], &[created("b@example.org", "Ada", false)], &seen("refused", false));
        assert_eq!(phantom.phantom, 1);
        let corrupt = check(&[sent(true)], &[created("a@example.org", "Eve", false)], &seen("delivered", false));
        assert_eq!(corrupt.corrupt, 1);
        let twice = [created("a@example.org", "Ada", true), created("a@example.org", "Ada", false)];
        assert_eq!(check(&[sent(true)], &twice, &seen("delivered", false)).duplicates_unflagged, 1);
        let flagged = check(&[sent(true)], &twice, &seen("delivered", true));
        assert_eq!((flagged.duplicates, flagged.duplicates_unflagged), (1, 0));
        assert_eq!((flagged.duplicates_unexplained, flagged.flagged_without_cause), (1, 1), "no attempt was ambiguous");
        let mut ambiguous = seen("delivered", true);
        ambiguous.get_mut("sub_1").unwrap().targets[0].ambiguous = 1;
        let explained = check(&[sent(true)], &twice, &ambiguous);
        assert_eq!((explained.duplicates_unexplained, explained.flagged_without_cause), (0, 0));
        let thrice = [&twice[..], &twice[..1]].concat();
        assert_eq!(check(&[sent(true)], &thrice, &ambiguous).duplicates_unexplained, 1, "of its own attempts only");
        let mut stored_twice = seen("delivered", false);
        stored_twice.get_mut("sub_1").unwrap().submissions = 2;
        let twice = check(&[sent(true)], &[created("a@example.org", "Ada", false)], &stored_twice);
        assert_eq!((twice.stored_twice, twice.lost), (1, 0));
        assert_eq!(check(&[sent(true)], &[], &seen("erased", false)).erased, 1);
    }

    #[test]
    fn a_lost_answer_counts_as_resolved_only_when_nothing_was_sent_twice() {
        let once = [created("a@example.org", "Ada", true)];
        assert_eq!(check(&[sent(true)], &once, &seen("delivered", false)).resolved_by_find, 1);
        assert_eq!(check(&[sent(true)], &once, &seen("held", false)).resolved_by_find, 0);
    }

    #[test]
    fn a_refusal_without_a_reason_is_a_loss() {
        let mut lookups = seen("refused", false);
        lookups.get_mut("sub_1").unwrap().targets[0].has_reason = false;
        assert_eq!(check(&[sent(true)], &[], &lookups).lost, 1);
    }
}
