//! Answers for people: tables and paragraphs. Pure.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use jiff::Timestamp;

use super::{table_custody, table_onboard, table_webhooks};
use crate::admin::{CheckVerdict, Reloaded, Response};
use crate::setup::role_text;
use crate::store::finding::{Finding, Health};
use crate::store::setup::{AccountRecord, KeyRecord, PostingRecord};
use crate::store::trace::Alike;
use crate::support::Report;
use crate::support::view::{Answer, CaseView, DeliveryView};

/// The answer, for people.
pub(super) fn of(response: &Response) -> String {
    match response {
        Response::Reloaded(reloaded) => self::reloaded(reloaded),
        Response::Pong => "The gateway runs.".to_owned(),
        Response::Tenant(tenant) => format!("Tenant {} is {}.", tenant.name, tenant.id),
        Response::Tenants(tenants) => rows(
            &["tenant", "id", "since"],
            tenants.iter().map(|t| vec![t.name.clone(), t.id.to_string(), at(t.created_at)]),
        ),
        Response::Account(record) => account(record),
        Response::Accounts(records) => accounts(records),
        Response::Checked(checked) => rows(
            &["permission", "answer", "meaning"],
            checked.iter().map(|one| vec![one.name.clone(), verdict(one.verdict).to_owned(), one.text.clone()]),
        ),
        Response::Examined(findings) => self::findings(findings),
        Response::Changed { account, deliveries } => format!("Account {account}: {deliveries} deliveries changed."),
        Response::KeyMade { key, text } => {
            format!("{}\n\nThis is the key {} ({}). It is shown only now.", text.0.reveal(), key.id, scopes(key))
        }
        Response::Keys(keys) => self::keys(keys),
        Response::ReceiptKeys(keys) => table_webhooks::receipt_keys(keys),
        Response::Synced(report) => format!(
            "{} jobs listed: {} opened, {} changed, {} closed.",
            report.listed, report.opened, report.changed, report.closed
        ),
        Response::Jobs(postings) => jobs(postings),
        Response::Report(report) => self::report(report),
        Response::Done { id, done } => format!("{id}: {done}."),
        Response::Cases(cases) => self::cases(cases),
        Response::Plan(reach) => table_custody::plan(reach),
        Response::Erased(erased) => table_custody::erased(erased),
        Response::Export(export) => format!("{} submissions are held.", export.submissions.len()),
        Response::File { content_base64 } => {
            format!("An attachment, {} characters of base64.", content_base64.reveal().len())
        }
        Response::VendorCopies(copies) => table_custody::copies(copies),
        Response::BackedUp { into, report } => table_custody::backed_up(into, report),
        Response::RestoreConfirmed(confirmed) => table_custody::confirmed(confirmed),
        Response::Onboard(answer) => table_onboard::of(answer),
        Response::EndpointMade { endpoint, secret } => table_webhooks::made(endpoint, secret.0.reveal()),
        Response::Endpoints(endpoints) => table_webhooks::endpoints(endpoints),
        Response::EndpointTested { endpoint, taken, said } => table_webhooks::tested(*endpoint, *taken, said),
        Response::WebhookMessages(page) => table_webhooks::messages(page),
        Response::WebhooksReplayed { messages } => {
            format!("{messages} messages are sent again, under the ids they had.")
        }
    }
}

fn reloaded(reloaded: &Reloaded) -> String {
    let changed = reloaded.changed.iter().map(|change| format!("{}: {} → {}", change.key, change.from, change.to));
    let restart = reloaded.restart.iter().map(|key| format!("{key} differs and needs a restart"));
    let lines: Vec<String> = changed.chain(restart).collect();
    if lines.is_empty() { "Nothing has changed.".to_owned() } else { lines.join("\n") }
}

/// A line for each thing that was looked at.
pub(super) fn findings(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let mark = match finding.state {
            Health::Well => "ok  ",
            Health::Warning => "warn",
            Health::Bad => "BAD ",
        };
        format!("{mark}  {}: {}", finding.what, finding.text)
    };
    findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn rows(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(head.to_vec());
    rows.for_each(|row| {
        table.add_row(row);
    });
    if table.row_count() == 0 { "There are none.".to_owned() } else { table.to_string() }
}

pub(super) fn at(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

pub(super) fn maybe(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

const fn verdict(verdict: CheckVerdict) -> &'static str {
    match verdict {
        CheckVerdict::Yes => "yes",
        CheckVerdict::No => "NO",
        CheckVerdict::NotTestable => "cannot be tried",
    }
}

fn accounts(records: &[AccountRecord]) -> String {
    rows(
        &["account", "connector", "role", "state", "last complete sync", "secrets", "id"],
        records.iter().map(|record| {
            vec![
                record.account.name.clone(),
                record.account.connector.clone(),
                format!("{}{}", role_text(record.account.role), if record.sandbox { ", sandbox" } else { "" }),
                state(record),
                maybe(record.last_complete_sync.map(at)),
                table_onboard::ends(record),
                record.account.id.to_string(),
            ]
        }),
    )
}

fn state(record: &AccountRecord) -> String {
    let state = record.paused.as_ref().map_or("running".to_owned(), |paused| format!("paused: {}", paused.reason));
    if record.live_at.is_some() { state } else { format!("{state}, not live yet") }
}

fn account(record: &AccountRecord) -> String {
    let account = &record.account;
    let mut lines = vec![
        format!(
            "Account {} ({}) at {}, role {}.",
            account.name,
            account.id,
            account.connector,
            role_text(account.role)
        ),
        match &record.paused {
            Some(paused) => format!("Paused since {}: {}.", at(paused.since), paused.reason),
            None => "Running.".to_owned(),
        },
    ];
    lines.extend(table_onboard::standing(record));
    lines.extend(account.settings.iter().map(|(name, value)| format!("  {name} = {value}")));
    if record.sandbox {
        lines.push("It is a sandbox: test keys reach it, and no other.".to_owned());
    }
    if account.allow_private {
        lines.push("It may reach loopback and private addresses.".to_owned());
    }
    lines.join("\n")
}

/// What the key may do, in words.
fn scopes(key: &KeyRecord) -> String {
    let may = match &key.origins {
        Some(origins) => format!("publishable, from {}", origins.join(" and ")),
        None => key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(", "),
    };
    let may = if key.test { format!("{may}; test") } else { may };
    if key.suspended { format!("{may}; suspended until `restore confirm`") } else { may }
}

fn keys(keys: &[KeyRecord]) -> String {
    rows(
        &["key", "name", "scopes", "since", "revoked"],
        keys.iter().map(|key| {
            vec![key.id.to_string(), key.name.clone(), scopes(key), at(key.created_at), maybe(key.revoked_at.map(at))]
        }),
    )
}

fn jobs(postings: &[PostingRecord]) -> String {
    rows(
        &["posting", "title", "requisition", "vendor job", "state", "form read"],
        postings.iter().map(|record| {
            let posting = &record.posting;
            vec![
                posting.posting_id.clone(),
                posting.title.clone(),
                maybe(posting.requisition_code.as_ref()),
                maybe(posting.vendor_job_id.as_ref()),
                record.closed_at.map_or("open".to_owned(), |closed| format!("closed {}", at(closed))),
                maybe(record.form.as_ref().map(|(_, fetched)| at(*fetched))),
            ]
        }),
    )
}

fn cases(cases: &[CaseView]) -> String {
    rows(
        &["opened", "what", "who acts", "deliveries", "delivery"],
        cases.iter().map(|case| {
            vec![
                at(case.opened_at),
                format!("{} ({}){}", case.text, case.reason, case.alike.as_ref().map_or(String::new(), alike)),
                case.who_acts.as_str().to_owned(),
                case.deliveries.to_string(),
                maybe(case.delivery),
            ]
        }),
    )
}

/// What many have in common, and when one of them is tried.
fn alike(alike: &Alike) -> String {
    let status = alike.vendor_status.map_or(String::new(), |status| format!(", status {status}"));
    let places = if alike.fields.is_empty() { String::new() } else { format!(", at {}", alike.fields.join(", ")) };
    let next =
        alike.next_probe_at.map_or_else(|| "one is being tried".to_owned(), |next| format!("next try {}", at(next)));
    format!(" {}: {}{status}{places}; {next}", alike.step, alike.class)
}

fn report(report: &Report) -> String {
    let mut parts: Vec<String> = report.submissions.iter().map(answer).collect();
    parts.extend(report.text.clone());
    if report.truncated {
        parts.push("There are more; narrow the question or raise --limit.".to_owned());
    }
    parts.join("\n\n")
}

fn answer(answer: &Answer) -> String {
    let title = answer.job.title.as_deref().unwrap_or("unknown job");
    let code = answer.code.as_ref().map_or(String::new(), |code| format!(", code {code}"));
    let test = if answer.test { ", a test" } else { "" };
    let mut parts = vec![format!("{} for {title} ({}){code}{test}", answer.id, answer.job.posting_id)];
    if let Some(why) = &answer.reason {
        let place = why.pointer.as_ref().map_or(String::new(), |pointer| format!(" at {pointer}"));
        parts.push(format!("{}{place}: {}", why.code, why.text));
    }
    parts.push(format!("Who acts: {}", answer.who_acts.as_str()));
    parts.push(rows(
        &["when (UTC)", "what", "where", "details"],
        answer
            .timeline
            .iter()
            .map(|line| vec![at(line.at), line.what.clone(), maybe(line.account.as_ref()), line.text.clone()]),
    ));
    if !answer.deliveries.is_empty() {
        parts.push(rows(
            &["account", "state", "sent", "vendor said yes", "seen at vendor", "next try", "delivery"],
            answer.deliveries.iter().map(delivery),
        ));
    }
    parts.push(format!("For the customer:\n  {}", answer.for_customer));
    parts.push(format!("For the applicant:\n  {}", answer.for_applicant));
    parts.join("\n")
}

fn delivery(delivery: &DeliveryView) -> Vec<String> {
    let seen = match (&delivery.proofs.seen_at, &delivery.proofs.not_verifiable, &delivery.proofs.read_back_due_at) {
        (Some(seen), _, _) => at(*seen),
        (None, Some(why), _) => format!("not verifiable: {why}"),
        (None, None, Some(due)) => format!("to be read back, not before {}", at(*due)),
        (None, None, None) => "–".to_owned(),
    };
    vec![
        delivery.account.clone(),
        delivery.state.to_string(),
        maybe(delivery.proofs.sent_at.map(at)),
        maybe(delivery.proofs.vendor_said_yes_at.map(at)),
        seen,
        maybe(delivery.next_attempt_at.map(at)),
        delivery.id.to_string(),
    ]
}
