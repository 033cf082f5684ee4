//! Setting up: tenants, accounts, keys. The checks a person's wish must pass before the store sees it.
//!
//! What an account needs is the connector's Descriptor's word; nothing here knows a vendor. A missing credential or
//! setting is answered with where to find it. Secrets pass through and are never shown again.

use std::collections::{BTreeMap, BTreeSet};

use causeway_core::account::{Account, OnInvalid, OnUnknown, Repeats, Role};
use causeway_core::connector::{Connector, Descriptor, Field};
use causeway_core::email::NormalEmail;
use causeway_core::ids::{AccountId, TenantId};
use causeway_core::pii::Secret;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::store::StoreError;
use crate::store::finding::{Finding, Health};
use crate::store::setup::{AccountRecord, Scope};
use crate::units::Span;

mod secrets;

pub use secrets::{EXPIRES_SOON, SecretsWatch, about_secrets};

/// A wish that cannot be granted as it is, in words for the person who has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// No connector of this name.
    #[error("there is no connector {name:?}; there are: {known}")]
    NoConnector {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The connector does not do that role.
    #[error("{connector} cannot be an account with the role {role}; it can be: {able}")]
    NotThatRole {
        /// The connector.
        connector: &'static str,
        /// The role.
        role: &'static str,
        /// Its roles.
        able: String,
    },
    /// A name that does not read well in URLs and on the phone.
    #[error("{0:?} is not a name: use lower-case letters, digits and hyphens, 2 to 40 of them, a letter first")]
    NotAName(String),
    /// A key that could do nothing, or would be two things at once.
    #[error("{0}")]
    Key(String),
    /// Something is missing, unknown or malformed: all of it, a line each.
    #[error("the account cannot be as it is asked for:{}", .0.iter().map(|line| format!("\n  {line}")).collect::<String>())]
    Account(Vec<String>),
}

/// The account a person wants.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccountWish {
    /// The connector's name.
    pub connector: String,
    /// The role.
    pub role: Role,
    /// What people will call it; the connector's name if not given.
    pub name: Option<String>,
    /// Settings by name.
    pub settings: BTreeMap<String, String>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Hidden>,
    /// May its hosts resolve to loopback or private addresses?
    pub allow_private: bool,
    /// Is it for tests? Then only test keys reach it.
    #[serde(default)]
    pub sandbox: bool,
    /// Is it to wait until it goes live, although its vendor is on this machine or in this network?
    #[serde(default)]
    pub staged: bool,
    /// When the vendor ends its secrets, if that is known.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// See [`OnInvalid`].
    pub on_invalid: OnInvalid,
    /// See [`Repeats`].
    pub repeats: Repeats,
    /// See [`OnUnknown`].
    pub on_unknown: OnUnknown,
}

impl AccountWish {
    /// Do its deliveries wait until it goes live? An account at a real vendor's public address always begins so.
    pub fn is_staged(&self) -> bool {
        self.staged || !(self.sandbox || self.allow_private)
    }
}

/// The key a person wants: with scopes a secret one, with origins a publishable one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct KeyWish {
    /// It will stand in web pages.
    pub publishable: bool,
    /// What a secret key may do.
    pub scopes: Vec<Scope>,
    /// The origins of those pages.
    pub origins: Vec<String>,
    /// It reaches sandbox accounts only.
    pub test: bool,
}

/// The two kinds of key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyKind {
    /// For servers.
    Secret {
        /// What it may do.
        scopes: Vec<Scope>,
    },
    /// For web pages: form, preflight and submit.
    Publishable {
        /// Where those pages are, as browsers write it.
        origins: Vec<String>,
    },
}

/// What a person wants different about an account. A name given without a value takes the value away.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AccountChange {
    /// Settings by name.
    pub settings: BTreeMap<String, String>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Hidden>,
    /// May its hosts resolve to loopback or private addresses?
    #[serde(default)]
    pub allow_private: Option<bool>,
    /// See [`OnInvalid`].
    #[serde(default)]
    pub on_invalid: Option<OnInvalid>,
    /// See [`Repeats`].
    #[serde(default)]
    pub repeats: Option<Repeats>,
    /// See [`OnUnknown`].
    #[serde(default)]
    pub on_unknown: Option<OnUnknown>,
}

/// A secret on its way over the control socket, which only the owner of the data directory can open.
#[derive(Debug, Clone)]
pub struct Hidden(pub Secret);

impl Serialize for Hidden {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.reveal())
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Secret::new(String::deserialize(deserializer)?)))
    }
}

/// Settings that every account may have, whatever its connector: the vendor's limits and the retry schedule overridden.
const COMMON: [(&str, &str); 8] = [
    ("limit_calls", "calls allowed in the vendor's window"),
    ("limit_window_ms", "the length of that window, in milliseconds"),
    ("limit_concurrency", "calls in flight at once"),
    ("visibility_lag_ms", "how long a new record may stay invisible at the vendor, in milliseconds"),
    (RETRY_SCHEDULE, "waits after failed attempts, such as 5s,30s,2m"),
    (
        PURPOSE,
        "CRM accounts: the purpose in `consents` that an application needs to come here; `recruiting` if not set",
    ),
    (
        ALERT_ADDRESS,
        "the mailbox of whoever mends this account, a team's and not a person's; the gateway sends no mail",
    ),
    (BASIS, "CRM accounts: the lawful bases that will do, such as consent,legitimate_interest; any if not set"),
];

/// What a CRM account uses the data for, as documents name it.
pub(crate) const PURPOSE: &str = "purpose";
/// Whom to tell when the account needs mending.
pub(crate) const ALERT_ADDRESS: &str = "alert_address";
/// On which bases it may.
pub(crate) const BASIS: &str = "basis";

/// As the canonical application has them.
const BASES: [&str; 4] = ["consent", "contract", "legal_obligation", "legitimate_interest"];

/// A purpose or the bases as they are stored.
fn lawful(name: &str, value: &str) -> Option<Result<(String, Value), String>> {
    let stored = || Ok((name.to_owned(), Value::String(value.to_owned())));
    match name {
        PURPOSE => {
            let word = value.starts_with(|c: char| c.is_ascii_lowercase())
                && value.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c));
            Some(if word { stored() } else { Err("purpose must be a lower-case word such as talent_pool".to_owned()) })
        }
        BASIS => {
            let known = value.split(',').all(|basis| BASES.contains(&basis.trim()));
            Some(if known { stored() } else { Err(format!("basis must name one or more of {}", BASES.join(", "))) })
        }
        ALERT_ADDRESS => {
            let address = NormalEmail::parse(value).is_some();
            Some(if address { stored() } else { Err("alert_address must be an e-mail address".to_owned()) })
        }
        _ => None,
    }
}

/// Written in words, stored in milliseconds.
const RETRY_SCHEDULE: &str = "retry_schedule";
const RETRY_SCHEDULE_STORED: &str = "retry_schedule_ms";

/// The setting as it is stored, if it is a common one.
fn common(name: &str, value: &str) -> Option<Result<(String, Value), String>> {
    COMMON.iter().find(|(known, _)| *known == name)?;
    if let Some(stored) = lawful(name, value) {
        return Some(stored);
    }
    if name == RETRY_SCHEDULE {
        let waits: Result<Vec<Value>, _> = value
            .split(',')
            .map(|wait| {
                wait.parse::<Span>().map(|span| Value::from(u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX)))
            })
            .collect();
        return Some(
            waits
                .map(|waits| (RETRY_SCHEDULE_STORED.to_owned(), Value::Array(waits)))
                .map_err(|error| format!("{name}: {error}")),
        );
    }
    let number = value.parse::<u64>().ok().filter(|number| *number > 0);
    Some(
        number
            .map(|number| (name.to_owned(), number.into()))
            .ok_or_else(|| format!("{name} must be a whole number above 0")),
    )
}

/// The stable text of a role.
pub const fn role_text(role: Role) -> &'static str {
    match role {
        Role::Ats => "ats",
        Role::Crm => "crm",
    }
}

/// A tenant's or an account's name, if it is one.
///
/// # Errors
/// [`SetupError::NotAName`].
pub fn name(text: &str) -> Result<String, SetupError> {
    let good = (2..=40).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if good { Ok(text.to_owned()) } else { Err(SetupError::NotAName(text.to_owned())) }
}

/// The account and its credentials, if the wish meets what its connector needs.
///
/// # Errors
/// [`SetupError`], naming everything that is wrong at once.
pub fn account(
    id: AccountId,
    tenant: TenantId,
    wish: AccountWish,
) -> Result<(Account, BTreeMap<String, Secret>), SetupError> {
    let connector = connector(&wish.connector)?;
    let described = connector.describe();
    if !described.roles.contains(&wish.role) {
        return Err(SetupError::NotThatRole {
            connector: described.name,
            role: role_text(wish.role),
            able: described.roles.iter().map(|role| role_text(*role)).collect::<Vec<_>>().join(", "),
        });
    }
    let name = name(wish.name.as_deref().unwrap_or(described.name))?;
    let lines = complaints(&wish, described);
    if !lines.is_empty() {
        return Err(SetupError::Account(lines));
    }
    let settings = wish.settings.into_iter().map(|(name, value)| as_stored(name, value)).collect();
    let secrets = wish.secrets.into_iter().map(|(name, secret)| (name, secret.0)).collect();
    let account = Account {
        id,
        tenant,
        name,
        connector: described.name.to_owned(),
        role: wish.role,
        settings,
        allow_private: wish.allow_private,
        on_invalid: wish.on_invalid,
        repeats: wish.repeats,
        on_unknown: wish.on_unknown,
    };
    Ok((account, secrets))
}

/// The account and its credentials as changed, if what comes of it meets what its connector needs.
///
/// # Errors
/// [`SetupError`], naming everything that is wrong at once.
pub fn changed(
    mut account: Account,
    mut secrets: BTreeMap<String, Secret>,
    change: AccountChange,
) -> Result<(Account, BTreeMap<String, Secret>), SetupError> {
    let connector = connector(&account.connector)?;
    account.allow_private = change.allow_private.unwrap_or(account.allow_private);
    account.on_invalid = change.on_invalid.unwrap_or(account.on_invalid);
    account.repeats = change.repeats.unwrap_or(account.repeats);
    account.on_unknown = change.on_unknown.unwrap_or(account.on_unknown);
    secrets.extend(change.secrets.into_iter().map(|(name, secret)| (name, secret.0)));
    secrets.retain(|_, secret| !secret.reveal().is_empty());
    let mut wish = as_wished(&account, &secrets);
    wish.settings.extend(change.settings.clone());
    wish.settings.retain(|_, value| !value.is_empty());
    let lines = complaints(&wish, connector.describe());
    if !lines.is_empty() {
        return Err(SetupError::Account(lines));
    }
    for (name, value) in change.settings {
        if value.is_empty() {
            account.settings.remove(stored_name(&name));
        } else {
            let (name, value) = as_stored(name, value);
            account.settings.insert(name, value);
        }
    }
    Ok((account, secrets))
}

/// The wish that would make this account. Common settings are left out: they were checked when they were given.
fn as_wished(account: &Account, secrets: &BTreeMap<String, Secret>) -> AccountWish {
    let stored = account.settings.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    AccountWish {
        connector: account.connector.clone(),
        role: account.role,
        name: None,
        settings: stored.collect(),
        secrets: secrets.iter().map(|(name, secret)| (name.clone(), Hidden(secret.clone()))).collect(),
        allow_private: account.allow_private,
        sandbox: false,
        staged: false,
        expires_at: None,
        on_invalid: account.on_invalid,
        repeats: account.repeats,
        on_unknown: account.on_unknown,
    }
}

/// How an account stands to what its connector needs, without asking the vendor.
pub fn examined(
    record: &AccountRecord,
    secrets: Result<&BTreeMap<String, Secret>, &StoreError>,
    now: Timestamp,
) -> Vec<Finding> {
    let what = format!("account {}", record.account.name);
    let new = |state, text: String| Finding::new(what.clone(), state, text);
    let mut findings = Vec::new();
    match (causeway_connectors::by_name(&record.account.connector), secrets) {
        (None, _) => {
            let text = format!("this build has no connector {}: run the program that had it", record.account.connector);
            findings.push(new(Health::Bad, text));
        }
        (_, Err(error)) => {
            let text = format!("its secrets cannot be read ({error}): give them again with `causeway accounts update`");
            findings.push(new(Health::Bad, text));
        }
        (Some(connector), Ok(secrets)) => {
            let lines = complaints(&as_wished(&record.account, secrets), connector.describe());
            findings.extend(lines.into_iter().map(|line| {
                new(Health::Bad, format!("{line}; mend it with `causeway accounts update {}`", record.account.name))
            }));
            if findings.is_empty() {
                let text = format!("{} settings, {} secrets", record.account.settings.len(), secrets.len());
                findings.push(new(Health::Well, text));
            }
        }
    }
    findings.extend(about_secrets(&record.credentials, now).into_iter().filter(|(well, _)| !well).map(|(_, text)| {
        let expired = record.credentials.current.expires_at.is_some_and(|at| at <= now);
        new(if expired { Health::Bad } else { Health::Warning }, text)
    }));
    if record.live_at.is_none() {
        let text = format!("not live yet: see `causeway accounts go-live {}`", record.account.name);
        findings.push(new(Health::Warning, text));
    }
    if let Some(paused) = &record.paused {
        let text = format!("paused: {}; mend it, then run `causeway accounts resume`", paused.reason);
        findings.push(new(Health::Warning, text));
    }
    findings
}

/// The key, if the wish is one.
///
/// # Errors
/// [`SetupError::Key`], with what to do.
pub fn key(wish: &KeyWish) -> Result<KeyKind, SetupError> {
    let no = |text: &str| Err(SetupError::Key(text.to_owned()));
    if let Some(scope) = wish.scopes.iter().find(|scope| wish.test && !scope.is_for_tests()) {
        let scope = scope.as_str();
        return no(&format!(
            "a --test key has no scope {scope}: support sees real people, so give it a key of its own"
        ));
    }
    match (wish.publishable, wish.scopes.is_empty(), wish.origins.is_empty()) {
        (false, true, _) => no("a secret key needs at least one --scope: submit, feed, read or support"),
        (false, false, false) => no("--origin belongs to --publishable: a secret key is not accepted from browsers"),
        (false, false, true) => Ok(KeyKind::Secret { scopes: wish.scopes.clone() }),
        (true, false, _) => no("a publishable key has no --scope: it may fetch forms, preflight and submit"),
        (true, true, true) => no("a publishable key needs at least one --origin, such as https://jobs.example.org"),
        (true, true, false) => {
            let mut origins = wish.origins.iter().map(|text| origin(text)).collect::<Result<Vec<_>, _>>()?;
            origins.sort();
            origins.dedup();
            Ok(KeyKind::Publishable { origins })
        }
    }
}

/// An origin as browsers write it in their `Origin` header.
fn origin(text: &str) -> Result<String, SetupError> {
    let no = |why: &str| SetupError::Key(format!("{text:?} is not an origin such as https://jobs.example.org: {why}"));
    let url = Url::parse(text).map_err(|_| no("it is no URL"))?;
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
        return Err(no("it must begin with https:// (http:// for this machine only)"));
    }
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return Err(no("it has nothing after the host and port"));
    }
    if url.host_str().is_some_and(|host| host.contains('*')) {
        return Err(no("each one is listed in full"));
    }
    Ok(url.origin().ascii_serialization())
}

fn connector(name: &str) -> Result<std::sync::Arc<dyn Connector>, SetupError> {
    causeway_connectors::by_name(name).ok_or_else(|| SetupError::NoConnector {
        name: name.to_owned(),
        known: causeway_connectors::all().iter().map(|c| c.describe().name).collect::<Vec<_>>().join(", "),
    })
}

/// The setting as it is stored.
fn as_stored(name: String, value: String) -> (String, Value) {
    match common(&name, &value) {
        Some(Ok(stored)) => stored,
        // Complained about before.
        Some(Err(_)) | None => (name, Value::String(value)),
    }
}

fn stored_name(name: &str) -> &str {
    if name == RETRY_SCHEDULE { RETRY_SCHEDULE_STORED } else { name }
}

/// Everything the Descriptor has against the wish.
fn complaints(wish: &AccountWish, described: &Descriptor) -> Vec<String> {
    let given: BTreeSet<&str> = wish
        .secrets
        .iter()
        .filter(|(_, secret)| !secret.0.reveal().is_empty())
        .map(|(name, _)| name.as_str())
        .collect();
    let mut lines = missing("--secret", described.credentials, &given);
    lines.extend(unknown("secret", described.credentials, wish.secrets.keys()));
    let given: BTreeSet<&str> =
        wish.settings.iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name.as_str()).collect();
    lines.extend(missing("--set", described.settings, &given));
    let own = wish.settings.iter().filter(|(name, value)| match common(name, value) {
        Some(Err(line)) => {
            lines.push(line);
            false
        }
        Some(Ok(_)) => false,
        None => true,
    });
    let own: Vec<&String> = own.map(|(name, _)| name).collect();
    lines.extend(unknown("setting", described.settings, own.into_iter()));
    for field in described.settings.iter().filter(|field| field.is_url) {
        let value = wish.settings.get(field.name);
        lines.extend(value.and_then(|value| bad_url(field.name, value, wish.allow_private)));
    }
    lines
}

fn missing(option: &str, fields: &[Field], given: &BTreeSet<&str>) -> Vec<String> {
    fields
        .iter()
        .filter(|field| field.required && field.default.is_none() && !given.contains(field.name))
        .map(|field| format!("missing: {option} {}=… ({})", field.name, field.help))
        .collect()
}

fn unknown<'a>(what: &str, fields: &[Field], given: impl Iterator<Item = &'a String>) -> Vec<String> {
    let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
    given
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| format!("there is no {what} {name:?}; there are: {}", known.join(", ")))
        .collect()
}

fn bad_url(name: &str, value: &str, allow_private: bool) -> Option<String> {
    let Ok(url) = Url::parse(value) else { return Some(format!("{name} is not a URL such as https://host/path")) };
    let scheme = match url.scheme() {
        "https" => None,
        "http" if allow_private => None,
        "http" => Some(format!("{name} must begin with https:// (http:// needs --allow-private)")),
        _ => Some(format!("{name} must begin with https://")),
    };
    let user = !url.username().is_empty() || url.password().is_some();
    scheme.or_else(|| user.then(|| format!("{name} must not carry a user name or password: give it as a secret")))
}

/// What an account at this connector needs, in words, for `accounts add CONNECTOR` without the rest.
pub fn needs(connector: &dyn Connector) -> Vec<String> {
    let described = connector.describe();
    let line = |option: &str, field: &Field| {
        let need = match (field.required, field.default) {
            (_, Some(default)) => format!("default {default}"),
            (true, None) => "required".to_owned(),
            (false, None) => "optional".to_owned(),
        };
        format!("{option} {}=… ({need}): {}", field.name, field.help)
    };
    let secrets = described.credentials.iter().map(|field| line("--secret", field));
    let settings = described.settings.iter().map(|field| line("--set", field));
    let own = |name: &str| described.settings.iter().any(|field| field.name == name);
    let common =
        COMMON.iter().filter(|(name, _)| !own(name)).map(|(name, help)| format!("--set {name}=… (optional): {help}"));
    secrets.chain(settings).chain(common).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: Field = Field { name: "token", help: "Settings > Keys", required: true, default: None, is_url: false };
    const BASE: Field = Field {
        name: "base_url",
        help: "The API",
        required: true,
        default: Some("https://api.example.org"),
        is_url: true,
    };

    fn wish(settings: &[(&str, &str)], secrets: &[(&str, &str)], allow_private: bool) -> AccountWish {
        let pairs = |given: &[(&str, &str)]| given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let secrets: BTreeMap<String, String> = pairs(secrets);
        AccountWish {
            connector: "x".to_owned(),
            role: Role::Ats,
            name: None,
            settings: pairs(settings),
            secrets: secrets.into_iter().map(|(name, value)| (name, Hidden(Secret::new(value)))).collect(),
            allow_private,
            sandbox: false,
            staged: false,
            expires_at: None,
            on_invalid: OnInvalid::default(),
            repeats: Repeats::default(),
            on_unknown: OnUnknown::default(),
        }
    }

    fn described() -> Descriptor {
        Descriptor {
            name: "x",
            title: "X",
            roles: &[Role::Ats],
            credentials: &[FIELD],
            settings: &[BASE],
            auth: &[],
            find: causeway_core::connector::FindSupport::None,
            visibility_lag: std::time::Duration::ZERO,
            limits: causeway_core::connector::Limits {
                window: std::time::Duration::from_secs(1),
                calls: 1,
                concurrency: 1,
            },
            read_pace: |_| None,
            takes_files: false,
            names_hosts: false,
            docs: &[],
        }
    }

    #[test]
    fn what_is_missing_is_told_with_where_to_find_it() {
        let check = |wish: &AccountWish, told: &[&str]| {
            let lines = complaints(wish, &described());
            assert_eq!(lines.len(), told.len(), "{lines:?}");
            for (line, told) in lines.iter().zip(told) {
                assert!(line.contains(told), "{line}");
            }
        };
        check(&wish(&[], &[("token", "t")], false), &[]);
        check(&wish(&[], &[], false), &["missing: --secret token=… (Settings > Keys)"]);
        check(&wish(&[], &[("token", "")], false), &["missing: --secret token"]);
        check(&wish(&[], &[("token", "t"), ("tokn", "t")], false), &["no secret \"tokn\"; there are: token"]);
        check(&wish(&[("limit_calls", "5"), ("retry_schedule", "1s,2s")], &[("token", "t")], false), &[]);
        check(&wish(&[("limit_calls", "0")], &[("token", "t")], false), &["limit_calls must be a whole number"]);
        check(&wish(&[("purpose", "talent_pool"), ("basis", "consent,contract")], &[("token", "t")], false), &[]);
        check(&wish(&[("purpose", "Talent pool")], &[("token", "t")], false), &["purpose must be a lower-case word"]);
        check(&wish(&[("basis", "consent,habit")], &[("token", "t")], false), &["basis must name one or more of"]);
        check(&wish(&[("retry_schedule", "soon")], &[("token", "t")], false), &["retry_schedule: write a duration"]);
        check(&wish(&[("base", "x")], &[("token", "t")], false), &["no setting \"base\"; there are: base_url"]);
        for (url, private, told) in [
            ("http://127.0.0.1:9101", true, None),
            ("http://127.0.0.1:9101", false, Some("needs --allow-private")),
            ("ftp://host", true, Some("must begin with https://")),
            ("https://me:pw@host", false, Some("must not carry a user name")),
            ("nonsense", false, Some("is not a URL")),
        ] {
            check(&wish(&[("base_url", url)], &[("token", "t")], private), &told.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for (typed, sent) in [
            ("https://jobs.example.org", Some("https://jobs.example.org")),
            ("https://Jobs.Example.org/", Some("https://jobs.example.org")),
            ("https://jobs.example.org:443", Some("https://jobs.example.org")),
            ("https://jobs.example.org:8443", Some("https://jobs.example.org:8443")),
            ("https://bücher.example.org", Some("https://xn--bcher-kva.example.org")),
            ("http://localhost:3000", Some("http://localhost:3000")),
            ("http://127.0.0.1:3000", Some("http://127.0.0.1:3000")),
            ("http://jobs.example.org", None),
            ("https://jobs.example.org/careers", None),
            ("https://jobs.example.org?x", None),
            ("https://me@jobs.example.org", None),
            ("https://*.example.org", None),
            ("null", None),
            ("*", None),
            ("file:///tmp/a.html", None),
            ("jobs.example.org", None),
        ] {
            assert_eq!(origin(typed).ok().as_deref(), sent, "{typed}");
        }
    }

    #[test]
    fn a_key_is_secret_or_publishable_and_can_do_something() {
        let wish = |publishable, scopes: &[Scope], origins: &[&str]| KeyWish {
            publishable,
            scopes: scopes.to_vec(),
            origins: origins.iter().map(|text| (*text).to_owned()).collect(),
            test: false,
        };
        let site = "https://jobs.example.org";
        assert!(matches!(key(&wish(false, &[Scope::Read], &[])), Ok(KeyKind::Secret { .. })));
        let both = key(&wish(true, &[], &[site, "https://jobs.example.org/"])).unwrap();
        assert_eq!(both, KeyKind::Publishable { origins: vec![site.to_owned()] });
        for bad in [
            wish(false, &[], &[]),
            wish(false, &[Scope::Read], &[site]),
            wish(true, &[Scope::Submit], &[site]),
            wish(true, &[], &[]),
        ] {
            assert!(key(&bad).is_err(), "{bad:?}");
        }
        let to_try = |scopes: &[Scope]| key(&KeyWish { test: true, ..wish(false, scopes, &[]) });
        assert!(to_try(&[Scope::Submit, Scope::Feed, Scope::Read]).is_ok());
        for real in [Scope::Support, Scope::Privacy] {
            let error = to_try(&[Scope::Read, real]).unwrap_err().to_string();
            assert!(error.contains(real.as_str()), "what support sees is of real people: {error}");
        }
    }

    #[test]
    fn names_read_well_anywhere() {
        for good in ["acme", "greenhouse-emea", "a2"] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in ["", "a", "Acme", "2acme", "acme inc", "-acme", "ac/me", "acmé"] {
            assert_eq!(name(bad), Err(SetupError::NotAName(bad.to_owned())));
        }
    }

    #[test]
    fn a_wish_never_prints_its_secrets() {
        let shown = format!("{:?}", wish(&[], &[("token", "hunter2")], false));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
