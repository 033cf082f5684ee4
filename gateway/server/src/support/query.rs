//! A lookup as it is asked, over HTTP, on the control socket or on the command line, and its checks.
//!
//! The address is personal: it has a type that does not print, and it is only ever in a body.

use causeway_core::email::NormalEmail;
use causeway_core::ids::TenantId;
use causeway_core::pii::Pii;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Number, Value, json};

use crate::store::trace::LookupQuery;

/// Submissions shown unless asked otherwise, and at most.
const LIMIT: usize = 20;
const LIMIT_MAX: usize = 200;

/// What is asked.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("anyOf" = one_of_these()))]
pub struct LookupRequest {
    /// The applicant's address, as typed.
    #[schemars(extend("format" = "email"))]
    pub email: Option<Pii<String>>,
    /// Find plus-tagged variants too.
    pub base_email: bool,
    /// Any id of the job, or its requisition code.
    pub job: Option<String>,
    /// The receipt's code.
    pub code: Option<String>,
    /// An account's name or id.
    pub account: Option<String>,
    /// Received at or after.
    pub since: Option<Timestamp>,
    /// Received before.
    pub until: Option<Timestamp>,
    /// At most so many; 20 unless it is said.
    #[serde(deserialize_with = "whole")]
    #[schemars(range(min = 1, max = LIMIT_MAX))]
    pub limit: Option<usize>,
}

/// A question without any of these would match everything.
fn one_of_these() -> Value {
    let given = |name: &str, schema: Value| json!({ "required": [name], "properties": { name: schema } });
    let text = json!({ "type": "string" });
    let word = json!({ "type": "string", "pattern": "\\S" });
    json!([
        given("email", text.clone()),
        given("code", word.clone()),
        given("account", word),
        given("since", text.clone()),
        given("until", text),
    ])
}

/// A whole number, however JSON writes it: 20 and 20.0 are the same.
pub(super) fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(from)? else { return Ok(None) };
    let whole =
        number.as_u64().or_else(|| number.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as u64));
    let whole = whole.and_then(|whole| usize::try_from(whole).ok());
    whole.map(Some).ok_or_else(|| D::Error::custom("not a whole number from 0 on"))
}

/// A question that cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No address.
    #[error("the e-mail address has no `local@domain` form")]
    NotAnAddress,
    /// It would match everything.
    #[error("give at least one of e-mail, code, account, since and until")]
    Nothing,
    /// None, or more than are ever shown.
    #[error("the `limit` is from 1 to 200")]
    Limit,
    /// Ends before it begins.
    #[error("`until` must be after `since`")]
    Backwards,
}

impl LookupRequest {
    /// The query, for one tenant.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn check(self, tenant: TenantId) -> Result<LookupQuery, QueryError> {
        let given = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let email =
            self.email.map(|email| NormalEmail::parse(email.reveal()).ok_or(QueryError::NotAnAddress)).transpose()?;
        let (job, code, account) = (given(self.job), given(self.code), given(self.account));
        if email.is_none() && code.is_none() && account.is_none() && self.since.is_none() && self.until.is_none() {
            return Err(QueryError::Nothing);
        }
        if let (Some(since), Some(until)) = (self.since, self.until)
            && until <= since
        {
            return Err(QueryError::Backwards);
        }
        let limit = self.limit.unwrap_or(LIMIT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(QueryError::Limit);
        }
        Ok(LookupQuery {
            tenant,
            email,
            base_email: self.base_email,
            job,
            code,
            account,
            since: self.since,
            until: self.until,
            limit,
        })
    }
}
