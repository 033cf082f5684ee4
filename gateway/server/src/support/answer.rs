//! Explains one submission: pure, from what the store recorded and the present moment.
//!
//! It asks nobody and remembers nothing. The reason to read first is the one of the delivery that is worst off, the ATS
//! before the CRM; who has to act follows from the reason, never from a guess.

use causeway_core::account::Role;
use causeway_core::delivery::State;
use causeway_core::outcome::Class;
use causeway_core::problem::FieldError;
use causeway_core::reason::{Reason, WhoActs};
use jiff::Timestamp;

use super::facts::{self, in_order, title_of};
use super::view::{Answer, AttemptView, DeliveryView, Job, KeptFrom, Moment, Proofs, Taken, Why};
use super::{redact, words};
use crate::store::trace::{AttemptTrace, DeliveryTrace, SubmissionKind, SubmissionTrace, Withheld};
use crate::store::work::Proof;

/// The answer to a submission.
pub fn explain(trace: &SubmissionTrace, now: Timestamp) -> Answer {
    let facts = facts::of(trace);
    let names = names(trace);
    let for_customer: Vec<String> = facts.iter().filter_map(facts::Fact::for_customer).collect();
    let mut for_applicant: Vec<String> = facts.iter().filter_map(|fact| fact.for_applicant(&names)).collect();
    // Two fields may complain in the same words.
    for_applicant.dedup();
    let (code, repeat_of, deliveries, withheld) = match &trace.kind {
        SubmissionKind::Accepted { code, repeat_of, deliveries, withheld, form_digest: _ } => {
            (Some(code.clone()), *repeat_of, in_order(deliveries), withheld.iter().map(kept_from).collect())
        }
        SubmissionKind::Refused { .. } => (None, None, Vec::new(), Vec::new()),
    };
    let verdict = verdict(trace, &deliveries);
    Answer {
        id: trace.id,
        code,
        received_at: trace.received_at,
        outcome: match &trace.kind {
            SubmissionKind::Accepted { .. } | SubmissionKind::Refused { .. } if trace.erased => Taken::Erased,
            SubmissionKind::Accepted { .. } => Taken::Accepted,
            SubmissionKind::Refused { .. } => Taken::Refused,
        },
        job: Job {
            posting_id: trace.posting_id.clone(),
            title: trace.posting.as_ref().map(|posting| posting.title.clone()).filter(|title| !title.is_empty()),
            requisition_code: trace.posting.as_ref().and_then(|posting| posting.requisition_code.clone()),
            closed_at: trace.posting_closed_at,
        },
        reason: verdict.reason,
        fields: verdict.fields,
        who_acts: verdict.who_acts,
        repeat_of,
        test: trace.test,
        timeline: timeline(trace, &deliveries, now),
        deliveries: deliveries.into_iter().map(|one| delivery(one, &facts::staff(trace))).collect(),
        withheld,
        for_customer: for_customer.join(" "),
        for_applicant: for_applicant.join(" "),
        trace_id: trace.trace_id.clone(),
    }
}

/// Systems' and people's names, which the applicant is never shown.
fn names(trace: &SubmissionTrace) -> Vec<&str> {
    let mut names: Vec<&str> = causeway_connectors::all()
        .iter()
        .flat_map(|connector| [connector.describe().name, connector.describe().title])
        .collect();
    names.extend(facts::staff(trace));
    match &trace.kind {
        SubmissionKind::Accepted { deliveries, withheld, .. } => {
            names.extend(deliveries.iter().flat_map(|d| [d.account_name.as_str(), d.connector.as_str()]));
            names.extend(withheld.iter().map(|one| one.account.as_str()));
        }
        SubmissionKind::Refused { errors, .. } => {
            names.extend(errors.iter().flat_map(|error| error.required_by.iter().map(String::as_str)));
        }
    }
    names
}

/// The reason to read first, all field-level reasons, and who has to act.
struct Verdict {
    reason: Option<Why>,
    fields: Vec<Why>,
    who_acts: WhoActs,
}

fn verdict(trace: &SubmissionTrace, deliveries: &[&DeliveryTrace]) -> Verdict {
    match &trace.kind {
        SubmissionKind::Refused { code, errors, .. } => {
            let fields: Vec<Why> = errors.iter().map(field_error).collect();
            let reason = fields.first().cloned().unwrap_or_else(|| Why {
                code: code.clone(),
                pointer: None,
                text: words::sentence(title_of(code)),
            });
            Verdict { reason: Some(reason), fields, who_acts: who_acts_on_refusal(code, errors) }
        }
        SubmissionKind::Accepted { .. } => {
            let worst = deliveries.iter().min_by_key(|delivery| (severity(delivery), delivery.role == Role::Crm));
            let fields = deliveries.iter().flat_map(|delivery| delivery.fields.iter().map(field_reason)).collect();
            Verdict {
                reason: worst.map(|delivery| why(delivery).unwrap_or_else(|| standing(delivery))),
                fields,
                who_acts: worst.map_or(WhoActs::Nobody, |delivery| who_acts(delivery)),
            }
        }
    }
}

/// Lower is worse.
fn severity(delivery: &DeliveryTrace) -> u8 {
    match delivery.state {
        State::Refused => 0,
        State::Parked => 1,
        State::Held => 2,
        State::Verifying => 3,
        State::Waiting => 4,
        // Delivered, and a person should look all the same.
        State::Delivered if delivery.reason.is_some() => 5,
        State::InFlight => 6,
        State::Queued => 7,
        State::Cancelled => 8,
        State::Erased => 9,
        State::Delivered => 10,
    }
}

/// Who has to act on a submission that was answered with a problem. The applicant comes first: they can act now.
fn who_acts_on_refusal(code: &str, errors: &[FieldError]) -> WhoActs {
    let acting: Vec<WhoActs> =
        errors.iter().map(|error| error.code.parse().map_or(WhoActs::Site, Reason::who_acts)).collect();
    if acting.contains(&WhoActs::Candidate) {
        return WhoActs::Candidate;
    }
    if let Some(first) = acting.first() {
        return *first;
    }
    match code.parse::<Reason>() {
        Ok(reason) => reason.who_acts(),
        // Too large: of all parts only the applicant's files grow.
        Err(_) if code == causeway_core::problem::Code::BodyTooLarge.as_str() => WhoActs::Candidate,
        Err(_) => WhoActs::Site,
    }
}

fn who_acts(delivery: &DeliveryTrace) -> WhoActs {
    match delivery.state {
        State::Cancelled | State::Erased => WhoActs::Nobody,
        State::Queued | State::InFlight | State::Verifying | State::Waiting | State::Delivered => {
            delivery.reason.map_or(WhoActs::Nobody, Reason::who_acts)
        }
        State::Held | State::Refused | State::Parked => {
            let field = delivery.fields.first().map(|field| field.reason);
            field.or(delivery.reason).map_or(WhoActs::Us, Reason::who_acts)
        }
    }
}

fn why(delivery: &DeliveryTrace) -> Option<Why> {
    delivery.fields.first().map(field_reason).or_else(|| {
        delivery.reason.map(|reason| Why {
            code: reason.as_str().to_owned(),
            pointer: None,
            text: words::reason(reason).to_owned(),
        })
    })
}

/// Where it stands, when there is nothing to explain.
fn standing(delivery: &DeliveryTrace) -> Why {
    Why {
        code: delivery.state.to_string(),
        pointer: None,
        text: words::sentence(&format!("The delivery {}", words::state(delivery.state, delivery.held))),
    }
}

fn field_reason(field: &causeway_core::outcome::FieldReason) -> Why {
    Why {
        code: field.reason.as_str().to_owned(),
        pointer: Some(field.pointer.clone()),
        text: words::sentence(&field.text),
    }
}

fn field_error(error: &FieldError) -> Why {
    Why {
        code: error.code.clone(),
        pointer: Some(error.pointer.clone()),
        text: [&error.message, &error.fix].map(|text| words::sentence(text)).join(" ").trim().to_owned(),
    }
}

fn delivery(trace: &DeliveryTrace, staff: &[&str]) -> DeliveryView {
    let Proof { seen_at, not_verifiable, due_at } = trace.proof.clone().unwrap_or_default();
    DeliveryView {
        id: trace.id,
        account: trace.account_name.clone(),
        account_id: trace.account,
        connector: trace.connector.clone(),
        role: trace.role,
        state: trace.state,
        held: trace.held,
        reason: why(trace),
        who_acts: who_acts(trace),
        changed_at: trace.changed_at,
        next_attempt_at: trace.next_attempt_at.filter(|_| trace.state.is_live()),
        case: trace.case,
        possible_duplicate: trace.possible_duplicate,
        proofs: Proofs {
            sent_at: trace.sent_at,
            vendor_said_yes_at: trace.vendor_said_yes_at,
            vendor_id: trace.vendor_id.clone(),
            seen_at,
            not_verifiable,
            read_back_due_at: due_at,
        },
        attempts: trace.attempts.iter().map(|one| attempt(one, staff)).collect(),
    }
}

fn kept_from(withheld: &Withheld) -> KeptFrom {
    KeptFrom {
        account: withheld.account.clone(),
        reason: Why {
            code: withheld.reason.as_str().to_owned(),
            pointer: Some("/consents".to_owned()),
            text: words::reason(withheld.reason).to_owned(),
        },
        who_acts: withheld.reason.who_acts(),
    }
}

fn attempt(trace: &AttemptTrace, staff: &[&str]) -> AttemptView {
    AttemptView {
        number: trace.number,
        step: trace.step.clone(),
        is_lookup: trace.is_lookup,
        began_at: trace.began_at,
        ended_at: trace.ended_at,
        took_ms: trace.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        class: trace.class,
        reason: trace.reason,
        vendor_status: trace.vendor_status,
        vendor_words: trace.vendor_words.as_ref().map(|words| redact::vendor_words(words.reveal(), staff)),
    }
}

/// Received, validated, each try, the proofs, and where each delivery stands now.
fn timeline(trace: &SubmissionTrace, deliveries: &[&DeliveryTrace], now: Timestamp) -> Vec<Moment> {
    let moment = |at, what: &str, account: Option<&DeliveryTrace>, text: String| Moment {
        at,
        what: what.to_owned(),
        account: account.map(|delivery| delivery.account_name.clone()),
        text,
    };
    let mut lines = vec![moment(trace.received_at, "received", None, "It reached the gateway.".to_owned())];
    match &trace.kind {
        SubmissionKind::Accepted { code, form_digest, .. } => {
            let form = if form_digest.is_some() {
                " with the job's questions"
            } else {
                "; the job's questions were not at hand"
            };
            let text = format!("It was validated{form}, stored and acknowledged with the code {code}.");
            lines.push(moment(trace.received_at, "validated", None, text));
        }
        SubmissionKind::Refused { code, last_at, .. } => {
            lines.push(moment(*last_at, "refused", None, format!("It was answered with {code}: {}.", title_of(code))));
        }
    }
    for delivery in deliveries {
        for attempt in &delivery.attempts {
            let what = if attempt.is_lookup { "lookup" } else { "attempt" };
            lines.push(moment(attempt.began_at, what, Some(delivery), attempt_line(attempt)));
        }
        if let Some(at) = delivery.vendor_said_yes_at {
            lines.push(moment(at, "vendor_said_yes", Some(delivery), "The system said yes.".to_owned()));
        }
        if let Some(at) = delivery.proof.as_ref().and_then(|proof| proof.seen_at) {
            lines.push(moment(at, "seen_at_vendor", Some(delivery), "It was read back.".to_owned()));
        }
    }
    lines.sort_by_key(|line| line.at);
    for delivery in deliveries {
        let text = format!("The delivery {}.", words::state(delivery.state, delivery.held));
        lines.push(moment(now, "now", Some(delivery), text));
    }
    lines
}

fn attempt_line(attempt: &AttemptTrace) -> String {
    let took = attempt.took.map_or(String::new(), |took| format!(" after {} ms", took.as_millis()));
    let came_to = match attempt.class {
        Some(Class::Unknown) => "the outcome is unknown".to_owned(),
        Some(class) => class.to_string(),
        None if attempt.ended_at.is_some() => "it ended".to_owned(),
        None => "it has not ended".to_owned(),
    };
    let status = attempt.vendor_status.map_or(String::new(), |status| format!(", status {status}"));
    format!("{} #{}: {came_to}{status}{took}.", attempt.step, attempt.number)
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
