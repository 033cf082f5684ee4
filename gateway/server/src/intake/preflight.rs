//! `preflight`: what `submit` would say of a document, told per system. Nothing is stored, taken, rung for or traced.
//!
//! The verdict is `judge`'s, the same that a submit acts on. What is left out is what only a commit can know: whether the
//! person applied before, and whether the key of a request was used. Demographic answers leave no mark in the answer, not
//! even the names of their members.

use causeway_core::account::Role;
use causeway_core::delivery::State;
use causeway_core::problem::{Code, FieldError, Problem};
use causeway_core::reason::Reason;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::judge::{Asking, Judged};
use super::receipt::Withheld;
use super::submission::Envelope;
use super::targets::{self, Start};
use super::{Decided, Intake, Refusal, Sender, Submission};

/// What a submit of the same document would come to.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Preflight {
    /// What a submit would answer.
    pub submit: Submit,
    /// With this key the application would be a test.
    pub test: bool,
    /// The gateway's own contract.
    pub canonical: Canonical,
    /// One per receiving system, the ATS first.
    pub targets: Vec<Target>,
    /// The CRM accounts that would get nothing, for want of a lawful basis, as the receipt tells.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Withheld>,
    /// Every complaint once, with the names of all systems that make it: the `errors` of a submit's problem.
    pub errors: Vec<FieldError>,
    /// The form that was asked.
    pub form: FormSeen,
}

/// A submit's answer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PreflightSubmit")]
pub struct Submit {
    /// 202, or the problem's.
    pub status: u16,
    /// The problem's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Code>")]
    pub code: Option<&'static str>,
}

/// What a system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "PreflightVerdict")]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// It takes the document as it is.
    Pass,
    /// It does not.
    Fail,
    /// It could not be asked everything yet: the job or its form is not known, or the form cannot be used.
    Unchecked,
}

/// What the gateway's own contract says.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PreflightCanonical")]
pub struct Canonical {
    /// Pass or fail.
    pub verdict: Says,
    /// Why not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// What a receiving system says.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PreflightTarget")]
pub struct Target {
    /// The account's name.
    pub account: String,
    /// ATS or CRM.
    pub role: Role,
    /// Does it take the document?
    pub verdict: Says,
    /// Where its delivery would begin; left out when the submit would be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Why it would be held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// All its complaints.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// Something that is not there and has to be.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "PreflightMissing")]
pub struct Missing {
    /// The question's id in the job's form, if it is one of its questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Where the answer belongs.
    pub pointer: String,
}

/// The form that was asked.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PreflightForm")]
pub struct FormSeen {
    /// As the form's own `ETag`, without quotes; none when the job is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// When the questions were last read from the ATS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
}

impl Intake {
    /// Says what a submit of the same would come to.
    ///
    /// # Errors
    /// The refusal that a submit would answer, when it is about something else than the document.
    pub async fn preflight(&self, sender: Sender, submission: &Submission) -> Result<Preflight, Refusal> {
        let document = self
            .schemas
            .parse(&submission.document)
            .map_err(|error| Refusal::from(Problem::new(Code::BodyUnreadable).detail(error.to_string())))?;
        let envelope = Envelope::of(&document);
        let now = self.clock.now();
        let judged = self.judge(sender, submission, &document, &envelope, now, Asking::ToKnow).await?;
        Ok(self.told(sender, &judged))
    }

    fn told(&self, sender: Sender, judged: &Judged) -> Preflight {
        let refusal = judged.refusal();
        let Decided { view, verdict, .. } = &judged.decided;
        let submit = match &refusal {
            None => Submit { status: 202, code: None },
            Some(refusal) => Submit { status: refusal.problem.status, code: Some(refusal.problem.code) },
        };
        let says = if verdict.canonical.is_empty() { Says::Pass } else { Says::Fail };
        let digest = view.posting.as_ref().map(|_| self.form_digest(sender.test, view));
        let read_at = view.form.as_ref().map(|(_, read_at)| *read_at);
        Preflight {
            submit,
            test: sender.test,
            canonical: Canonical { verdict: says, errors: quiet(&verdict.canonical) },
            targets: targets(&judged.decided, refusal.is_some()),
            withheld: judged.decided.withheld().map(Withheld::of).collect(),
            errors: quiet(&verdict.all_errors()),
            form: FormSeen { digest, read_at },
        }
    }
}

fn targets(decided: &Decided, refused: bool) -> Vec<Target> {
    let target = |(record, start): (&crate::store::setup::AccountRecord, &Start)| {
        let errors = quiet(decided.verdict.of(record.account.id));
        let (state, reason) = targets::shown(record, start);
        Target {
            account: record.account.name.clone(),
            role: record.account.role,
            verdict: says(start, &errors, decided, record),
            state: (!refused).then_some(state),
            reason: reason.filter(|_| !refused),
            missing: missing(&errors),
            errors,
        }
    };
    decided.targets().map(target).collect()
}

/// Held for what is not known yet is no pass: nobody asked.
fn says(start: &Start, errors: &[FieldError], decided: &Decided, record: &crate::store::setup::AccountRecord) -> Says {
    if !errors.is_empty() {
        return Says::Fail;
    }
    let unchecked = decided.verdict.unchecked.iter().any(|(id, _)| *id == record.account.id);
    match start {
        Start::Queued if !unchecked => Says::Pass,
        Start::Queued | Start::Held(..) | Start::Rejected => Says::Unchecked,
    }
}

fn missing(errors: &[FieldError]) -> Vec<Missing> {
    let missing = errors.iter().filter(|error| error.code == Reason::AnswerMissing.as_str());
    missing.map(|error| Missing { question: error.question.clone(), pointer: error.pointer.clone() }).collect()
}

/// Points into `demographics` at an entry, never at what is in it.
fn quiet(errors: &[FieldError]) -> Vec<FieldError> {
    let mut errors = errors.to_vec();
    for error in &mut errors {
        if let Some(rest) = error.pointer.strip_prefix("/demographics/") {
            let entry = rest.split('/').next().unwrap_or_default();
            error.pointer = format!("/demographics/{entry}");
            error.question = None;
        }
    }
    errors
}
