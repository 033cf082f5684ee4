//! What the vendor sends: the Job Board's postings and questions, Harvest's applications and candidates.
//!
//! Names are the vendor's, letter by letter. Only members that something reads are listed, and every one that the vendor
//! may leave out or send as null is optional, so a new or missing member never makes a posting unreadable. What the
//! vendor receives is `map.rs`; what its answers to a submit mean is `outcome.rs`.

use serde::{Deserialize, Deserializer};

/// `GET /v1/boards/{board_token}/jobs`.
#[derive(Deserialize)]
pub(super) struct JobList {
    pub(super) jobs: Vec<Job>,
    #[serde(default)]
    pub(super) meta: Option<Meta>,
}

#[derive(Deserialize)]
pub(super) struct Meta {
    #[serde(default)]
    pub(super) total: Option<usize>,
}

/// One job post. `GET /v1/boards/{board_token}/jobs/{id}` sends the same with its questions.
#[derive(Deserialize)]
pub(super) struct Job {
    /// The id of the job *post*: what an application names.
    pub(super) id: Id,
    /// The job behind it; null for prospect posts.
    #[serde(default)]
    pub(super) internal_job_id: Option<Id>,
    pub(super) title: String,
    #[serde(default)]
    pub(super) updated_at: Option<String>,
    #[serde(default)]
    pub(super) requisition_id: Option<Id>,
    #[serde(default)]
    pub(super) location: Option<Named>,
    #[serde(default)]
    pub(super) absolute_url: Option<String>,
    #[serde(default)]
    pub(super) language: Option<String>,
    /// HTML whose markup is entity-escaped. Only with `content=true`.
    #[serde(default)]
    pub(super) content: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) departments: Vec<Named>,
}

#[derive(Deserialize)]
pub(super) struct Named {
    #[serde(default)]
    pub(super) name: Option<String>,
}

/// What `questions=true` adds to a job post.
#[derive(Deserialize)]
pub(super) struct Questions {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) questions: Vec<Question>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) location_questions: Vec<Question>,
    /// Equal-opportunity blocks.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) compliance: Vec<ComplianceBlock>,
    #[serde(default)]
    pub(super) demographic_questions: Option<DemographicQuestions>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) data_compliance: Vec<DataCompliance>,
}

#[derive(Deserialize)]
pub(super) struct Question {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) required: bool,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) label: String,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) fields: Vec<Field>,
}

#[derive(Deserialize)]
pub(super) struct Field {
    pub(super) name: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) r#type: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) values: Vec<FieldValue>,
}

#[derive(Deserialize)]
pub(super) struct FieldValue {
    pub(super) value: Id,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) label: String,
}

#[derive(Deserialize)]
pub(super) struct ComplianceBlock {
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) questions: Vec<Question>,
}

#[derive(Deserialize)]
pub(super) struct DemographicQuestions {
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) questions: Vec<DemographicQuestion>,
}

#[derive(Deserialize)]
pub(super) struct DemographicQuestion {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) label: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) r#type: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) answer_options: Vec<DemographicOption>,
}

#[derive(Deserialize)]
pub(super) struct DemographicOption {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) label: String,
}

/// Which consents the applicant is to be asked for.
#[derive(Deserialize)]
pub(super) struct DataCompliance {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) requires_consent: bool,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) requires_processing_consent: bool,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) requires_retention_consent: bool,
}

/// A record of `GET /v3/applications`.
#[derive(Deserialize)]
pub(super) struct Application {
    pub(super) id: Id,
    #[serde(default)]
    pub(super) candidate_id: Option<Id>,
    #[serde(default)]
    pub(super) job_post_id: Option<Id>,
    #[serde(default)]
    pub(super) created_at: Option<String>,
}

/// A record of `GET /v3/candidates`.
#[derive(Deserialize)]
pub(super) struct Candidate {
    pub(super) id: Id,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) email_addresses: Vec<EmailAddress>,
}

#[derive(Deserialize)]
pub(super) struct EmailAddress {
    #[serde(default)]
    pub(super) value: Option<String>,
}

/// An id or option value: the vendor sends numbers in most places and text in some.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "RawId")]
pub(super) struct Id(pub(super) String);

#[derive(Deserialize)]
#[serde(untagged)]
enum RawId {
    Number(i64),
    Flag(bool),
    Text(String),
}

impl From<RawId> for Id {
    fn from(raw: RawId) -> Self {
        Self(match raw {
            RawId::Number(number) => number.to_string(),
            RawId::Flag(flag) => u8::from(flag).to_string(),
            RawId::Text(text) => text,
        })
    }
}

/// The vendor writes "nothing" as null, as an empty value or not at all.
fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The text with HTML entities replaced, once; a second time when only escaped markup is left, as on some boards.
pub(super) fn unescape(text: &str) -> String {
    let once = unescape_once(text);
    if !once.contains('<') && once.contains("&lt;") { unescape_once(&once) } else { once }
}

fn unescape_once(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        match after.split_once(';').and_then(|(name, behind)| Some((entity(name)?, behind))) {
            Some((character, behind)) => {
                out.push(character);
                rest = behind;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The entities a serialiser of HTML produces. Others stay as they are: they are still entities in the HTML that results.
fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code).filter(|character| !character.is_control() || character.is_whitespace())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Id, unescape};

    #[test]
    fn escaped_markup_becomes_markup_once() {
        for (escaped, html) in [
            ("&lt;p&gt;R&amp;amp;D &#x27;n&#39; more&lt;/p&gt;", "<p>R&amp;D 'n' more</p>"),
            ("&amp;lt;p&amp;gt;twice&amp;lt;/p&amp;gt;", "<p>twice</p>"),
            ("<p>a &lt; b</p>", "<p>a < b</p>"),
            ("fish & chips &nbsp; &#0; &unknown; &", "fish & chips &nbsp; &#0; &unknown; &"),
            ("", ""),
        ] {
            assert_eq!(unescape(escaped), html, "{escaped}");
        }
    }

    #[test]
    fn ids_read_alike_whether_number_text_or_flag() {
        let ids: Vec<Id> = serde_json::from_str(r#"[5869311, "5869311", true]"#).unwrap();
        let texts: Vec<&str> = ids.iter().map(|id| id.0.as_str()).collect();
        assert_eq!(texts, ["5869311", "5869311", "1"]);
    }
}
