//! Recorded facts, and the one sentence each yields for the customer and for the applicant.
//!
//! The two texts are nothing but these sentences in order: a fact that was not recorded has no sentence, and no sentence
//! rests on two facts. The applicant's never shows a hiring decision, a rule that blocked, a person's or a vendor's name, or
//! a vendor's words: a fact that could show one has no sentence there.

use causeway_core::account::Role;
use causeway_core::delivery::{HeldCause, State};
use causeway_core::ids::SubmissionId;
use causeway_core::outcome::Class;
use causeway_core::problem::Code;
use causeway_core::reason::{Reason, WhoActs};
use jiff::Timestamp;

use super::redact;
use super::words::{self, day, moment, sentence};
use crate::store::trace::{AttemptTrace, DeliveryTrace, SubmissionKind, SubmissionTrace};

/// A field-level reason, from the refusal or from a vendor.
#[derive(Debug, Clone)]
pub(super) struct Field<'a> {
    pub(super) code: &'a str,
    pub(super) reason: Option<Reason>,
    pub(super) pointer: &'a str,
    pub(super) text: &'a str,
    pub(super) fix: &'a str,
    pub(super) required_by: &'a [String],
    /// The applicant can still send a corrected one: nothing was taken by the ATS.
    pub(super) correctable: bool,
}

/// One recorded fact. `taken`: does the system have it, as far as anybody knows? `told`: another fact says when it was handed
/// over.
#[derive(Debug, Clone)]
pub(super) enum Fact<'a> {
    Came { at: Timestamp },
    Job { title: &'a str },
    Receipt { code: &'a str },
    RefusedAtOnce { code: &'a str },
    CameAgain { count: u64, last_at: Timestamp },
    RepeatOf { first: SubmissionId },
    JobClosed { at: Timestamp },
    DataErased,
    Wrong(Field<'a>),
    Stands { account: &'a str, role: Role, state: State, held: Option<HeldCause>, taken: Option<bool> },
    KeptOut { account: &'a str, role: Role, at: Timestamp, told: bool },
    Because { account: &'a str, reason: Reason },
    Tried { account: &'a str, tries: usize, last: &'a AttemptTrace },
    Said { account: &'a str, words: String },
    Sent { account: &'a str, at: Timestamp },
    SaidYes { account: &'a str, role: Role, at: Timestamp },
    Record { account: &'a str, id: &'a str },
    Seen { account: &'a str, at: Timestamp },
    NotVerifiable { account: &'a str, why: &'a str },
    ToBeSeen { account: &'a str, at: Timestamp },
    NextTry { account: &'a str, at: Timestamp },
    MaybeTwice { account: &'a str },
    KeptFrom { account: &'a str, reason: Reason },
}

/// Everything recorded about a submission, in the order it is told.
pub(super) fn of(trace: &SubmissionTrace) -> Vec<Fact<'_>> {
    let mut facts = vec![Fact::Came { at: trace.received_at }];
    if let Some(posting) = trace.posting.as_ref().filter(|posting| !posting.title.is_empty()) {
        facts.push(Fact::Job { title: &posting.title });
    }
    match &trace.kind {
        SubmissionKind::Accepted { code, repeat_of, deliveries, withheld, form_digest: _ } => {
            facts.push(Fact::Receipt { code });
            facts.extend(repeat_of.map(|first| Fact::RepeatOf { first }));
            facts.extend(trace.posting_closed_at.map(|at| Fact::JobClosed { at }));
            facts.extend(trace.erased.then_some(Fact::DataErased));
            let staff = staff(trace);
            for delivery in in_order(deliveries) {
                of_delivery(delivery, &staff, &mut facts);
            }
            facts.extend(withheld.iter().map(|one| Fact::KeptFrom { account: &one.account, reason: one.reason }));
        }
        SubmissionKind::Refused { code, errors, count, last_at } => {
            facts.push(Fact::RefusedAtOnce { code });
            facts.extend((*count > 1).then_some(Fact::CameAgain { count: *count, last_at: *last_at }));
            facts.extend(trace.posting_closed_at.map(|at| Fact::JobClosed { at }));
            facts.extend(trace.erased.then_some(Fact::DataErased));
            facts.extend(errors.iter().map(|error| {
                Fact::Wrong(Field {
                    code: &error.code,
                    reason: error.code.parse().ok(),
                    pointer: &error.pointer,
                    text: &error.message,
                    fix: &error.fix,
                    required_by: &error.required_by,
                    correctable: true,
                })
            }));
        }
    }
    facts
}

/// The ATS before the CRM: it is what people ask about.
pub(super) fn in_order(deliveries: &[DeliveryTrace]) -> Vec<&DeliveryTrace> {
    let mut deliveries: Vec<&DeliveryTrace> = deliveries.iter().collect();
    deliveries.sort_by_key(|delivery| delivery.role == Role::Crm);
    deliveries
}

/// The people the posting names.
pub(super) fn staff(trace: &SubmissionTrace) -> Vec<&str> {
    let named = trace.posting.iter().flat_map(|posting| [&posting.recruiter, &posting.hiring_manager]);
    named.flatten().map(|name| name.reveal().as_str()).collect()
}

fn of_delivery<'a>(delivery: &'a DeliveryTrace, staff: &[&str], facts: &mut Vec<Fact<'a>>) {
    let account = delivery.account_name.as_str();
    let blocked = delivery.reason == Some(Reason::ApplicationBlocked) && delivery.state == State::Refused;
    let taken = match delivery.vendor_said_yes_at {
        // What only adds to an application may fail after the system has taken it.
        Some(_) => Some(true),
        // One that its rules kept out was taken in, too.
        None if blocked => Some(true),
        None if may_have_taken(delivery) => None,
        None => Some(false),
    };
    facts.push(Fact::Stands { account, role: delivery.role, state: delivery.state, held: delivery.held, taken });
    let (role, at, told) = (delivery.role, delivery.changed_at, delivery.vendor_said_yes_at.is_some());
    facts.extend(blocked.then_some(Fact::KeptOut { account, role, at, told }));
    facts.extend(delivery.reason.map(|reason| Fact::Because { account, reason }));
    facts.extend(delivery.fields.iter().map(|field| {
        Fact::Wrong(Field {
            code: field.reason.as_str(),
            reason: Some(field.reason),
            pointer: &field.pointer,
            text: &field.text,
            fix: "",
            required_by: std::slice::from_ref(&delivery.account_name),
            correctable: delivery.role == Role::Ats && matches!(delivery.state, State::Refused | State::Held),
        })
    }));
    let tries = delivery.attempts.iter().filter(|attempt| !attempt.is_lookup).count();
    let last = delivery.attempts.iter().rev().find(|attempt| !attempt.is_lookup);
    if let Some(last) = last {
        facts.push(Fact::Tried { account, tries, last });
        // A vendor that took it has nothing to explain.
        let took_it = matches!(last.class, Some(Class::Accepted | Class::AlreadyThere));
        if let Some(words) = last.vendor_words.as_ref().filter(|_| !took_it) {
            let words = redact::for_customer(&redact::vendor_words(words.reveal(), staff));
            facts.extend((!words.is_empty()).then_some(Fact::Said { account, words }));
        }
    }
    facts.extend(delivery.sent_at.map(|at| Fact::Sent { account, at }));
    facts.extend(delivery.vendor_said_yes_at.map(|at| Fact::SaidYes { account, role: delivery.role, at }));
    facts.extend(delivery.vendor_id.as_deref().map(|id| Fact::Record { account, id }));
    if let Some(proof) = &delivery.proof {
        facts.extend(proof.seen_at.map(|at| Fact::Seen { account, at }));
        facts.extend(proof.not_verifiable.as_deref().map(|why| Fact::NotVerifiable { account, why }));
        facts.extend(proof.due_at.map(|at| Fact::ToBeSeen { account, at }));
    }
    facts.extend(delivery.next_attempt_at.filter(|_| delivery.state.is_live()).map(|at| Fact::NextTry { account, at }));
    facts.extend(delivery.possible_duplicate.then_some(Fact::MaybeTwice { account }));
}

/// Nobody knows whether the system has it: the last try came to no answer that says so.
fn may_have_taken(delivery: &DeliveryTrace) -> bool {
    let last = delivery.attempts.iter().rev().find(|attempt| !attempt.is_lookup);
    delivery.possible_duplicate
        || matches!(delivery.reason, Some(Reason::OutcomeUnknown | Reason::OutcomeCannotBeKnown | Reason::Restored))
        || last.is_some_and(|last| matches!(last.class, None | Some(Class::Unknown)))
}

impl Fact<'_> {
    /// The sentence for the customer.
    pub(super) fn for_customer(&self) -> Option<String> {
        Some(match self {
            Self::Came { at } => format!("The submission reached the gateway on {}.", moment(*at)),
            Self::Job { title } => format!("It is for the job \"{title}\"."),
            Self::Receipt { code } => format!("It was accepted and stored; the receipt's code is {code}."),
            Self::RefusedAtOnce { code } => format!("It was answered with the problem {code}: {}.", title_of(code)),
            Self::CameAgain { count, last_at } => {
                format!("The same bytes came {count} times, last on {}.", moment(*last_at))
            }
            Self::RepeatOf { first } => format!("The same person applied to this job before ({first})."),
            Self::JobClosed { at } => format!("The job has been closed since {}.", moment(*at)),
            Self::DataErased => "Its personal data was erased.".to_owned(),
            Self::Wrong(field) => wrong(field),
            Self::Stands { account, state, held, role: _, taken: _ } => {
                format!("The delivery to {account} {}.", words::state(*state, *held))
            }
            Self::KeptOut { account, at, role: _, told: _ } => {
                format!("{account} received it on {} and made no application of it.", moment(*at))
            }
            Self::Because { account, reason } => {
                format!("For {account}: {} {}", words::reason(*reason), words::who(reason.who_acts()))
            }
            Self::Tried { account, tries, last } => tried(account, *tries, last),
            Self::Said { account, words } => format!("{account} said: {}", sentence(words)),
            Self::Sent { account, at } => format!("It was sent to {account} on {}.", moment(*at)),
            Self::SaidYes { account, at, role: _ } => format!("{account} said yes on {}.", moment(*at)),
            Self::Record { account, id } => format!("The record at {account} is {id}."),
            Self::Seen { account, at } => format!("It was read back at {account} on {}.", moment(*at)),
            Self::NotVerifiable { account, why } => format!("It was not read back at {account}: {}", sentence(why)),
            Self::ToBeSeen { account, at } => {
                format!("It is to be read back at {account}, not before {}.", moment(*at))
            }
            Self::NextTry { account, at } => format!("The next try at {account} is due on {}.", moment(*at)),
            Self::KeptFrom { account, reason } => {
                format!("It was not sent to {account}. {} {}", words::reason(*reason), words::who(reason.who_acts()))
            }
            Self::MaybeTwice { account } => {
                format!("It was sent again without knowing that the first try failed: {account} may hold it twice.")
            }
        })
    }

    /// The sentence for the applicant. `names` are words that must not appear: systems and people.
    pub(super) fn for_applicant(&self, names: &[&str]) -> Option<String> {
        match self {
            Self::Came { at } => Some(format!("Your application reached us on {}.", day(*at))),
            Self::Job { title } => Some(format!("It is for the job \"{title}\".")),
            Self::Receipt { code } => Some(format!("Your receipt code is {code}.")),
            Self::RefusedAtOnce { .. } => Some("It could not be taken the way it was sent.".to_owned()),
            Self::JobClosed { .. } => Some("The job no longer takes applications.".to_owned()),
            Self::DataErased => Some("Your data was erased.".to_owned()),
            Self::Wrong(field) => for_the_applicant_to_correct(field, names),
            // A rule that kept it out is not the applicant's to know: in the same words as any that arrived.
            Self::SaidYes { role: Role::Ats, at, .. } | Self::KeptOut { role: Role::Ats, at, told: false, .. } => {
                Some(format!("It was handed to the company's recruiting system on {}.", day(*at)))
            }
            // What was taken has its own sentence, whatever else there is to bring.
            Self::Stands { role: Role::Ats, taken: Some(true), .. } => None,
            Self::Stands { role: Role::Ats, state, taken, .. } => match state {
                State::Queued | State::InFlight | State::Verifying | State::Waiting => {
                    Some("It is on its way to the company's recruiting system.".to_owned())
                }
                State::Held | State::Parked | State::Refused if taken.is_none() => {
                    Some("It is being found out whether it reached the company's recruiting system.".to_owned())
                }
                State::Held | State::Parked | State::Refused => {
                    Some("It has not been handed to the company's recruiting system.".to_owned())
                }
                State::Delivered | State::Cancelled | State::Erased => None,
            },
            Self::SaidYes { role: Role::Crm, .. }
            | Self::KeptOut { .. }
            | Self::Stands { role: Role::Crm, .. }
            | Self::CameAgain { .. }
            | Self::RepeatOf { .. }
            | Self::Because { .. }
            | Self::Tried { .. }
            | Self::Said { .. }
            | Self::Sent { .. }
            | Self::Record { .. }
            | Self::Seen { .. }
            | Self::NotVerifiable { .. }
            | Self::ToBeSeen { .. }
            | Self::NextTry { .. }
            | Self::MaybeTwice { .. }
            | Self::KeptFrom { .. } => None,
        }
    }
}

/// What a problem code means.
pub(super) fn title_of(code: &str) -> &'static str {
    Code::ALL.iter().find(|known| known.as_str() == code).map_or("see the log", |known| known.title())
}

fn wrong(field: &Field<'_>) -> String {
    let place = if field.pointer.is_empty() { String::new() } else { format!(" at {}", field.pointer) };
    let by =
        if field.required_by.is_empty() { String::new() } else { format!(" for {}", field.required_by.join(", ")) };
    let told = format!("Wrong{place}{by} ({}): {}", field.code, sentence(field.text));
    if field.fix.is_empty() { told } else { format!("{told} {}", sentence(field.fix)) }
}

/// Only what the applicant can correct, and nothing of the voluntary survey.
fn for_the_applicant_to_correct(field: &Field<'_>, names: &[&str]) -> Option<String> {
    let theirs = field.reason.is_some_and(|reason| reason.who_acts() == WhoActs::Candidate);
    if !theirs || !field.correctable || field.pointer.starts_with("/demographics") {
        return None;
    }
    // What to do is written for the site's developers; what is wrong, for anybody.
    let told = sentence(field.text);
    // A text of ours that names a system or a person is replaced by what the code says.
    let lower = told.to_lowercase();
    let names_somebody = names.iter().any(|name| !name.is_empty() && lower.contains(&name.to_lowercase()));
    let told = match field.reason {
        Some(reason) if names_somebody || told.is_empty() => words::reason(reason).to_owned(),
        Some(_) | None => told,
    };
    Some(format!("Please correct this and send it again: {told}"))
}

fn tried(account: &str, tries: usize, last: &AttemptTrace) -> String {
    let times = if tries == 1 { "once".to_owned() } else { format!("{tries} times") };
    let came_to = match (last.class, last.vendor_status) {
        (Some(class), Some(status)) => format!("it came to {class} with status {status}"),
        (Some(class), None) => format!("it came to {class} without an answer"),
        (None, _) => "it has not ended".to_owned(),
    };
    format!("{account} was tried {times}, last on {} (step {}): {came_to}.", moment(last.began_at), last.step)
}
