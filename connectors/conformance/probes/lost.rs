//! Lost answers: after each of the vendor's commits the answer is dropped, replaced or cut in half.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use causeway_core::connector::Connector;
use causeway_core::delivery::{State, StepPlan};
use causeway_core::outcome::Class;
use serde_json::{Value, json};

use super::Shown;
use crate::data::Places;
use crate::parcel::Parcel;
use crate::watch::Watch;
use crate::world::{Wish, World};

/// What one delivery leaves at the vendor when nothing goes wrong.
pub(super) struct Undisturbed {
    /// New records of each kind.
    pub(super) records: BTreeMap<String, usize>,
    /// Operations that changed the vendor's data, in order, each once.
    pub(super) operations: Vec<String>,
    /// What each step leaves.
    pub(super) steps: Vec<Step>,
}

/// A step that was taken.
pub(super) struct Step {
    pub(super) plan: StepPlan,
    /// New records of any kind, those of the steps before it included.
    pub(super) records: usize,
    /// Operations of this step that changed the vendor's data, in order.
    pub(super) operations: Vec<String>,
}

/// New records of each kind since then.
pub(super) fn gained(world: &World, before: &BTreeMap<String, usize>) -> Result<BTreeMap<String, usize>> {
    let now = world.counts()?;
    Ok(now.into_iter().map(|(kind, count)| (kind.clone(), count - before.get(&kind).copied().unwrap_or(0))).collect())
}

impl Undisturbed {
    /// Measured: the second of two deliveries, because the first may make what all need.
    pub(super) async fn of(world: &Arc<World>) -> Result<Self> {
        let mut measured = None;
        for _ in 0..2 {
            let (before, entries) = (world.counts()?, world.ledger_len()?);
            let accepted = world.deliver(&Watch::new(), &Places::new()).await?;
            let target = world.target(&accepted).await?;
            ensure!(target.state == State::Delivered, "undisturbed, it is {}: {:?}", target.state, target.reason);
            let operations = committed(world, entries)?;
            measured = Some(Self { records: gained(world, &before)?, operations, steps: Vec::new() });
        }
        let mut measured = measured.context("measured twice")?;
        measured.steps = steps(world).await?;
        Ok(measured)
    }

    /// Nothing is there twice; and all of it is, if it was delivered.
    pub(super) fn holds(&self, gained: &BTreeMap<String, usize>, delivered: bool) -> Result<()> {
        for (kind, count) in gained {
            let once = self.records.get(kind).copied().unwrap_or(0);
            ensure!(*count <= once, "{count} {kind} instead of {once}: something was done twice");
            ensure!(
                !delivered || *count == once,
                "{count} {kind} instead of {once}: called delivered, and is not there"
            );
        }
        Ok(())
    }
}

/// Operations that changed the vendor's data behind this entry of its ledger, in order, each once.
fn committed(world: &World, after: usize) -> Result<Vec<String>> {
    let mut operations = Vec::new();
    for entry in world.ledger(after)?.iter().filter(|entry| entry["committed"] == true) {
        let operation = entry["operation"].as_str().context("an operation")?.to_owned();
        if !operations.contains(&operation) {
            operations.push(operation);
        }
    }
    Ok(operations)
}

/// One more delivery, step by step.
async fn steps(world: &Arc<World>) -> Result<Vec<Step>> {
    let at = Arc::clone(world);
    world
        .live(Watch::new(), async move |life| {
            let (before, record) = (at.counts()?, life.record().await?);
            let (_, document) = at.document(&Places::new())?;
            let mut parcel = Parcel::new(&at, &record.account, &document)?.another(&at);
            let http = life.egress.http(&record);
            let mut steps = Vec::new();
            for plan in parcel.plan(&*at.connector) {
                let entries = at.ledger_len()?;
                let outcome = parcel.step(&*at.connector, plan.name, &http).await;
                let done = matches!(outcome.class, Class::Accepted | Class::AlreadyThere);
                ensure!(done, "{}: {outcome:?}", plan.name);
                let records = gained(&at, &before)?.values().sum();
                steps.push(Step { plan, records, operations: committed(&at, entries)? });
            }
            Ok(steps)
        })
        .await
}

const FAULTS: [(&str, u16); 3] = [("drop_after_commit", 0), ("status_after_commit", 502), ("half_answer", 0)];

pub(super) async fn probe(connector: Arc<dyn Connector>) -> Result<Shown> {
    let world = World::set(&connector, &Wish::default()).await?;
    let undisturbed = Undisturbed::of(&world).await?;
    ensure!(!undisturbed.operations.is_empty(), "a delivery changes something");
    let mut shown = 0;
    for operation in &undisturbed.operations {
        for (fault, status) in FAULTS {
            let mut rule = json!({ "operation": operation, "times": 1, "do": fault });
            if status != 0 {
                rule["status"] = json!(status);
            }
            lose(&world, &undisturbed, &rule).await.with_context(|| format!("{operation}: {fault}"))?;
            shown += 1;
        }
    }
    Ok(shown)
}

/// One delivery with one answer lost.
pub(super) async fn lose(world: &Arc<World>, undisturbed: &Undisturbed, rule: &Value) -> Result<()> {
    world.faults(std::slice::from_ref(rule))?;
    let (before, watch) = (world.counts()?, Watch::new());
    let accepted = world.deliver(&watch, &Places::new()).await?;
    ensure!(world.fired()? == 1, "the answer was not lost");
    let target = world.target(&accepted).await?;
    let seen = watch.seen();
    // Who cannot be asked is held for a person; nobody gives up, and nobody refuses.
    let ends = matches!(target.state, State::Delivered | State::Held);
    ensure!(ends, "it is {} ({:?}): {:?}", target.state, target.reason, seen.outcomes);
    ensure!(seen.repeated.is_empty(), "done and begun again: {:?}", seen.repeated);
    undisturbed.holds(&gained(world, &before)?, target.state == State::Delivered)?;
    world.faults(&[])
}
