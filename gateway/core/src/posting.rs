//! The canonical posting, version 1, and the form of questions it publishes.
//!
//! Both are what a connector read at the vendor, in our words; the vendor's own ids are kept beside ours. People's names
//! in a posting (recruiter, hiring manager) are a class of their own and never shown to applicants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::pii::Pii;

/// A job as published.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are the vocabulary")]
pub struct Posting {
    /// The id a site applies to.
    pub posting_id: String,
    /// The vendor's id of the job behind the posting.
    pub vendor_job_id: Option<String>,
    /// What recruiters call it.
    pub requisition_code: Option<String>,
    /// The same job in other locales.
    pub sibling_ids: Vec<String>,
    pub title: String,
    /// HTML, sanitised by whoever shows it.
    pub description_html: Option<String>,
    pub locations: Vec<PostingLocation>,
    pub departments: Vec<String>,
    pub team: Option<String>,
    pub category: Option<String>,
    pub employment_type: Option<String>,
    pub schedule: Option<String>,
    pub seniority: Option<String>,
    pub pay: Option<PostingPay>,
    pub recruiter: Option<Pii<String>>,
    pub hiring_manager: Option<Pii<String>>,
    pub legal_entity: Option<String>,
    pub brand: Option<String>,
    pub language: Option<String>,
    pub opened_at: Option<String>,
    pub closes_at: Option<String>,
    pub updated_at: Option<String>,
    pub confidential: bool,
    pub audience: Option<String>,
    pub evergreen: bool,
    pub apply_url: Option<String>,
    /// SHA-256 over the vendor's own representation, hexadecimal.
    pub source_hash: Option<String>,
}

/// Where the work is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are the vocabulary")]
pub struct PostingLocation {
    pub text: String,
    pub remote: Option<bool>,
    pub allowed_countries: Vec<String>,
}

/// What the work pays.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[expect(missing_docs, reason = "the names are the vocabulary")]
pub struct PostingPay {
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub currency: Option<String>,
    pub period: Option<String>,
    pub shown: bool,
}

/// The questions one posting asks, as last fetched.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Form {
    /// The posting.
    pub posting_id: String,
    /// SHA-256 over the questions, hexadecimal: the form's version.
    pub digest: String,
    /// The questions, in the vendor's order.
    pub questions: Vec<Question>,
}

/// One question. Several fields are alternatives: any one of them answers it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Question {
    /// What the applicant reads.
    pub label: String,
    /// More of it, as HTML.
    pub description: Option<String>,
    /// Must it be answered?
    pub required: bool,
    /// What part of the form it belongs to.
    pub group: QuestionGroup,
    /// The alternatives.
    pub fields: Vec<QuestionField>,
}

/// The part of a form a question belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuestionGroup {
    /// Ordinary questions.
    #[default]
    Application,
    /// Where the applicant is.
    Location,
    /// Demographic or equal-opportunity survey: own class, always voluntary.
    Demographic,
    /// Consent to data processing.
    Consent,
}

/// One way to answer a question.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct QuestionField {
    /// The vendor's name of the field: the `question` of an answer, or a name the connector maps to a canonical field.
    pub name: String,
    /// What goes in.
    pub kind: FieldKind,
    /// What can be chosen.
    pub options: Vec<QuestionOption>,
    /// The vendor's own word for the kind, where building the value takes more than ours says. Empty where it does not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub vendor_type: String,
}

/// What goes into a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum FieldKind {
    #[default]
    Text,
    LongText,
    Hidden,
    File,
    SingleSelect,
    MultiSelect,
    Boolean,
    Number,
    Date,
}

/// Where in the canonical document the answer to a field goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "in", rename_all = "snake_case")]
pub enum Place {
    /// A member of its own.
    Member {
        /// JSON pointer of the value.
        pointer: String,
        /// JSON pointer of what is left out when the question is not answered: the value, or what holds its parts.
        whole: String,
    },
    /// An entry of `answers`.
    Answer {
        /// Its `question`.
        question: String,
        /// The member that holds the answer: `value`, `option`, `options` or `attachment`.
        member: String,
    },
    /// An entry of `attachments`, and the file.
    Attachment {
        /// Its `kind`.
        kind: String,
    },
    /// An entry of `consents`, given or refused.
    Consent {
        /// Its `purpose`.
        purpose: String,
    },
    /// A member of `demographics[].answers`. Always voluntary.
    Demographic {
        /// The entry's `scheme`.
        scheme: String,
        /// The member's name.
        name: String,
    },
}

impl Place {
    /// A member that is left out alone.
    pub fn member(pointer: &str) -> Self {
        Self::Member { pointer: pointer.to_owned(), whole: pointer.to_owned() }
    }

    /// An entry of `answers` for this field.
    pub fn answer(field: &QuestionField) -> Self {
        Self::Answer { question: field.name.clone(), member: field.kind.member().to_owned() }
    }
}

impl FieldKind {
    /// The member of an answer that holds what goes into a field of this kind.
    pub const fn member(self) -> &'static str {
        match self {
            Self::SingleSelect => "option",
            Self::MultiSelect => "options",
            Self::File => "attachment",
            Self::Text | Self::LongText | Self::Hidden | Self::Boolean | Self::Number | Self::Date => "value",
        }
    }
}

/// One option.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct QuestionOption {
    /// The vendor's value.
    pub id: String,
    /// What the applicant reads.
    pub label: String,
}

/// How a subschema says in plain words what it wants. The validator shows the words of the nearest enclosing subschema
/// that has them instead of its own.
pub mod words {
    use super::Value;
    use crate::reason::Reason;

    /// The annotation's keyword.
    pub const KEYWORD: &str = "x-words";

    /// In the annotation: the question that the subschema is about, by the name of its first field.
    pub const QUESTION: &str = "question";

    /// The annotation: what is wrong when the subschema fails, how to fix it, and the pointer to show when the failing
    /// instance is only the container of what is missing.
    pub fn new(reason: Reason, message: &str, fix: &str, pointer: Option<&str>) -> Value {
        serde_json::json!({ "reason": reason.as_str(), "message": message, "fix": fix, "pointer": pointer })
    }
}
