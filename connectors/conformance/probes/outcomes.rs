//! Every class of outcome at the vendor: the sandbox is scripted, the gateway delivers, and the outcome is what the store
//! was told.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, ensure};
use causeway_core::connector::Connector;
use causeway_core::outcome::Class;

use super::Shown;
use crate::data;
use crate::watch::Watch;
use crate::world::{Wish, World};

pub(super) async fn probe(connector: Arc<dyn Connector>) -> Result<Shown> {
    let described = data::description(connector.describe().name)?;
    let mut classes = BTreeSet::new();
    let mut wrong = Vec::new();
    for shown in &described.outcomes {
        if let Err(error) = comes_about(&connector, shown).await {
            wrong.push(format!("{} at `{}`: {error:#}", shown.class, shown.step));
        }
        classes.insert(shown.class.as_str());
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    for class in Class::ALL {
        let why = described.never.get(class.as_str());
        ensure!(classes.contains(class.as_str()) != why.is_some(), "{class}: shown, or said why it never is");
        ensure!(why.is_none_or(|why| why.len() > 20), "{class}: say why it never is");
    }
    Ok(described.outcomes.len())
}

async fn comes_about(connector: &Arc<dyn Connector>, shown: &data::Shown) -> Result<()> {
    let world = World::set(connector, &Wish::default()).await?;
    world.settings(&shown.settings)?;
    world.faults(&shown.faults)?;
    let watch = Watch::new();
    let accepted = world.deliver(&watch, &shown.document).await?;
    let (state, outcomes) = (world.state(&accepted).await?, watch.seen().outcomes);
    let seen = outcomes.iter().any(|(class, step, _)| *class == shown.class && *step == shown.step);
    ensure!(seen, "it did not come about: {outcomes:?}, {state}");
    ensure!(state.as_str() == shown.ends, "it ended as {state}: {outcomes:?}");
    ensure!(shown.faults.is_empty() || world.fired()? > 0, "no fault fired");
    if shown.class == Class::Refused && connector.only_adds(&shown.step) {
        ensure!(shown.ends == "held", "a no to what only adds refuses the application");
    }
    Ok(())
}
