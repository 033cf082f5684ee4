//! The command line's grammar. It says what can be asked, not what happens.

use std::net::SocketAddr;
use std::path::PathBuf;

use causeway_core::account::{OnInvalid, OnUnknown, Repeats, Role};
use causeway_core::ids::{DeliveryId, KeyId};
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::custody::{BackupArgs, EraseArgs, ExportArgs, RestoreArgs};
use super::onboard::{GoLiveArgs, Map, RotateArgs};
use super::webhooks::Webhooks;
use crate::config::ProcessRole;
use crate::store::setup::Scope;

/// The integration gateway between a career site, its recruiting CRM and its applicant tracking systems.
#[derive(Debug, Parser)]
#[command(name = "causeway", version, propagate_version = true)]
pub struct Cli {
    /// The configuration file; what it leaves out has a default.
    #[arg(long, global = true, value_name = "FILE", env = "CAUSEWAY_CONFIG")]
    pub config: Option<PathBuf>,
    /// The data directory, instead of the configured one.
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Answer with JSON, for machines.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway.
    Serve(ServeArgs),
    /// Show the gateway working: sandboxes, a career site and some hundred applications, on this machine alone.
    Demo(DemoArgs),
    /// Explain what became of a person's applications.
    Why(WhyArgs),
    /// Send a delivery again, with the same references.
    Replay(OneDelivery),
    /// Call a delivery off.
    Cancel(OneDelivery),
    /// List what a person should look at.
    Cases(CasesArgs),
    /// Customer companies.
    #[command(subcommand)]
    Tenants(Tenants),
    /// A tenant's credentials and settings at a connector.
    #[command(subcommand)]
    Accounts(Accounts),
    /// API keys, and the root key.
    #[command(subcommand)]
    Keys(Keys),
    /// Jobs as read from the applicant tracking systems.
    #[command(subcommand)]
    Jobs(Jobs),
    /// Erase a person: destroy the keys of everything recorded about them.
    Erase(EraseArgs),
    /// Hand over everything held about a person: a JSON file and their attachments.
    Export(ExportArgs),
    /// Copy the store while it is in use: rows, attachments, and the persons' keys in a file of their own.
    Backup(BackupArgs),
    /// Make a data directory of a backup; deliveries wait until they are confirmed.
    Restore(RestoreArgs),
    /// Signed webhooks to the career site: where they go, and what became of them.
    #[command(subcommand)]
    Webhooks(Webhooks),
    /// Run a vendor's sandbox.
    Sandbox(SandboxArgs),
    /// Bring the store up to this version.
    Migrate,
    /// Have the running gateway take over the settings that may change while it runs; as SIGHUP does.
    Reload,
    /// Print the API's document (OpenAPI 3.1), as `/v1/openapi.json` serves it.
    Openapi(OpenapiArgs),
    /// Check configuration, keys, disk, store and accounts; changes nothing.
    Doctor,
}

/// Which tenant.
#[derive(Debug, Clone, Args)]
pub struct OfTenant {
    /// The tenant's name or id; may be left out while there is only one.
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<String>,
}

/// `serve`
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// What this process does, instead of what is configured: all of it, or a part, with others for the rest.
    #[arg(long, value_name = "ROLES", value_enum, value_delimiter = ',')]
    pub role: Vec<ProcessRole>,
}

/// `demo`
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Run to quiescence, print the ledger's figures and stop.
    #[arg(long)]
    pub once: bool,
    /// Same seed, same applications and faults.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// `openapi`
#[derive(Debug, Clone, Args)]
pub struct OpenapiArgs {
    /// Of the management listener, not of the public one.
    #[arg(long)]
    pub management: bool,
}

/// `why`
#[derive(Debug, Args)]
pub struct WhyArgs {
    #[command(flatten)]
    pub of: OfTenant,
    /// The applicant's address; `-` reads it from standard input, so that it stays out of the shell's history.
    #[arg(long, value_name = "EMAIL|-")]
    pub email: Option<String>,
    /// Find plus-tagged variants of the address too.
    #[arg(long, requires = "email")]
    pub base: bool,
    /// Any id of the job, or its requisition code.
    #[arg(long)]
    pub job: Option<String>,
    /// The receipt's code, in any spelling.
    #[arg(long)]
    pub code: Option<String>,
    /// The account's name.
    #[arg(long)]
    pub account: Option<String>,
    /// Received since: a moment (2026-11-20T09:00:00Z), a day (2026-11-20) or a time ago (3d).
    #[arg(long)]
    pub since: Option<String>,
    /// Received until; as --since.
    #[arg(long)]
    pub until: Option<String>,
    /// At most so many submissions, newest first; up to 200.
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
}

/// `replay`, `cancel`
#[derive(Debug, Args)]
pub struct OneDelivery {
    #[command(flatten)]
    pub of: OfTenant,
    /// The delivery's id, as `why` shows it.
    pub delivery: DeliveryId,
}

/// `cases`
#[derive(Debug, Args)]
pub struct CasesArgs {
    #[command(flatten)]
    pub of: OfTenant,
    /// At most so many, newest first.
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
}

/// `tenants`
#[derive(Debug, Subcommand)]
pub enum Tenants {
    /// Make a tenant.
    Create {
        /// Lower-case letters, digits and hyphens.
        name: String,
    },
    /// List the tenants.
    List,
}

/// `accounts`
#[derive(Debug, Subcommand)]
pub enum Accounts {
    /// Add an account; without its secrets it tells what is needed and where to find it.
    Add(Box<AddAccount>),
    /// List the accounts.
    List(OfTenant),
    /// Show an account.
    Show(OneAccount),
    /// Ask the vendor what the account's credentials may do; nothing is changed there.
    Check(OneAccount),
    /// Fill the vendor's own fields from what applications hold: list them, set rules, look at what they make of real ones.
    #[command(subcommand)]
    Map(Map),
    /// Show what has to be in order before an account goes live; with --now, let it go live.
    GoLive(GoLiveArgs),
    /// Give newer secrets beside the present ones, so that nothing stops while the vendor's side changes.
    Rotate(RotateArgs),
    /// Change an account's settings, secrets or policies, such as a mistyped one; `resume` then sends what was held.
    Update(Box<UpdateAccount>),
    /// Stop the account's deliveries; they are held.
    Pause(OneAccount),
    /// Let the account's deliveries go on.
    Resume(OneAccount),
}

/// `accounts add`
#[derive(Debug, Args)]
pub struct AddAccount {
    /// The connector's name.
    pub connector: String,
    /// What the account is for.
    #[arg(long)]
    pub role: RoleArg,
    #[command(flatten)]
    pub of: OfTenant,
    /// What to call it; the connector's name if left out.
    #[arg(long)]
    pub name: Option<String>,
    /// A setting.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub settings: Vec<String>,
    /// A secret, read from standard input (one line each, in order).
    #[arg(long = "secret", value_name = "NAME=-")]
    pub secrets: Vec<String>,
    /// A secret, read from a file.
    #[arg(long = "secret-file", value_name = "NAME=PATH")]
    pub secret_files: Vec<String>,
    /// Let its hosts be loopback or private addresses, and plain http. For sandboxes.
    #[arg(long)]
    pub allow_private: bool,
    /// It is for tests: test keys reach it, and no other. Cannot be changed later.
    #[arg(long)]
    pub sandbox: bool,
    /// Hold its deliveries until it goes live, as for any account without --allow-private or --sandbox.
    #[arg(long)]
    pub staged: bool,
    /// When the vendor ends its secrets: a day (2027-01-31) or a moment. Said again when it is near.
    #[arg(long, value_name = "DAY")]
    pub expires: Option<String>,
    /// What to do with an application that its rules do not accept.
    #[arg(long, default_value = "reject")]
    pub on_invalid: OnInvalidArg,
    /// What to do when the same person applies to the same job again.
    #[arg(long, default_value = "deliver")]
    pub repeats: RepeatsArg,
    /// What to do when nobody can tell whether the vendor took it.
    #[arg(long, default_value = "hold")]
    pub on_unknown: OnUnknownArg,
}

/// `accounts update`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").args(CHANGES).required(true).multiple(true))]
pub struct UpdateAccount {
    #[command(flatten)]
    pub of: OfTenant,
    /// The account's name or id.
    pub account: String,
    /// A setting; without a value it is taken away.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub settings: Vec<String>,
    /// A secret, read from standard input (one line each, in order).
    #[arg(long = "secret", value_name = "NAME=-")]
    pub secrets: Vec<String>,
    /// A secret, read from a file.
    #[arg(long = "secret-file", value_name = "NAME=PATH")]
    pub secret_files: Vec<String>,
    /// Let its hosts be loopback or private addresses, and plain http; or no longer.
    #[arg(long, value_name = "BOOL")]
    pub allow_private: Option<bool>,
    /// What to do with an application that its rules do not accept.
    #[arg(long)]
    pub on_invalid: Option<OnInvalidArg>,
    /// What to do when the same person applies to the same job again.
    #[arg(long)]
    pub repeats: Option<RepeatsArg>,
    /// What to do when nobody can tell whether the vendor took it.
    #[arg(long)]
    pub on_unknown: Option<OnUnknownArg>,
}

/// What an update can change; it changes something.
const CHANGES: [&str; 7] =
    ["settings", "secrets", "secret_files", "allow_private", "on_invalid", "repeats", "on_unknown"];

macro_rules! choices {
    ($($(#[$doc:meta])* $arg:ident for $type:ident { $($variant:ident,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, ValueEnum)]
            #[expect(missing_docs, reason = "as the original")]
            pub enum $arg { $($variant,)* }

            impl From<$arg> for $type {
                fn from(arg: $arg) -> Self {
                    match arg { $($arg::$variant => Self::$variant,)* }
                }
            }
        )*
    };
}

choices! {
    /// As [`Role`].
    RoleArg for Role { Ats, Crm, }
    /// As [`OnInvalid`].
    OnInvalidArg for OnInvalid { Reject, Hold, }
    /// As [`Repeats`].
    RepeatsArg for Repeats { Deliver, Hold, Refuse, }
    /// As [`OnUnknown`].
    OnUnknownArg for OnUnknown { Hold, Resend, }
    /// As [`Scope`].
    ScopeArg for Scope { Submit, Feed, Read, Support, Privacy, }
}

/// One account.
#[derive(Debug, Args)]
pub struct OneAccount {
    #[command(flatten)]
    pub of: OfTenant,
    /// The account's name or id.
    pub account: String,
}

/// `keys`
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make an API key; it is shown once.
    Create {
        #[command(flatten)]
        of: OfTenant,
        /// What it may do; several are separated by commas.
        #[arg(long = "scope", required_unless_present = "publishable", value_delimiter = ',')]
        scopes: Vec<ScopeArg>,
        /// For web pages: it may fetch forms, preflight and submit, from the origins named, and read nothing back.
        #[arg(long, conflicts_with = "scopes", requires = "origins")]
        publishable: bool,
        /// The origin of such a page, such as `https://jobs.example.org`; may be given several times.
        #[arg(long = "origin", requires = "publishable", value_name = "URL")]
        origins: Vec<String>,
        /// It reaches sandbox accounts only, and what it sends is marked `test`.
        #[arg(long)]
        test: bool,
        /// A name for people.
        #[arg(long, default_value = "default")]
        name: String,
    },
    /// List a tenant's API keys.
    List(OfTenant),
    /// Revoke an API key at once.
    Revoke {
        #[command(flatten)]
        of: OfTenant,
        /// The key's id.
        key: KeyId,
    },
    /// List the keys that sign receipts, with their public parts.
    Receipts,
    /// Sign the receipts of what comes from now on with a new key; the former ones stay listed.
    RotateReceipts,
    /// Make the root key that wraps all others. Keep a copy elsewhere.
    InitRoot,
}

/// `jobs`
#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// Read the account's jobs from its vendor now.
    Sync(OneAccount),
    /// List synced jobs.
    List {
        #[command(flatten)]
        of: OfTenant,
        /// Of this account only.
        #[arg(long)]
        account: Option<String>,
    },
    /// Show a job, by any of its ids.
    Show {
        #[command(flatten)]
        of: OfTenant,
        /// Any id of the job, or its requisition code.
        job: String,
    },
}

/// `sandbox`
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// The connector's name.
    pub name: String,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Same seed, same data.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::Cli;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    const DOCUMENTED: &[&str] = &[
        "causeway serve --config causeway.toml",
        "causeway demo --once --json --data /tmp/x --seed 7",
        "causeway why --email - --job 4001 --json",
        "causeway why --data DIR --email ada@example.org --job 4001 --json",
        "causeway why --code K7QX-2M",
        "causeway why --account greenhouse --since 3d --until 1d",
        "causeway replay del_0192f3a1b2c37d4e8f90a1b2c3d4e5f6",
        "causeway cases",
        "causeway tenants create acme",
        "causeway accounts add greenhouse --role ats --tenant acme --set board=acme --secret api_key=-",
        "causeway accounts add hubspot --role crm --secret-file token=/run/secrets/t --allow-private",
        "causeway accounts check greenhouse",
        "causeway accounts update greenhouse --tenant acme --secret api_key=- --set board_token=acme",
        "causeway accounts update greenhouse --on-invalid hold --repeats refuse --on-unknown resend",
        "causeway accounts update greenhouse --allow-private false",
        "causeway accounts add greenhouse --role ats --staged --expires 2027-01-31 --secret api_key=-",
        "causeway accounts map fields greenhouse",
        "causeway accounts map stages hubspot --tenant acme",
        "causeway accounts map set greenhouse question_17 --copy /eligibility/notice",
        "causeway accounts map set greenhouse question_17 --constant 3 --note n",
        "causeway accounts map set hubspot record.channel --look-up /source/board --table boards --entry li=board",
        "causeway accounts map set hubspot contact.start --date /eligibility/earliest_start --format %Y-%m-%d",
        "causeway accounts map set hubspot contact.lang --split /person/languages/0/tag --by - --part -1",
        "causeway accounts map unset greenhouse question_17",
        "causeway accounts map export greenhouse --number 2",
        "causeway accounts map import greenhouse --file -",
        "causeway accounts map versions greenhouse",
        "causeway accounts map diff greenhouse --from 1 --to 2",
        "causeway accounts map preview greenhouse --file map.json --limit 3",
        "causeway accounts map rollback greenhouse --to 1",
        "causeway accounts go-live greenhouse",
        "causeway accounts go-live greenhouse --tick consent_texts --note seen",
        "causeway accounts go-live greenhouse --now",
        "causeway accounts rotate hubspot --secret access_token=- --expires 2027-01-31",
        "causeway accounts rotate hubspot --finish",
        "causeway keys create --scope submit,read",
        "causeway keys create --scope support --name desk",
        "causeway keys create --publishable --origin https://jobs.example.org --origin http://localhost:3000 --test",
        "causeway keys init-root",
        "causeway keys receipts --json",
        "causeway keys rotate-receipts",
        "causeway jobs sync greenhouse",
        "causeway sandbox greenhouse --listen 127.0.0.1:9101",
        "causeway migrate",
        "causeway reload",
        "causeway doctor --json",
        "causeway erase --email - --yes",
        "causeway erase --email - --preview --tenant acme",
        "causeway erase vendor-copies --tenant acme",
        "causeway erase vendor-copy del_0192f3a1b2c37d4e8f90a1b2c3d4e5f6 --state confirmed",
        "causeway export --email - --out ada.json",
        "causeway export --email - --out ada.json --demographics --json",
        "causeway backup --out /backups/monday",
        "causeway restore --from /backups/monday --erasures none --data DIR",
        "causeway restore --from /backups/monday --erasures erasures.log --keys keys.db",
        "causeway restore confirm",
        "causeway webhooks add https://jobs.example.org/hooks",
        "causeway webhooks add http://127.0.0.1:9000/ --events application.delivered,application.refused --test --allow-private",
        "causeway webhooks list --json",
        "causeway webhooks test whe_0192f3a1b2c37d4e8f90a1b2c3d4e5f6",
        "causeway webhooks rotate-secret whe_0192f3a1b2c37d4e8f90a1b2c3d4e5f6 --both-for 2h",
        "causeway webhooks enable whe_0192f3a1b2c37d4e8f90a1b2c3d4e5f6",
        "causeway webhooks remove whe_0192f3a1b2c37d4e8f90a1b2c3d4e5f6",
        "causeway webhooks deliveries --status given_up --limit 5",
        "causeway webhooks replay msg_0192f3a1b2c37d4e8f90a1b2c3d4e5f6",
        "causeway webhooks replay --endpoint whe_0192f3a1b2c37d4e8f90a1b2c3d4e5f6 --since 3d --until 1d",
    ];

    #[test]
    fn the_documented_lines_parse() {
        for line in DOCUMENTED {
            if let Err(error) = Cli::try_parse_from(line.split(' ')) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn an_update_says_what_is_to_change_and_is_told_what_it_may() {
        assert!(Cli::try_parse_from(["causeway", "accounts", "update", "greenhouse"]).is_err());
        for (option, allowed) in [
            ("--on-invalid", "[possible values: reject, hold]"),
            ("--repeats", "[possible values: deliver, hold, refuse]"),
            ("--on-unknown", "[possible values: hold, resend]"),
            ("--allow-private", "[possible values: true, false]"),
        ] {
            let line = ["causeway", "accounts", "update", "greenhouse", option, "sometimes"];
            let told = Cli::try_parse_from(line).unwrap_err().to_string();
            assert!(told.contains(allowed), "{told}");
        }
    }

    #[test]
    fn a_person_s_address_has_no_place_but_its_option() {
        assert!(Cli::try_parse_from(["causeway", "why", "ada@example.org"]).is_err());
    }
}
