//! The checklist of an account, and its going live.
//!
//! What can be found out is found out each time it is asked; what only a person can know is ticked, with words, by whom
//! and when. A tick is not believed for ever: other secrets, or another test application, open their items again.

use std::collections::{BTreeMap, BTreeSet};

use causeway_core::account::Role;
use causeway_core::connector::Connector;
use causeway_core::posting::{FieldKind, Form, QuestionGroup};

use super::super::execute::ACTOR;
use super::super::{CheckVerdict, Checked, Fault, FaultKind, Response, SECRETS, Services};
use super::{Checklist, Item, ItemState, OnboardAnswer};
use crate::overlay::check::unmapped;
use crate::setup::{self, ALERT_ADDRESS, BASIS, PURPOSE};
use crate::store::onboard::{Sighted, Tick};
use crate::store::setup::AccountRecord;

/// Deliveries looked at for test applications.
const TAKEN_MAX: usize = 2_000;
/// A tick's note is cut here.
const NOTE_MAX: usize = 500;

const PERMISSIONS: &str = "permissions";
const JOBS_READ: &str = "jobs_read";
const FIELDS_MAPPED: &str = "fields_mapped";
const TEST_APPLICATION: &str = "test_application";
const TEST_REMOVED: &str = "test_removed";
const WEBHOOK_PING: &str = "webhook_ping";
const CONSENT_TEXTS: &str = "consent_texts";
const ALERTS: &str = "alert_address";
const RETENTION: &str = "retention";

/// What a person may say is in order.
const BY_HAND: [&str; 5] = [PERMISSIONS, TEST_APPLICATION, TEST_REMOVED, CONSENT_TEXTS, RETENTION];

type Ticks = BTreeMap<String, Tick>;

impl Services {
    /// What the vendor says of the credentials, written down for the checklist; and what is known of the secrets themselves.
    pub(super) async fn check(&self, record: &AccountRecord) -> Result<Response, Fault> {
        let mut checked = self.vendors.check(record).await?;
        let named = |wanted| -> Vec<&str> {
            checked.iter().filter(|one| one.verdict == wanted).map(|one| one.name.as_str()).collect()
        };
        let (no, yes) = (named(CheckVerdict::No), named(CheckVerdict::Yes));
        let note = if no.is_empty() { format!("yes: {}", yes.join(", ")) } else { format!("no: {}", no.join(", ")) };
        let tick = self.ticked(PERMISSIONS, no.is_empty() && !yes.is_empty(), &note);
        self.store.tick(record.account.id, tick).await?;
        // Their use, this very check's included, was written down meanwhile.
        let now = self.store.account(record.account.id).await?;
        checked.extend(setup::about_secrets(&now.credentials, self.clock.now()).into_iter().map(|(well, text)| {
            Checked { name: SECRETS.to_owned(), verdict: if well { CheckVerdict::Yes } else { CheckVerdict::No }, text }
        }));
        Ok(Response::Checked(checked))
    }

    pub(super) async fn checklist(&self, record: &AccountRecord) -> Result<Checklist, Fault> {
        let connector = Self::connector(record)?;
        let ticks: Ticks =
            self.store.ticks(record.account.id).await?.into_iter().map(|t| (t.item.clone(), t)).collect();
        let taken = self.store.taken(record.account.id, TAKEN_MAX).await?;
        let known = self.known(record).await;
        let mut items = vec![permissions(record, &ticks), jobs_read(record)];
        items.push(match &known {
            Ok(known) => fields_mapped(record, &known.fields),
            Err(fault) => open(FIELDS_MAPPED, format!("the vendor's fields could not be read: {}", fault.text)),
        });
        let forms = known.map(|known| known.forms).unwrap_or_default();
        items.push(test_application(record, connector.as_ref(), &forms, &taken, &ticks));
        items.push(test_removed(connector.as_ref(), &taken, &ticks));
        items.push(webhook_ping(connector.as_ref()));
        items.push(consent_texts(record, &forms, &ticks));
        items.push(alert_address(record));
        items.push(by_hand(
            &ticks,
            RETENTION,
            "look at [retention] in the configuration, then tick this with what was agreed with the customer"
                .to_owned(),
        ));
        Ok(Checklist { account: record.account.name.clone(), live_at: record.live_at, items })
    }

    pub(super) async fn tick(
        &self,
        record: &AccountRecord,
        item: &str,
        done: bool,
        note: String,
    ) -> Result<Checklist, Fault> {
        if !BY_HAND.contains(&item) {
            let text = format!("{item:?} is not ticked by hand; these are: {}", BY_HAND.join(", "));
            return Err(Fault::new(FaultKind::Usage, text));
        }
        if done && note.trim().is_empty() {
            return Err(Fault::new(
                FaultKind::Usage,
                "say what was found with --note: whoever reads it later was not there",
            ));
        }
        self.store.tick(record.account.id, self.ticked(item, done, &note)).await?;
        self.checklist(record).await
    }

    fn ticked(&self, item: &str, done: bool, note: &str) -> Tick {
        Tick {
            item: item.to_owned(),
            done,
            note: note.trim().chars().take(NOTE_MAX).collect(),
            at: self.clock.now(),
            actor: ACTOR.to_string(),
        }
    }

    /// Only with every item in order. What was held for it goes out.
    pub(super) async fn go_live(&self, record: &AccountRecord) -> Result<OnboardAnswer, Fault> {
        let account = record.account.name.clone();
        if let Some(since) = record.live_at {
            return Ok(OnboardAnswer::Live { account, since, deliveries: 0 });
        }
        let Checklist { items, .. } = self.checklist(record).await?;
        let open: Vec<String> = items
            .iter()
            .filter(|item| item.state == ItemState::Open)
            .map(|item| format!("\n  {}: {}", item.item, item.text))
            .collect();
        if !open.is_empty() {
            let text = format!("{account} does not go live; these are open:{}", open.concat());
            return Err(Fault::new(FaultKind::Refused, text));
        }
        let since = self.clock.now();
        let deliveries = self.store.go_live(record.account.id, &ACTOR.to_string(), since).await?;
        self.support.ring(record.account.id);
        Ok(OnboardAnswer::Live { account, since, deliveries })
    }
}

fn item(name: &str, state: ItemState, text: impl Into<String>) -> Item {
    Item { item: name.to_owned(), state, text: text.into(), by_hand: BY_HAND.contains(&name), tick: None }
}

fn open(name: &str, text: impl Into<String>) -> Item {
    item(name, ItemState::Open, text)
}

fn done(name: &str, text: impl Into<String>) -> Item {
    item(name, ItemState::Done, text)
}

/// In order if the tick says so.
fn by_hand(ticks: &Ticks, name: &str, to_do: String) -> Item {
    match ticks.get(name) {
        Some(tick) if tick.done => Item { tick: Some(tick.clone()), ..done(name, tick.note.clone()) },
        Some(tick) => Item { tick: Some(tick.clone()), ..open(name, to_do) },
        None => open(name, to_do),
    }
}

fn permissions(record: &AccountRecord, ticks: &Ticks) -> Item {
    let to_do = |why: &str| format!("{why}: run `causeway accounts check {}`", record.account.name);
    match ticks.get(PERMISSIONS) {
        None => open(PERMISSIONS, to_do("never checked")),
        Some(tick) if record.credentials.current.since.is_some_and(|since| tick.at < since) => {
            Item { tick: Some(tick.clone()), ..open(PERMISSIONS, to_do("the secrets have changed since")) }
        }
        Some(tick) if !tick.done => Item { tick: Some(tick.clone()), ..open(PERMISSIONS, to_do(&tick.note)) },
        Some(tick) => Item { tick: Some(tick.clone()), ..done(PERMISSIONS, tick.note.clone()) },
    }
}

fn jobs_read(record: &AccountRecord) -> Item {
    match (record.account.role, record.last_complete_sync) {
        (Role::Crm, _) => item(JOBS_READ, ItemState::NotApplicable, "a CRM has no postings"),
        (Role::Ats, Some(at)) => done(JOBS_READ, format!("all of them, at {}", at.strftime("%Y-%m-%d %H:%M"))),
        (Role::Ats, None) => open(JOBS_READ, format!("run `causeway jobs sync {}`", record.account.name)),
    }
}

fn fields_mapped(record: &AccountRecord, fields: &[causeway_core::overlay::VendorField]) -> Item {
    let overlay = record.mapping.as_ref().map(|mapping| &mapping.overlay);
    // What the overlay names may be gone at the vendor.
    let gone: Vec<&str> = overlay.map_or_else(Vec::new, |overlay| {
        let known = |name: &str| fields.iter().any(|field| field.name == name);
        overlay.rules.iter().map(|rule| rule.field()).filter(|name| !known(name)).collect()
    });
    let missing: Vec<&str> = unmapped(fields, overlay).into_iter().map(|field| field.name.as_str()).collect();
    if !missing.is_empty() {
        let text = format!("required at the vendor and filled by nothing: {}; see `accounts map`", missing.join(", "));
        return open(FIELDS_MAPPED, text);
    }
    if !gone.is_empty() {
        let text = format!("mapped and no longer at the vendor: {}; see `accounts map unset`", gone.join(", "));
        return open(FIELDS_MAPPED, text);
    }
    let required = fields.iter().filter(|field| field.required).count();
    done(FIELDS_MAPPED, format!("{required} required of {} fields", fields.len()))
}

/// Postings that ask for the same kinds of things are of one type: what differs between them is wording.
fn kind_of(form: &Form) -> String {
    let mut kinds = BTreeSet::new();
    for question in &form.questions {
        kinds.insert(match question.group {
            QuestionGroup::Demographic => "survey",
            QuestionGroup::Consent => "consent",
            QuestionGroup::Location => "location",
            QuestionGroup::Application => match question.fields.first().map(|field| field.kind) {
                Some(FieldKind::File) => "file",
                Some(FieldKind::SingleSelect | FieldKind::MultiSelect | FieldKind::Boolean) => "choice",
                Some(FieldKind::Number | FieldKind::Date) => "number or date",
                Some(FieldKind::Text | FieldKind::LongText | FieldKind::Hidden) | None => "text",
            },
        });
    }
    if kinds.is_empty() { "no questions".to_owned() } else { kinds.into_iter().collect::<Vec<_>>().join(", ") }
}

fn test_application(
    record: &AccountRecord,
    connector: &dyn Connector,
    forms: &[Form],
    taken: &[Sighted],
    ticks: &Ticks,
) -> Item {
    let seen: BTreeSet<&str> =
        taken.iter().filter(|one| one.seen_at.is_some()).map(|one| one.posting_id.as_str()).collect();
    let unproven: BTreeSet<&str> = taken.iter().map(|one| one.posting_id.as_str()).collect();
    let mut types: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    match record.account.role {
        Role::Ats => {
            for form in forms {
                types.entry(kind_of(form)).or_default().push(&form.posting_id);
            }
        }
        Role::Crm => {
            types.insert("an application".to_owned(), seen.iter().copied().collect());
        }
    }
    let without: Vec<String> = types
        .iter()
        .filter(|(_, postings)| !postings.iter().any(|posting| seen.contains(posting)))
        .map(|(kind, postings)| match (postings.first(), record.account.role) {
            (Some(posting), Role::Ats) => format!("{kind} (such as posting {posting})"),
            (Some(_) | None, _) => kind.clone(),
        })
        .collect();
    if without.is_empty() && !types.is_empty() {
        return done(TEST_APPLICATION, format!("seen at the vendor for each of {} types of posting", types.len()));
    }
    let name = &record.account.name;
    let to_do = if types.is_empty() {
        format!("no posting's questions are known yet: run `causeway jobs sync {name}`")
    } else {
        let hint = if connector.read_back() == causeway_core::connector::FindSupport::None || !unproven.is_subset(&seen)
        {
            " What was delivered and not read back: look at the vendor and tick this."
        } else {
            ""
        };
        format!(
            "none was seen at {name} yet for: {}. Send one in your own name, then `causeway replay` its delivery.{hint}",
            without.join("; ")
        )
    };
    by_hand(ticks, TEST_APPLICATION, to_do)
}

fn test_removed(connector: &dyn Connector, taken: &[Sighted], ticks: &Ticks) -> Item {
    let how = connector.erasing().map_or_else(
        || format!("Remove it in {} by hand.", connector.describe().title),
        |how| format!("In {} by hand, or: {how}", connector.describe().title),
    );
    let last = taken.iter().map(|one| one.said_yes_at).max();
    let newer = |tick: &Tick| last.is_some_and(|last| last > tick.at);
    match ticks.get(TEST_REMOVED) {
        Some(tick) if tick.done && newer(tick) => {
            let text = format!("another application was delivered since this was ticked. {how}");
            Item { tick: Some(tick.clone()), ..open(TEST_REMOVED, text) }
        }
        _ => by_hand(ticks, TEST_REMOVED, format!("remove the test applications at the vendor, then tick this. {how}")),
    }
}

fn webhook_ping(connector: &dyn Connector) -> Item {
    if connector.reads_hooks() {
        open(WEBHOOK_PING, "no ping was received")
    } else {
        item(WEBHOOK_PING, ItemState::NotApplicable, "this connector reads no webhooks")
    }
}

fn consent_texts(record: &AccountRecord, forms: &[Form], ticks: &Ticks) -> Item {
    let asked: BTreeSet<&str> = forms
        .iter()
        .flat_map(|form| &form.questions)
        .filter(|question| question.group == QuestionGroup::Consent)
        .map(|question| question.label.as_str())
        .collect();
    let needs = match record.account.role {
        Role::Ats if asked.is_empty() => "the postings ask for no consent of their own".to_owned(),
        Role::Ats => format!("the postings ask for: {}", asked.into_iter().collect::<Vec<_>>().join("; ")),
        Role::Crm => format!(
            "an application comes here for the purpose {} on the basis of {}",
            record.account.setting(PURPOSE).unwrap_or("recruiting"),
            record.account.setting(BASIS).unwrap_or("any")
        ),
    };
    by_hand(ticks, CONSENT_TEXTS, format!("{needs}. Look at what the site shows, then tick this with the texts' ids"))
}

fn alert_address(record: &AccountRecord) -> Item {
    match record.account.setting(ALERT_ADDRESS) {
        Some(_) => done(ALERTS, "set"),
        None => {
            let text = format!("run `causeway accounts update {} --set {ALERT_ADDRESS}=…`", record.account.name);
            open(ALERTS, text)
        }
    }
}
