//! The canonical application, version 1, as types.
//!
//! `schemas/canonical/application.v1.json` is the contract; these types are how connectors read a document that passed
//! it. They are for reading only: the validated bytes are stored and sent on, never a re-serialisation of this. Every
//! text in here is personal data, so no type in here implements `Debug` by content.
//!
//! Absent means "not asked or not given"; the schema refuses `null`; a declined answer is said with `declined: true`.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

macro_rules! document {
    ($($(#[$doc:meta])* struct $name:ident { $($field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Default, Deserialize)]
            #[serde(default)]
            #[expect(missing_docs, reason = "the schema describes every field")]
            pub struct $name { $(pub $field: $type,)* }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(concat!(stringify!($name), "[personal]"))
                }
            }
        )*
    };
}

document! {
    /// The whole document.
    struct Application {
        job: String,
        person: Person,
        eligibility: Eligibility,
        pay: Pay,
        relation: Relation,
        history: History,
        attachments: Vec<Attachment>,
        answers: Vec<Answer>,
        demographics: Vec<Demographic>,
        consents: Vec<Consent>,
        source: Source,
        client: Client,
        accommodation: Option<String>,
        meta: Meta,
        extensions: Map<String, Value>,
    }
    /// Who applies.
    struct Person {
        name: Name,
        pronouns: Option<String>,
        emails: Vec<Email>,
        phones: Vec<Phone>,
        address: Option<Address>,
        location: Option<Location>,
        links: Vec<Link>,
        languages: Vec<Language>,
        time_zone: Option<String>,
    }
    /// A name, in parts and as typed.
    struct Name {
        given: String,
        middle: Option<String>,
        family: String,
        second_family: Option<String>,
        as_typed: Option<String>,
        preferred: Option<String>,
        prefix: Option<String>,
        suffix: Option<String>,
        native_script: Option<String>,
    }
    /// One e-mail address; the first is the primary one.
    struct Email { address: String, r#type: Option<String>, }
    /// One phone number.
    struct Phone {
        raw: String,
        e164: Option<String>,
        country: Option<String>,
        r#type: Option<String>,
        sms_consent: Option<bool>,
    }
    /// A postal address.
    struct Address {
        lines: Vec<String>,
        city: Option<String>,
        region: Option<String>,
        postal_code: Option<String>,
        country: Option<String>,
    }
    /// Where the person is, as free text, with coordinates if known.
    struct Location { text: String, lat: Option<f64>, lng: Option<f64>, }
    /// A link to a profile or portfolio.
    struct Link { r#type: String, url: String, }
    /// A spoken language.
    struct Language { tag: String, level: Option<String>, }
    /// May and when can the person work.
    struct Eligibility {
        work_authorisation: Vec<WorkAuthorisation>,
        over_18: Option<bool>,
        licences: Vec<String>,
        relocation: Option<bool>,
        travel: Option<String>,
        notice: Option<String>,
        earliest_start: Option<String>,
        previous_employee: Option<bool>,
    }
    /// Work authorisation in one country.
    struct WorkAuthorisation {
        country: String,
        authorised: Option<bool>,
        sponsorship_now: Option<bool>,
        sponsorship_later: Option<bool>,
        permit: Option<String>,
    }
    /// Pay expectation.
    struct Pay { expectation: Option<PayExpectation>, }
    /// The expectation's figures.
    struct PayExpectation {
        min: Option<f64>,
        max: Option<f64>,
        currency: Option<String>,
        period: Option<String>,
        gross: Option<bool>,
    }
    /// How the person relates to the company.
    struct Relation {
        referral: Option<String>,
        agency: Option<String>,
        internal: Option<Internal>,
        ats_candidate_id: Option<String>,
        talent_pool: Option<String>,
    }
    /// An internal applicant.
    struct Internal { employee_id: String, }
    /// What the person did so far.
    struct History {
        education: Vec<Education>,
        employment: Vec<Employment>,
        certifications: Vec<Certification>,
        skills: Vec<String>,
        parsed_from: Option<String>,
        edited_by_applicant: Option<bool>,
    }
    /// One education. Dates may be partial: `2019`, `2019-09` or `2019-09-01`.
    struct Education {
        school: String,
        degree: Option<String>,
        discipline: Option<String>,
        start: Option<String>,
        end: Option<String>,
    }
    /// One employment.
    struct Employment {
        company: String,
        title: String,
        start: Option<String>,
        end: Option<String>,
        current: Option<bool>,
        description: Option<String>,
    }
    /// One certification.
    struct Certification { name: String, issuer: Option<String>, issued: Option<String>, expires: Option<String>, }
    /// One file that came with the document; `id` names the multipart part.
    struct Attachment {
        id: String,
        kind: String,
        question: Option<String>,
        name: String,
        media_type: String,
        size: u64,
        sha256: Option<String>,
        language: Option<String>,
    }
    /// One answer to a posting's question.
    struct Answer {
        question: String,
        target: Option<String>,
        wording: Option<String>,
        locale: Option<String>,
        r#type: Option<String>,
        value: Option<Value>,
        option: Option<AnswerOption>,
        options: Vec<AnswerOption>,
        attachment: Option<String>,
        declined: Option<bool>,
    }
    /// A chosen option.
    struct AnswerOption { id: String, label: Option<String>, }
    /// One demographic survey; goes to no CRM and no reader but an audited privacy officer.
    struct Demographic {
        scheme: String,
        jurisdiction: Option<String>,
        form_version: Option<String>,
        answers: Map<String, Value>,
        declined: Option<bool>,
        signed: Option<Value>,
    }
    /// One consent, given or refused.
    struct Consent {
        purpose: String,
        basis: Option<String>,
        text_id: Option<String>,
        policy_version: Option<String>,
        locale: Option<String>,
        given: bool,
        at: Option<String>,
        channel: Option<String>,
        retain_until: Option<String>,
    }
    /// Where the application came from.
    struct Source {
        board: Option<String>,
        utm: Map<String, Value>,
        click_ids: Map<String, Value>,
        referrer: Option<String>,
        landing_url: Option<String>,
        indeed_apply_id: Option<String>,
        linkedin_application_id: Option<String>,
        redirect_id: Option<String>,
        campaign: Option<String>,
    }
    /// The applicant's browser.
    struct Client { ip: Option<String>, user_agent: Option<String>, locale: Option<String>, }
    /// About the submission itself.
    struct Meta { site: Option<String>, form_digest: Option<String>, submitted_at: Option<String>, test: Option<bool>, }
}

impl Application {
    /// The document in these bytes.
    ///
    /// # Errors
    /// When the bytes are not a document that passed the canonical schema. The error names a place, never a value.
    pub fn parse(bytes: &[u8]) -> Result<Self, UnreadableDocument> {
        serde_json::from_slice(bytes).map_err(|error| UnreadableDocument { line: error.line(), column: error.column() })
    }

    /// The primary e-mail address as typed.
    pub fn primary_email(&self) -> Option<&str> {
        self.person.emails.first().map(|email| email.address.as_str())
    }

    /// The first attachment of this kind that answers no question of its own.
    pub fn attachment_of_kind(&self, kind: &str) -> Option<&Attachment> {
        self.attachments.iter().find(|attachment| attachment.kind == kind && attachment.question.is_none())
    }

    /// The answer to a question.
    pub fn answer_to(&self, question: &str) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.question == question)
    }
}

/// A stored document that cannot be read back as the canonical application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the document is not a canonical application (line {line}, column {column})")]
pub struct UnreadableDocument {
    /// One-based.
    pub line: usize,
    /// One-based.
    pub column: usize,
}
