//! The command line of an integration admin: `accounts map`, `accounts go-live`, `accounts rotate`. Grammar and verbs.
//!
//! Secrets and documents come from standard input or files. What may be saved or go live is decided by `admin`.

use std::collections::BTreeMap;

use causeway_core::overlay::Rule;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::args::{OfTenant, OneAccount};
use super::verbs::Desk;
use super::{End, input, out};
use crate::admin::onboard::Ask;
use crate::admin::{OnboardAnswer, OnboardRequest, Request, Response};

const MAP_EXAMPLES: &str = "\
Examples:
  causeway accounts map fields ats
  causeway accounts map set ats question_17 --copy /eligibility/notice
  causeway accounts map set crm record.application_channel --look-up /source/board --table boards \\
    --entry linkedin=board --entry friend=referral --otherwise own
  causeway accounts map set crm contact.earliest_start --copy /eligibility/earliest_start
  causeway accounts map preview crm
  causeway accounts map export crm > map.json
  causeway accounts map import crm-emea --file map.json --note 'as in the first region'
  causeway accounts map rollback crm --to 1

A source is a JSON pointer into the canonical application (schemas/canonical), such as /eligibility/notice or
/extensions/acme/cost_centre; or answer:QUESTION, the value or the option's id answered; or label:QUESTION, what the
option reads. What the applicant answers or declines stands: a rule fills what is left empty.";

/// `accounts map`
#[derive(Debug, Subcommand)]
#[command(after_help = MAP_EXAMPLES)]
pub enum Map {
    /// List the vendor's fields that can be filled, which are required, and which are filled.
    Fields(OneAccount),
    /// List the stages that records pass at the vendor, with their ids for the account's settings.
    Stages(OneAccount),
    /// Fill one field by one rule; saves a new version.
    Set(Box<SetRule>),
    /// Fill a field no longer; saves a new version.
    Unset {
        #[command(flatten)]
        of: OfTenant,
        /// The account's name or id.
        account: String,
        /// The vendor's field.
        field: String,
        /// Why, for whoever reads the versions.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Print a version as a document that can be imported.
    Export {
        #[command(flatten)]
        of: OfTenant,
        /// The account's name or id.
        account: String,
        /// The version; the one in force if left out.
        #[arg(long, value_name = "VERSION")]
        number: Option<u32>,
    },
    /// Save a document as the new version, after everything in it was checked.
    Import {
        #[command(flatten)]
        of: OfTenant,
        /// The account's name or id.
        account: String,
        /// The document; `-` reads it from standard input.
        #[arg(long, value_name = "PATH|-")]
        file: String,
        /// Why, for whoever reads the versions.
        #[arg(long, default_value = "")]
        note: String,
    },
    /// List the versions.
    Versions(OneAccount),
    /// Show what differs between two versions; without more, what the one in force changed.
    Diff {
        #[command(flatten)]
        of: OfTenant,
        /// The account's name or id.
        account: String,
        /// The older version; 0 is none at all.
        #[arg(long)]
        from: Option<u32>,
        /// The newer version; the one in force if left out.
        #[arg(long)]
        to: Option<u32>,
    },
    /// Show before and after on the newest real applications. Shows personal data, and is audited.
    Preview {
        #[command(flatten)]
        of: OfTenant,
        /// The account's name or id.
        account: String,
        /// A document that is not saved yet, against the version in force; without it, the version in force against none.
        #[arg(long, value_name = "PATH|-")]
        file: Option<String>,
        /// So many applications.
        #[arg(long, default_value_t = 5)]
        limit: usize,
    },
    /// Make an older version the newest, after it was checked against the vendor's fields of today.
    Rollback {
        #[command(flatten)]
        of: OfTenant,
        /// The account's name or id.
        account: String,
        /// The older version.
        #[arg(long)]
        to: u32,
    },
}

/// `accounts map set`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("op").args(["copy", "constant", "look_up", "date", "split"]).required(true))]
pub struct SetRule {
    #[command(flatten)]
    of: OfTenant,
    /// The account's name or id.
    account: String,
    /// The vendor's field, as `map fields` names it.
    field: String,
    /// With what stands at the source.
    #[arg(long, value_name = "SOURCE")]
    copy: Option<String>,
    /// With the same for everybody.
    #[arg(long, value_name = "VALUE")]
    constant: Option<String>,
    /// With what a code table has for what stands at the source.
    #[arg(long, value_name = "SOURCE", requires = "table")]
    look_up: Option<String>,
    /// With the day at the source, written as --format says.
    #[arg(long, value_name = "SOURCE", requires = "format")]
    date: Option<String>,
    /// With one part of the text at the source.
    #[arg(long, value_name = "SOURCE", requires = "by", requires = "part")]
    split: Option<String>,
    /// For --look-up: the table's name.
    #[arg(long, requires = "look_up")]
    table: Option<String>,
    /// For --look-up: an entry of the table; may be given several times, and joins those it has.
    #[arg(long = "entry", value_name = "CODE=VALUE", requires = "look_up")]
    entries: Vec<String>,
    /// For --look-up: what goes in for what the table does not have; without it the field stays empty then.
    #[arg(long, requires = "look_up")]
    otherwise: Option<String>,
    /// For --date: as strftime has it, such as %d/%m/%Y.
    #[arg(long, requires = "date")]
    format: Option<String>,
    /// For --split: what stands between the parts.
    #[arg(long, requires = "split", allow_hyphen_values = true)]
    by: Option<String>,
    /// For --split: which part; 0 is the first, -1 the last.
    #[arg(long, requires = "split", allow_hyphen_values = true)]
    part: Option<i32>,
    /// Why, for whoever reads the versions.
    #[arg(long, default_value = "")]
    note: String,
}

const LIVE_EXAMPLES: &str = "\
Examples:
  causeway accounts go-live ats
  causeway accounts check ats
  causeway replay del_…                                     # the one test application, held until then
  causeway accounts go-live ats --tick test_removed --note 'removed from the board by hand'
  causeway accounts go-live ats --tick consent_texts --note 'privacy-2026-11 v3, as shown on the site'
  causeway accounts go-live ats --tick retention --note '14 days for refusals, agreed with the customer'
  causeway accounts go-live ats --now

An account at a real vendor begins not live: applications are accepted and held, each until it is replayed or the account
goes live, which sends what was held.";

/// `accounts go-live`
#[derive(Debug, Args)]
#[command(after_help = LIVE_EXAMPLES)]
pub struct GoLiveArgs {
    #[command(flatten)]
    of: OfTenant,
    /// The account's name or id.
    account: String,
    /// An item that a person found in order.
    #[arg(long, value_name = "ITEM", requires = "note", conflicts_with_all = ["untick", "now"])]
    tick: Option<String>,
    /// An item that is not in order any more.
    #[arg(long, value_name = "ITEM", conflicts_with = "now")]
    untick: Option<String>,
    /// What was found, for whoever reads it later.
    #[arg(long, default_value = "")]
    note: String,
    /// Go live, if every item is in order.
    #[arg(long)]
    now: bool,
}

const ROTATE_EXAMPLES: &str = "\
Examples:
  causeway accounts rotate crm --secret access_token=- --expires 2027-01-31 < new-token
  causeway accounts check crm          # the newer ones are tried first; says which were taken
  causeway accounts rotate crm --finish
  causeway accounts rotate crm --abandon

While two sets live, the newer is tried first and the older serves where the vendor refuses it. --finish destroys the older
and is refused before the vendor took the newer.";

/// `accounts rotate`
#[derive(Debug, Args)]
#[command(after_help = ROTATE_EXAMPLES)]
#[command(group = clap::ArgGroup::new("step").args(["secrets", "secret_files", "finish", "abandon", "expires"]).required(true).multiple(true))]
pub struct RotateArgs {
    #[command(flatten)]
    of: OfTenant,
    /// The account's name or id.
    account: String,
    /// A newer secret, read from standard input (one line each, in order). What is not given stays.
    #[arg(long = "secret", value_name = "NAME=-")]
    secrets: Vec<String>,
    /// A newer secret, read from a file.
    #[arg(long = "secret-file", value_name = "NAME=PATH")]
    secret_files: Vec<String>,
    /// When the vendor ends the newer ones: a day or a moment. Without a newer secret: of those in use; `never` takes it away.
    #[arg(long, value_name = "DAY", conflicts_with_all = ["finish", "abandon"])]
    expires: Option<String>,
    /// Destroy the older secrets.
    #[arg(long, conflicts_with_all = ["secrets", "secret_files", "abandon"])]
    finish: bool,
    /// Destroy the newer secrets.
    #[arg(long, conflicts_with_all = ["secrets", "secret_files"])]
    abandon: bool,
}

impl Desk {
    pub(super) async fn map(&self, map: Map) -> anyhow::Result<End> {
        let (what, of, account, ask) = match map {
            Map::Fields(one) => ("asking the vendor", one.of, one.account, Ask::Fields),
            Map::Stages(one) => ("asking the vendor", one.of, one.account, Ask::Stages),
            Map::Versions(one) => ("reading versions", one.of, one.account, Ask::Versions),
            Map::Set(args) => {
                let (of, account, ask) = args.ask()?;
                ("checking and saving", of, account, ask)
            }
            Map::Unset { of, account, field, note } => ("saving", of, account, Ask::UnsetRule { field, note }),
            Map::Export { of, account, number } => return self.export_map(of, account, number).await,
            Map::Import { of, account, file, note } => {
                let text = input::document(&file)?;
                ("checking and saving", of, account, Ask::Import { text, note })
            }
            Map::Diff { of, account, from, to } => ("comparing", of, account, Ask::Diff { from, to }),
            Map::Preview { of, account, file, limit } => {
                let text = file.as_deref().map(input::document).transpose()?;
                ("trying it", of, account, Ask::Preview { text, limit })
            }
            Map::Rollback { of, account, to } => ("checking and saving", of, account, Ask::Rollback { to }),
        };
        self.show(what, onboard(of, account, ask)).await
    }

    /// The document alone, for people too: what is printed can be imported.
    async fn export_map(&self, of: OfTenant, account: String, version: Option<u32>) -> anyhow::Result<End> {
        let request = onboard(of, account, Ask::Overlay { version });
        let response = super::ask::ask(&self.config, "reading the overlay", request).await?;
        match &response {
            Response::Onboard(answer) if matches!(**answer, OnboardAnswer::Overlay(_)) => out::json(&answer.value())?,
            _another => return self.answer(&response),
        }
        Ok(End::Answered)
    }

    pub(super) async fn go_live(&self, args: GoLiveArgs) -> anyhow::Result<End> {
        let (what, ask) = match (args.tick, args.untick, args.now) {
            (Some(item), ..) => ("writing it down", Ask::Tick { item, done: true, note: args.note }),
            (None, Some(item), _) => ("writing it down", Ask::Tick { item, done: false, note: args.note }),
            (None, None, true) => ("going live", Ask::GoLive),
            (None, None, false) => ("looking", Ask::Checklist),
        };
        self.show(what, onboard(args.of, args.account, ask)).await
    }

    pub(super) async fn rotate(&self, args: RotateArgs) -> anyhow::Result<End> {
        let fresh = !args.secrets.is_empty() || !args.secret_files.is_empty();
        let at = match args.expires.as_deref() {
            None | Some("never") => None,
            Some(text) => Some(input::end(text)?),
        };
        let (what, ask) = match (args.finish, args.abandon, fresh) {
            (true, ..) => ("destroying the older secrets", Ask::RotateFinish),
            (false, true, _) => ("destroying the newer secrets", Ask::RotateAbandon),
            (false, false, true) => {
                let secrets = input::secrets(&args.secrets, &args.secret_files)?;
                ("adding the newer secrets", Ask::Rotate { secrets, expires_at: at })
            }
            (false, false, false) => ("writing it down", Ask::Expires { at }),
        };
        self.show(what, onboard(args.of, args.account, ask)).await
    }
}

fn onboard(of: OfTenant, account: String, ask: Ask) -> Request {
    Request::Onboard(OnboardRequest { tenant: of.tenant, account, ask })
}

impl SetRule {
    fn ask(self) -> anyhow::Result<(OfTenant, String, Ask)> {
        let Self { of, account, field, note, .. } = self;
        let entries = input::pairs(&self.entries)?;
        let text = |given: Option<String>| given.unwrap_or_default();
        let rule = if let Some(from) = self.copy {
            Rule::Copy { field, from }
        } else if let Some(value) = self.constant {
            Rule::Constant { field, value: Value::String(value) }
        } else if let Some(from) = self.look_up {
            Rule::LookUp { field, from, table: text(self.table), otherwise: self.otherwise }
        } else if let Some(from) = self.date {
            Rule::Date { field, from, format: text(self.format) }
        } else {
            Rule::Split { field, from: text(self.split), by: text(self.by), part: self.part.unwrap_or_default() }
        };
        let table: Option<BTreeMap<String, String>> = (!entries.is_empty()).then_some(entries);
        Ok((of, account, Ask::SetRule { rule, table, note }))
    }
}
