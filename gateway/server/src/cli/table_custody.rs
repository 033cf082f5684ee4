//! The answers of `erase`, `export`, `backup` and `restore` for people. Pure.

use std::path::Path;

use super::table::{at, maybe, rows};
use crate::store::custody::{BackupReport, CopyState, SuspendedKey};
use crate::store::sqlite::RestoreReport;
use crate::support::copies::Confirmed;
use crate::support::person::{CopyView, Erased, Export, Reach};

pub(super) fn plan(reach: &Reach) -> String {
    if reach.is_unknown() {
        return "Nothing is held about this address. Nothing was changed.".to_owned();
    }
    let mut parts = Vec::new();
    parts.extend(reach.erased_at.map(|erased| format!("This address was erased on {}.", at(erased))));
    parts.push(reached("Erasing reaches", reach));
    if reach.names_differ {
        parts.push("The address was used with different names. Are they one person's?".to_owned());
    }
    parts.join("\n")
}

pub(super) fn erased(erased: &Erased) -> String {
    format!("Erased on {}.\n{}", at(erased.erased_at), reached("It reached", &erased.reached))
}

fn reached(head: &str, reach: &Reach) -> String {
    let mut parts = vec![format!(
        "{head} {} submissions, {} deliveries under way and {} attachments.",
        reach.submissions.len(),
        reach.live_deliveries,
        reach.blobs
    )];
    if !reach.list.is_empty() {
        parts.push(rows(
            &["came", "name", "job", "taken", "files", "submission"],
            reach.list.iter().map(|line| {
                vec![
                    at(line.received_at),
                    maybe(line.name.as_ref().map(|name| name.reveal().clone())),
                    line.title.clone().unwrap_or_else(|| line.posting_id.clone()),
                    format!("{:?}", line.outcome).to_lowercase(),
                    line.attachments.to_string(),
                    line.id.to_string(),
                ]
            }),
        ));
    }
    if !reach.vendor_copies.is_empty() {
        parts.push(format!("Copies that only the vendor can erase:\n{}", copies(&reach.vendor_copies)));
    }
    parts.join("\n")
}

pub(super) fn copies(copies: &[CopyView]) -> String {
    rows(
        &["account", "record", "there since", "state", "what to do", "delivery"],
        copies.iter().map(|view| {
            vec![
                view.copy.account.clone(),
                maybe(view.copy.vendor_id.as_ref()),
                maybe(view.copy.since.map(at)),
                state(view.copy.state).to_owned(),
                view.text.clone(),
                view.copy.delivery.to_string(),
            ]
        }),
    )
}

const fn state(state: CopyState) -> &'static str {
    match state {
        CopyState::ByHand => "to be erased by hand",
        CopyState::AskedVendor => "vendor asked",
        CopyState::Confirmed => "confirmed",
        CopyState::NotThere => "not there",
    }
}

pub(super) fn exported(out: &Path, export: &Export, files: usize, left_out: bool) -> String {
    let mut text =
        format!("{} submissions and {files} attachments are in {}.", export.submissions.len(), out.display());
    if let Some(erased) = export.erased_at {
        text.push_str(&format!("\nWhat came before {} was erased.", at(erased)));
    }
    if left_out {
        text.push_str("\nDemographic answers are left out; --demographics adds them.");
    }
    text
}

pub(super) fn backed_up(into: &Path, report: &BackupReport) -> String {
    let gone = match report.gone_meanwhile {
        0 => String::new(),
        gone => format!("\n{gone} attachments were erased or ran out while it was taken."),
    };
    format!(
        "Everything accepted before {} is in {}: {} submissions, {} attachments, {} MB.{gone}\n\
         keys.db opens it together with the root key, which is not in it. Keep keys.db for as short as you can: who is \
         erased later stays readable in it.",
        at(report.taken_at),
        into.display(),
        report.submissions,
        report.attachments,
        report.bytes.div_ceil(1_000_000),
    )
}

pub(super) fn restored(data: &Path, report: &RestoreReport) -> String {
    format!(
        "{} holds what was accepted before {}: {} submissions, {} attachments.\n\
         {} submissions were erased again; {} more had no key any more, and were erased.\n\
         {} accounts are paused, and {} deliveries wait. Look at it, then run `causeway restore confirm`: what the lost \
         gateway may have sent since is asked for before anything is sent.\n\
         Until then no API key opens anything. Any that was revoked after the backup would be valid again: start the \
         gateway, and run `causeway keys revoke` for it first. They are: {}",
        data.display(),
        at(report.taken_at),
        report.submissions,
        report.attachments,
        report.erased_again,
        report.without_key,
        report.accounts_paused,
        report.deliveries_held,
        names(&report.keys_suspended),
    )
}

/// A word each, with whose it is.
fn names(keys: &[SuspendedKey]) -> String {
    let names: Vec<String> = keys.iter().map(|key| format!("{} of {} ({})", key.name, key.tenant, key.id)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

pub(super) fn confirmed(confirmed: &Confirmed) -> String {
    format!(
        "{} accounts run again; {} deliveries were queued.\n\
         API keys that are valid again, also if they were revoked after the backup: {}",
        confirmed.accounts,
        confirmed.deliveries,
        names(&confirmed.keys),
    )
}
