//! The account's settings, read once per call.
//!
//! Decides what kind of record an application becomes. Makes no request; a setting that cannot work is a plain sentence.

use causeway_core::account::Account;
use causeway_core::connector::Field;

const BASE_URL: &str = "https://api.hubapi.com";
const TICKET: &str = "ticket";
const CUSTOM_OBJECT: &str = "custom_object";
/// The default pipeline and its first stage, as recorded from a new account.
const PIPELINE: &str = "0";
const STAGE: &str = "1";

const fn setting(name: &'static str, help: &'static str, default: Option<&'static str>) -> Field {
    Field { name, help, required: false, default, is_url: false }
}

pub(super) const FIELDS: &[Field] = &[
    Field { name: "base_url", help: "Where HubSpot's API is.", required: false, default: Some(BASE_URL), is_url: true },
    setting(
        "record",
        "What an application becomes: `ticket` (any HubSpot edition) or `custom_object` (Enterprise only).",
        Some(TICKET),
    ),
    setting(
        "record_object_type",
        "With record = custom_object: the object's fully qualified name or its id such as 2-1234567 (Settings > Data \
         Management > Objects). What it requires beyond the properties named causeway_… has to be mapped.",
        None,
    ),
    setting(
        "ticket_pipeline",
        "Id of the ticket pipeline for applications (Settings > Objects > Tickets > Pipelines).",
        Some(PIPELINE),
    ),
    setting("ticket_stage", "Id of the stage new applications enter; it must belong to that pipeline.", Some(STAGE)),
    setting(
        "visibility_lag_ms",
        "How long a new note may stay invisible to a look-up, in milliseconds, if 10000 is not right for your account.",
        None,
    ),
];

/// What an application becomes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// A ticket in a pipeline of its own.
    Ticket { pipeline: String, stage: String },
    /// A record of the customer's own object.
    Custom { object_type: String },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// Without a trailing slash.
    pub(super) base_url: String,
    pub(super) record: Record,
}

impl Settings {
    pub(super) fn of(account: &Account) -> Result<Self, &'static str> {
        let text = |name: &str, default: &str| account.setting(name).unwrap_or(default).to_owned();
        let record = match account.setting("record").unwrap_or(TICKET) {
            TICKET => {
                Record::Ticket { pipeline: text("ticket_pipeline", PIPELINE), stage: text("ticket_stage", STAGE) }
            }
            CUSTOM_OBJECT => match account.setting("record_object_type") {
                Some(object_type) => Record::Custom { object_type: object_type.to_owned() },
                None => return Err("record is custom_object, but record_object_type is not set"),
            },
            _ => return Err("record must be ticket or custom_object"),
        };
        Ok(Self { base_url: text("base_url", BASE_URL).trim_end_matches('/').to_owned(), record })
    }

    /// The record's object type as paths name it.
    pub(super) fn record_type(&self) -> &str {
        match &self.record {
            Record::Ticket { .. } => "tickets",
            Record::Custom { object_type } => object_type,
        }
    }
}
