//! Answers on the way to a live account, for people. Pure.

use causeway_core::posting::FieldKind;

use super::table::{at, maybe, rows};
use crate::admin::OnboardAnswer;
use crate::admin::onboard::{Checklist, FieldView, ItemState, Saved, VersionView};
use crate::overlay::preview::{Cell, Shown};
use crate::store::onboard::{AboutSecrets, Which};
use crate::store::setup::AccountRecord;

/// Options of one field that are shown.
const OPTIONS: usize = 12;

pub(super) fn of(answer: &OnboardAnswer) -> String {
    match answer {
        OnboardAnswer::Fields(fields) => self::fields(fields),
        OnboardAnswer::Stages(stages) => rows(
            &["of", "stage", "id"],
            stages.iter().map(|stage| vec![stage.of.clone(), stage.label.clone(), stage.id.clone()]),
        ),
        OnboardAnswer::Overlay(mapping) => format!("Version {}.", mapping.version),
        OnboardAnswer::Versions(versions) => self::versions(versions),
        OnboardAnswer::Saved(saved) => self::saved(saved),
        OnboardAnswer::Diff(lines) if lines.is_empty() => "Nothing differs.".to_owned(),
        OnboardAnswer::Diff(lines) => lines.join("\n"),
        OnboardAnswer::Preview(shown) => preview(shown),
        OnboardAnswer::Checklist(list) => checklist(list),
        OnboardAnswer::Live { account, since, deliveries } => {
            format!("Account {account} is live since {}; {deliveries} held deliveries go out now.", at(*since))
        }
    }
}

const fn kind(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::LongText => "long text",
        FieldKind::Hidden => "hidden text",
        FieldKind::File => "file",
        FieldKind::SingleSelect => "one of",
        FieldKind::MultiSelect => "some of",
        FieldKind::Boolean => "true or false",
        FieldKind::Number => "number",
        FieldKind::Date => "date",
    }
}

fn fields(fields: &[FieldView]) -> String {
    let takes = |view: &FieldView| {
        let shown = view.field.options.iter().take(OPTIONS).map(|option| format!("{} ({})", option.id, option.label));
        let more = if view.field.options.len() > OPTIONS { ", …" } else { "" };
        let options = shown.collect::<Vec<_>>().join(", ");
        if options.is_empty() {
            kind(view.field.kind).to_owned()
        } else {
            format!("{} {options}{more}", kind(view.field.kind))
        }
    };
    rows(
        &["field", "label", "takes", "required", "asked by postings", "filled by"],
        fields.iter().map(|view| {
            vec![
                view.field.name.clone(),
                view.field.label.clone(),
                takes(view),
                if view.field.required { "yes" } else { "no" }.to_owned(),
                maybe(view.asked.map(|(some, all)| format!("{some} of {all}"))),
                maybe(view.filled.as_ref()),
            ]
        }),
    )
}

fn versions(versions: &[VersionView]) -> String {
    rows(
        &["version", "in force", "fields filled", "saved", "by", "why"],
        versions.iter().map(|view| {
            vec![
                view.version.to_string(),
                if view.in_force { "yes" } else { "" }.to_owned(),
                view.rules.to_string(),
                at(view.saved_at),
                view.saved_by.clone(),
                view.note.clone(),
            ]
        }),
    )
}

fn saved(saved: &Saved) -> String {
    format!("Account {}: version {} is in force.\n{}", saved.account, saved.version, saved.changes.join("\n"))
}

fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Value(value) => value.reveal().clone(),
        Cell::AsAnswered => "(as the applicant answered)".to_owned(),
        Cell::Empty(why) => format!("(empty: {why})"),
    }
}

fn preview(shown: &[Shown]) -> String {
    rows(
        &["submission", "posting", "field", "before", "after", "passes"],
        shown.iter().map(|line| {
            vec![
                line.submission.to_string(),
                line.posting_id.clone(),
                line.field.clone(),
                cell(&line.before),
                cell(&line.after),
                maybe(line.passes.map(|passes| if passes { "yes" } else { "NO" })),
            ]
        }),
    )
}

fn checklist(list: &Checklist) -> String {
    let state = |state: ItemState| match state {
        ItemState::Done => "done",
        ItemState::Open => "OPEN",
        ItemState::NotApplicable => "not applicable",
    };
    let items = rows(
        &["item", "state", "what", "ticked"],
        list.items.iter().map(|item| {
            let tick = item.tick.as_ref().map(|tick| format!("{} by {}", at(tick.at), tick.actor));
            vec![item.item.clone(), state(item.state).to_owned(), item.text.clone(), maybe(tick)]
        }),
    );
    let open = list.items.iter().filter(|item| item.state == ItemState::Open).count();
    let hand: Vec<&str> = list.items.iter().filter(|item| item.by_hand).map(|item| item.item.as_str()).collect();
    let end = match (list.live_at, open) {
        (Some(since), _) => format!("Account {} is live since {}.", list.account, at(since)),
        (None, 0) => format!("Everything is in order: `causeway accounts go-live {} --now`.", list.account),
        (None, open) => format!("{open} open. Ticked by hand, with --tick and --note: {}.", hand.join(", ")),
    };
    format!("{items}\n{end}")
}

/// When an account's secrets end, for a list.
pub(super) fn ends(record: &AccountRecord) -> String {
    let day = |about: &AboutSecrets| about.expires_at.map(|at| format!("until {}", at.strftime("%Y-%m-%d")));
    let sets = record.credentials.sets().map(|(which, about)| match which {
        Which::Current => maybe(day(about)),
        Which::Next => format!("newer ones {}", day(about).unwrap_or_else(|| "beside them".to_owned())),
    });
    sets.collect::<Vec<_>>().join("; ")
}

/// How an account stands on its way, for its own page.
pub(super) fn standing(record: &AccountRecord) -> Vec<String> {
    let mut lines = vec![match record.live_at {
        Some(since) => format!("Live since {}.", at(since)),
        None => {
            format!("Not live yet: its deliveries are held. See `causeway accounts go-live {}`.", record.account.name)
        }
    }];
    if let Some(mapping) = &record.mapping {
        lines.push(format!("Overlay version {} fills {} fields.", mapping.version, mapping.overlay.rules.len()));
    }
    for (which, about) in record.credentials.sets() {
        let name = match (which, &record.credentials.next) {
            (Which::Current, None) => "Secrets",
            (Which::Current, Some(_)) => "Older secrets",
            (Which::Next, _) => "Newer secrets",
        };
        let mut facts = Vec::new();
        facts.extend(about.since.map(|moment| format!("held since {}", at(moment))));
        facts.extend(about.expires_at.map(|moment| format!("expire {}", at(moment))));
        facts.push(
            about.used_at.map_or("not taken by the vendor yet".to_owned(), |used| {
                format!("last taken by the vendor {}", at(used))
            }),
        );
        facts.extend(about.refused_at.map(|moment| format!("last refused {}", at(moment))));
        lines.push(format!("{name}: {}.", facts.join(", ")));
    }
    lines
}
