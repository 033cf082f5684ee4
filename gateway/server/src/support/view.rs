//! The answer as it is shown: over HTTP, on the control socket and by `causeway why --json`. Types only.
//!
//! It holds personal data only where a person asked for it by address: job titles, redacted vendor words, our sentences.

use std::collections::BTreeMap;

use causeway_core::account::Role;
use causeway_core::delivery::{HeldCause, State};
use causeway_core::ids::{AccountId, CaseId, DeliveryId, EndpointId, SubmissionId};
use causeway_core::outcome::Class;
use causeway_core::reason::{Reason, WhoActs};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a lookup answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LookupReport")]
pub struct Report {
    /// Something was found.
    pub found: bool,
    /// Newest first.
    pub submissions: Vec<Answer>,
    /// More matched than were asked for.
    pub truncated: bool,
    /// What can be said when nothing was found, or when the person was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// When the person was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Timestamp>,
    /// Requests of the tenant that were refused before they could be read, in the asked window, by problem code.
    pub edge_refused: BTreeMap<String, u64>,
}

/// One submission explained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SubmissionExplained")]
pub struct Answer {
    /// Its id.
    pub id: SubmissionId,
    /// The receipt's code; none for a refused one.
    pub code: Option<String>,
    /// When it came.
    pub received_at: Timestamp,
    /// Was it taken?
    pub outcome: Taken,
    /// The job, as submitted and as known.
    pub job: Job,
    /// The one reason to read first.
    pub reason: Option<Why>,
    /// Every field-level reason.
    pub fields: Vec<Why>,
    /// Who has to act.
    pub who_acts: WhoActs,
    /// The application it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_of: Option<SubmissionId>,
    /// It was sent with a test key, so it went to sandbox accounts only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// From received to now.
    pub timeline: Vec<Moment>,
    /// One per target.
    pub deliveries: Vec<DeliveryView>,
    /// Accounts that got nothing, for want of a lawful basis.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<KeptFrom>,
    /// What can be sent to the customer.
    pub for_customer: String,
    /// What can be sent to the applicant.
    pub for_applicant: String,
    /// Ties it to the log.
    pub trace_id: String,
}

/// An account that the application was kept from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeptFrom {
    /// The account's name.
    pub account: String,
    /// Why.
    pub reason: Why,
    /// Who has to act, if somebody wants it there.
    pub who_acts: WhoActs,
}

/// Was it taken?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SubmissionOutcome")]
#[serde(rename_all = "lowercase")]
pub enum Taken {
    /// It is an application.
    Accepted,
    /// It was answered with a problem.
    Refused,
    /// Its data was erased.
    Erased,
}

/// The job applied to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "JobAppliedTo")]
pub struct Job {
    /// As submitted.
    pub posting_id: String,
    /// As published.
    pub title: Option<String>,
    /// What recruiters call it.
    pub requisition_code: Option<String>,
    /// Since when it is closed.
    pub closed_at: Option<Timestamp>,
}

/// A reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Why {
    /// The stable code.
    pub code: String,
    /// JSON pointer into the submitted document, if one place is meant.
    pub pointer: Option<String>,
    /// In plain words.
    pub text: String,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What happened: `received`, `validated`, `refused`, `attempt`, `lookup`, `vendor_said_yes`, `seen_at_vendor`, `now`.
    pub what: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// In plain words.
    pub text: String,
}

/// One delivery explained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryView {
    /// Its id.
    pub id: DeliveryId,
    /// The account's name.
    pub account: String,
    /// The account's id.
    pub account_id: AccountId,
    /// The connector's name.
    pub connector: String,
    /// Its role.
    pub role: Role,
    /// Where it stands.
    pub state: State,
    /// Why it is held.
    pub held: Option<HeldCause>,
    /// Why it did not go straight through.
    pub reason: Option<Why>,
    /// Who has to act.
    pub who_acts: WhoActs,
    /// When it was last changed.
    pub changed_at: Timestamp,
    /// When it will be tried next.
    pub next_attempt_at: Option<Timestamp>,
    /// The case it is attached to.
    pub case: Option<CaseId>,
    /// It may be there twice.
    pub possible_duplicate: bool,
    /// The three proofs.
    pub proofs: Proofs,
    /// Every attempt and lookup, oldest first.
    pub attempts: Vec<AttemptView>,
}

/// The three proofs of a delivery's arrival: sent, the vendor said yes, seen at the vendor or why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proofs {
    /// It was sent.
    pub sent_at: Option<Timestamp>,
    /// The vendor said yes.
    pub vendor_said_yes_at: Option<Timestamp>,
    /// The vendor's record.
    pub vendor_id: Option<String>,
    /// The record was read back.
    pub seen_at: Option<Timestamp>,
    /// Why it cannot be read back.
    pub not_verifiable: Option<String>,
    /// When it is to be read back, if it still is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_back_due_at: Option<Timestamp>,
}

/// One attempt, or one lookup of an unknown one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    /// Its number within the delivery.
    pub number: u32,
    /// The step.
    pub step: String,
    /// A lookup, not a try.
    pub is_lookup: bool,
    /// When it began.
    pub began_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How long the vendor took.
    pub took_ms: Option<u64>,
    /// What it came to.
    pub class: Option<Class>,
    /// Why.
    pub reason: Option<Reason>,
    /// The vendor's status.
    pub vendor_status: Option<u16>,
    /// The vendor's words, redacted.
    pub vendor_words: Option<String>,
}

/// Something a human should look at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CaseView {
    /// Its id.
    pub id: CaseId,
    /// The delivery, or none for a whole account or an endpoint.
    pub delivery: Option<DeliveryId>,
    /// The account, or none for an endpoint.
    pub account: Option<AccountId>,
    /// The webhook endpoint it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointId>,
    /// Why.
    pub reason: Reason,
    /// In plain words.
    pub text: String,
    /// Who has to act.
    pub who_acts: WhoActs,
    /// Since when.
    pub opened_at: Timestamp,
    /// How many deliveries are attached.
    pub deliveries: u64,
    /// What they have in common, where many fail alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alike: Option<crate::store::trace::Alike>,
}

impl From<&crate::store::trace::Case> for CaseView {
    fn from(case: &crate::store::trace::Case) -> Self {
        Self {
            id: case.id,
            delivery: case.delivery,
            account: case.account,
            endpoint: case.endpoint,
            reason: case.reason,
            text: super::words::reason(case.reason).to_owned(),
            who_acts: case.reason.who_acts(),
            opened_at: case.opened_at,
            deliveries: case.deliveries,
            alike: case.alike.clone(),
        }
    }
}
