//! Every canonical field's fate, as the connector's README says it, in what the vendor holds: a complete application is
//! delivered to a fresh sandbox with and without each field, and the vendor's records are compared.
//!
//! *Dropped*: the records are the same. *Carried* and *transformed*: they differ, unless the description says that the
//! vendor does not keep it. Same seed, same clock, same ids: two deliveries of one document leave the same records.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use causeway::schema::{Schemas, Target};
use causeway::store::setup::AccountRecord;
use causeway_core::account::Role;
use causeway_core::application::Application;
use causeway_core::clock::Clock;
use causeway_core::connector::Connector;
use causeway_core::outcome::Class;
use causeway_sandboxes::Options;
use serde_json::{Value, json};

use super::Shown;
use crate::data::{self, Places};
use crate::fates;
use crate::fields;
use crate::life::Life;
use crate::parcel::Parcel;
use crate::watch::Watch;
use crate::world::{Wish, World, account_wish};

pub(super) async fn probe(connector: Arc<dyn Connector>) -> Result<Shown> {
    let name = connector.describe().name;
    let readme = data::text(name, "README.md")?;
    let table = fates::fates(&readme);
    let canonical = fields::canonical_fields();
    for field in &canonical {
        ensure!(fields::fate_of(&table, field).is_some(), "no fate in the README: {field}");
    }
    for (row, (fate, reason)) in &table {
        let named = canonical.iter().any(|field| field == row || field.starts_with(&format!("{row}.")));
        ensure!(named, "no such field: {row}");
        ensure!(["carried", "transformed", "dropped"].contains(&fate.as_str()), "{row}: {fate}");
        ensure!(reason.len() > 3, "{row} has no reason");
    }
    let world = World::set(&connector, &Wish::default()).await?;
    let at = Arc::clone(&world);
    world.live(Watch::new(), async move |life| compared(&at, &life, &table).await).await
}

async fn compared(world: &Arc<World>, life: &Life, table: &fates::Fates) -> Result<Shown> {
    let record = life.record().await?;
    let mut documents: Vec<(Value, Value)> = Vec::new();
    for places in std::iter::once(&Places::new()).chain(&world.described.alternatives) {
        let mut places = places.clone();
        places.insert("/person/emails/0/address".to_owned(), json!("complete@example.org"));
        let (_, document) = world.document(&places)?;
        // An alternative may be what no site could send: that is how it is told what is left out.
        if documents.is_empty() {
            takes(world, &record, &document)?;
        }
        let whole = held(world, life, &record, &document).await?.context("the complete application is not taken")?;
        documents.push((document, whole));
    }
    let mut wrong = Vec::new();
    for (field, (fate, _)) in table {
        let path: Vec<&str> = field.split('.').collect();
        let mut matters = false;
        for (document, whole) in &documents {
            let Some(less) = varied(document, &path) else {
                wrong.push(format!("{field} can neither be left out nor be another"));
                continue;
            };
            matters |= held(world, life, &record, &less).await?.as_ref() != Some(whole);
        }
        let kept = !world.described.not_kept.contains_key(field);
        // What the posting is was decided before; its id is where it was sent.
        let chooses = field == "job" && fate != "dropped";
        if matters != (fate != "dropped" && kept && !chooses) {
            wrong.push(format!(
                "{field} is said to be {fate}, and {} in the records",
                if matters { "shows" } else { "does not show" }
            ));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(table.len())
}

/// The document without this field; where it must have one, with another.
fn varied(document: &Value, path: &[&str]) -> Option<Value> {
    let is_canonical = |document: &Value| Application::parse(document.to_string().as_bytes()).is_ok();
    let mut less = document.clone();
    fates::without(&mut less, path);
    if is_canonical(&less) {
        return Some(less);
    }
    let others: [fn(&mut Value); 2] =
        [|value| *value = json!(data::plain(value) + "x"), |value| *value = json!("other")];
    others.into_iter().find_map(|other| {
        let mut varied = document.clone();
        at(&mut varied, path, other);
        is_canonical(&varied).then_some(varied)
    })
}

/// Changes what stands at this path, in every item of a list.
fn at(document: &mut Value, path: &[&str], change: fn(&mut Value)) {
    match (document, path) {
        (Value::Array(list), path) => list.iter_mut().for_each(|item| at(item, path, change)),
        (value, []) => change(value),
        (Value::Object(map), [first, rest @ ..]) => {
            if let Some(inner) = map.get_mut(*first) {
                at(inner, rest, change);
            }
        }
        (_, _) => {}
    }
}

/// The complete application is one that the gateway accepts for this account.
fn takes(world: &World, record: &AccountRecord, document: &Value) -> Result<()> {
    let schemas = Schemas::new(std::slice::from_ref(&world.connector))?;
    let target = Target { account: &record.account, connector: &*world.connector, form: world.customer.form.as_ref() };
    let is_ats = record.account.role == Role::Ats;
    let verdict = schemas.check(document, if is_ats { std::slice::from_ref(&target) } else { &[] });
    ensure!(verdict.is_valid(), "the complete application is refused: {:?}", verdict.all_errors());
    Ok(())
}

/// What a fresh vendor holds after this application; nothing when it did not take it.
async fn held(world: &World, life: &Life, record: &AccountRecord, document: &Value) -> Result<Option<Value>> {
    let descriptor = world.connector.describe();
    let options = Options { listen: "127.0.0.1:0".parse()?, seed: 7 };
    let sandbox = causeway_sandboxes::start(descriptor.name, options).await?;
    let clock = world.clock.now().to_string();
    // No limit on either side: there are hundreds of these.
    let wide = json!({ "calls": 1_000_000, "window_ms": 1 });
    sandbox.control("settings", Some(&json!({ "clock": clock, "rate_limit": wide })))?;
    if let Some(posting) = &world.described.posting {
        let published = sandbox.control("jobs", Some(posting))?;
        ensure!(published == world.customer.published, "the same seed publishes the same posting");
    }
    let wish = account_wish(sandbox.announcement(), descriptor.name, record.account.role, &Wish::default());
    let (mut account, _) = causeway::setup::account(record.account.id, record.account.tenant, wish)?;
    account.settings.insert("limit_calls".to_owned(), json!(1_000_000));
    account.settings.insert("limit_window_ms".to_owned(), json!(1));
    let record = AccountRecord { account, ..record.clone() };
    let mut parcel = Parcel::new(world, &record.account, document)?;
    let carried = parcel.carry(&*world.connector, &life.egress.http(&record)).await;
    if let Err(outcome) = &carried {
        ensure!(outcome.class != Class::NotNow, "{outcome:?}");
    }
    let (records, ledger) = (sandbox.control("records", None)?, sandbox.control("ledger?after=0", None)?);
    // What was uploaded before the application stands in the ledger alone.
    let written = ledger["entries"].as_array().into_iter().flatten().map(|entry| entry["record"].clone());
    let records = json!([records, written.collect::<Vec<_>>()]);
    Ok(carried.is_ok().then_some(records))
}
