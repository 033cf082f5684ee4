//! HubSpot as CRM: one application becomes a contact, a record (ticket or custom object), a note and an association.
//!
//! Says what the connector declares and in which order the steps run; each step is a file: [`contact`], [`record`] (with
//! [`provision`]), [`note`], [`association`]. Mapping ([`map`]) and verdicts ([`outcome`]) are pure. It sends no file,
//! no demographic answer and no accommodation request, and never writes a lifecycle stage, owner or marketing status.
//! Invariant: what a person or another system wrote in HubSpot is never overwritten.

mod association;
mod check;
mod contact;
mod fields;
mod map;
mod note;
mod outcome;
mod provision;
mod record;
mod settings;
#[cfg(test)]
mod tests;
mod wire;

use std::time::Duration;

use async_trait::async_trait;
use causeway_core::account::{Account, Role};
use causeway_core::connector::{
    AuthScheme, Connector, Delivery, Descriptor, Field, FindSupport, Http, Limits, Permission, ReadError, Stage, Taken,
    Verdict,
};
use causeway_core::delivery::{Idempotency, StepPlan};
use causeway_core::outcome::{Found, Outcome};
use causeway_core::overlay::VendorField;
use causeway_core::reason::Reason;
use jiff::Timestamp;

use self::settings::Settings;
use self::wire::Api;

/// The steps, by the names the store keeps.
mod step {
    pub(super) const CONTACT: &str = "contact";
    pub(super) const RECORD: &str = "record";
    pub(super) const NOTE: &str = "note";
    pub(super) const ASSOCIATION: &str = "association";
}

/// The references the steps leave behind.
mod reference {
    pub(super) const CONTACT: &str = "contact_id";
    pub(super) const RECORD: &str = "record_id";
    pub(super) const NOTE: &str = "note_id";
}

static DESCRIPTOR: Descriptor = Descriptor {
    name: "hubspot",
    title: "HubSpot",
    roles: &[Role::Crm],
    credentials: &[Field {
        name: "access_token",
        help: "A Service Key (HubSpot: Development > Keys > Service keys; in some accounts Settings > Integrations > \
               Service Keys), or the access token of a private app you already have. Scopes: \
               crm.objects.contacts.read, crm.objects.contacts.write, crm.schemas.contacts.read (to list what can be \
               mapped), tickets; for custom objects instead of tickets \
               crm.objects.custom.read, crm.objects.custom.write, crm.schemas.custom.read, crm.schemas.custom.write.",
        required: true,
        default: None,
        is_url: false,
    }],
    settings: settings::FIELDS,
    auth: &[AuthScheme::Bearer { name: wire::AUTH, token: "access_token" }],
    find: FindSupport::Always,
    visibility_lag: Duration::from_secs(10),
    // The smallest documented tier (Free and Starter); the headers of every answer correct it.
    limits: Limits { window: Duration::from_secs(10), calls: 100, concurrency: 5 },
    read_pace: outcome::pace,
    takes_files: false,
    names_hosts: false,
    docs: &[
        "developers.hubspot.com: contacts, tickets, notes, associations v4, properties, object APIs, usage guidelines (read 2026-11)",
        "HubSpot/HubSpot-public-api-spec-collection @9989379 (2026-08-21)",
        "HubSpot changelog: legacy private app creation sunset; Service Keys (read 2026-11)",
    ],
};

/// HubSpot.
pub(crate) struct HubSpot;

#[async_trait]
impl Connector for HubSpot {
    fn describe(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn erasing(&self) -> Option<&'static str> {
        Some(
            "HubSpot's API erases a contact for good with POST /crm/v3/objects/contacts/gdpr-delete; the application's \
             record is an object of its own.",
        )
    }

    fn plan(&self, _delivery: &Delivery<'_>) -> Vec<StepPlan> {
        vec![
            // HubSpot holds one contact per address: a second create is a 409, never a second contact.
            StepPlan { name: step::CONTACT, title: "Contact", idempotency: Idempotency::Always },
            // Keyed by our own unique property.
            StepPlan { name: step::RECORD, title: "Application record", idempotency: Idempotency::Always },
            // Notes have no key of any kind: the only step that has to be looked up.
            StepPlan { name: step::NOTE, title: "Note", idempotency: Idempotency::Never },
            StepPlan { name: step::ASSOCIATION, title: "Record linked to contact", idempotency: Idempotency::Always },
        ]
    }

    /// What a person would write beside the application is no reason to call it refused: the record is made.
    fn only_adds(&self, step: &str) -> bool {
        matches!(step, step::NOTE | step::ASSOCIATION)
    }

    async fn run(&self, step: &str, delivery: &Delivery<'_>, http: &dyn Http) -> Outcome {
        let settings = match Settings::of(delivery.account) {
            Ok(settings) => settings,
            Err(problem) => return outcome::misconfigured(problem),
        };
        let api = Api { http, settings: &settings, now: delivery.now };
        let done = match step {
            step::CONTACT => contact::run(&api, delivery).await,
            step::RECORD => record::run(&api, delivery).await,
            step::NOTE => note::run(&api, delivery).await,
            step::ASSOCIATION => association::run(&api, delivery).await,
            // A stored step that no version of this connector planned.
            _ => Err(Outcome::new(causeway_core::outcome::Class::Refused).because(Reason::Poison)),
        };
        done.unwrap_or_else(|stopped| stopped)
    }

    async fn find(&self, step: &str, delivery: &Delivery<'_>, _since: Timestamp, http: &dyn Http) -> Found {
        let Ok(settings) = Settings::of(delivery.account) else { return Found::CannotTell };
        let api = Api { http, settings: &settings, now: delivery.now };
        let found = match step {
            step::CONTACT => contact::find(&api, delivery).await,
            step::RECORD => record::find(&api, delivery).await,
            step::NOTE => note::find(&api, delivery).await,
            // Repeating the association is harmless, so there is nothing to ask.
            _ => Ok(Found::CannotTell),
        };
        found.unwrap_or_else(|stopped| outcome::unanswered(&stopped))
    }

    /// The record, by the property that is our own and unique: it carries our reference, and no search index is involved.
    async fn seen(&self, delivery: &Delivery<'_>, taken: &Taken<'_>, http: &dyn Http) -> Found {
        self.find(step::RECORD, delivery, taken.sent_at, http).await
    }

    async fn custom_fields(&self, account: &Account, http: &dyn Http) -> Result<Vec<VendorField>, ReadError> {
        let settings = Settings::of(account).map_err(|problem| ReadError::Misconfigured(problem.to_owned()))?;
        fields::list(&Api { http, settings: &settings, now: Timestamp::UNIX_EPOCH }).await
    }

    async fn stages(&self, account: &Account, http: &dyn Http) -> Result<Vec<Stage>, ReadError> {
        let settings = Settings::of(account).map_err(|problem| ReadError::Misconfigured(problem.to_owned()))?;
        fields::stages(&Api { http, settings: &settings, now: Timestamp::UNIX_EPOCH }).await
    }

    async fn check(&self, account: &Account, http: &dyn Http) -> Vec<Permission> {
        match Settings::of(account) {
            // Waiting times are reckoned from `now`; a check reports none, so any moment will do.
            Ok(settings) => check::permissions(&Api { http, settings: &settings, now: Timestamp::UNIX_EPOCH }).await,
            Err(problem) => {
                vec![Permission { name: "settings", verdict: Verdict::No, text: problem.to_owned() }]
            }
        }
    }
}
