//! An account: a tenant's settings at one connector. Credentials are not here; egress injects them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{AccountId, TenantId};

/// What a tenant uses an account for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The system that owns postings and hiring status.
    Ats,
    /// The system that owns the relationship with people.
    Crm,
}

/// What to do with a submission this account's rules do not accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnInvalid {
    /// Answer 422: the applicant is still there and can fix it.
    #[default]
    Reject,
    /// Answer 202, deliver elsewhere, hold this delivery as a case.
    Hold,
}

/// What to do with a second application for the same e-mail and posting within 120 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Repeats {
    /// Deliver it, linked to the first.
    #[default]
    Deliver,
    /// Hold it for a person.
    Hold,
    /// Refuse this delivery.
    Refuse,
}

/// What to do when nobody can tell whether the vendor took the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUnknown {
    /// Hold it for a person: no duplicate, but it waits.
    #[default]
    Hold,
    /// Send it again, flagged `possible_duplicate`.
    Resend,
}

/// Which of an account's living sets of secrets: there are two while one replaces the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The one that is replaced, or the only one.
    Current,
    /// The newer one.
    Next,
}

/// A tenant's account at one connector, as a connector may see it: settings, never secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// This account.
    pub id: AccountId,
    /// Its owner.
    pub tenant: TenantId,
    /// The name people use for it, unique within the tenant, such as `greenhouse` or `greenhouse-emea`.
    pub name: String,
    /// The connector's name.
    pub connector: String,
    /// ATS or CRM.
    pub role: Role,
    /// The connector's own settings, keyed by the names its Descriptor lists; absent ones take the Descriptor's default.
    pub settings: BTreeMap<String, Value>,
    /// May this account's hosts resolve to loopback or private addresses?
    pub allow_private: bool,
    /// See [`OnInvalid`].
    pub on_invalid: OnInvalid,
    /// See [`Repeats`].
    pub repeats: Repeats,
    /// See [`OnUnknown`].
    pub on_unknown: OnUnknown,
}

impl Account {
    /// A text setting, if it was given and is not empty.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }
}
