//! Kills inside deliveries: the gateway is cut at a boundary, the next one opens the directory and goes on, and the
//! vendor's books say whether anything was done twice.
//!
//! Boundaries are found by watching a delivery that nothing disturbs. The probe cuts at each of them once; the long run
//! cuts at random, again and again in one delivery, until it has its kills. A delivery that is held because nobody can say
//! whether the vendor took a step is what a person looks at: where the vendor's books show that the step was not taken,
//! it is sent again, as that person would.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use causeway_core::clock::{Entropy, SeededEntropy};
use causeway_core::connector::Connector;
use causeway_core::delivery::State;
use serde::Serialize;

use super::Shown;
use super::lost::{Undisturbed, gained};
use crate::data::Places;
use crate::life::End;
use crate::watch::{Seen, Watch};
use crate::world::{Accept, Wish, World};

/// What many kills came to.
#[derive(Debug, Default, Serialize)]
pub struct KillReport {
    /// The connector.
    pub connector: String,
    /// Steps of a delivery.
    pub steps: usize,
    /// Boundaries of a delivery that nothing disturbs.
    pub boundaries: usize,
    /// Gateways cut.
    pub kills: usize,
    /// Deliveries cut at least once.
    pub deliveries: usize,
    /// Of them delivered in the end.
    pub delivered: usize,
    /// Of them held for a person who has to know more than the vendor's API tells.
    pub held: usize,
    /// Sent again by a person after a look at the vendor's books.
    pub replayed: usize,
    /// Steps that were done and begun again, and records that are there twice.
    pub repeated: usize,
    /// What went wrong.
    pub violations: Vec<String>,
}

/// Cuts at random until there were so many kills.
///
/// # Errors
/// When the suite itself cannot go on.
pub async fn kills(connector: Arc<dyn Connector>, kills: usize, seed: u64) -> Result<KillReport> {
    let mut report = KillReport { connector: connector.describe().name.to_owned(), ..KillReport::default() };
    let dice = SeededEntropy::new(seed);
    while report.kills < kills && report.violations.len() < 10 {
        // A vendor's books grow; a new world keeps reading them cheap.
        let bench = Bench::set(&connector).await?;
        (report.boundaries, report.steps) = (bench.boundaries, bench.undisturbed.steps.len());
        for _ in 0..40 {
            if report.kills >= kills {
                break;
            }
            let cuts = std::iter::repeat_with(|| draw(&dice, bench.boundaries));
            bench.cut(cuts.take(1 + draw(&dice, 3)), &mut report).await?;
        }
    }
    Ok(report)
}

fn draw(dice: &SeededEntropy, below: usize) -> usize {
    let mut bytes = [0; 2];
    dice.fill(&mut bytes);
    usize::from(u16::from_le_bytes(bytes)) % below.max(1)
}

pub(super) async fn probe(connector: Arc<dyn Connector>) -> Result<Shown> {
    let bench = Bench::set(&connector).await?;
    let mut report = KillReport::default();
    for at in 0..bench.boundaries {
        bench.cut(std::iter::once(at), &mut report).await?;
    }
    ensure!(report.violations.is_empty(), "{}", report.violations.join("\n"));
    ensure!(report.kills == bench.boundaries, "{} kills at {} boundaries", report.kills, bench.boundaries);
    Ok(report.kills)
}

struct Bench {
    world: Arc<World>,
    undisturbed: Undisturbed,
    boundaries: usize,
}

impl Bench {
    async fn set(connector: &Arc<dyn Connector>) -> Result<Self> {
        let world = World::set(connector, &Wish::default()).await?;
        let undisturbed = Undisturbed::of(&world).await?;
        let watch = Watch::new();
        world.deliver(&watch, &Places::new()).await?;
        Ok(Self { world, undisturbed, boundaries: watch.seen().boundaries })
    }

    /// One delivery, cut at these boundaries of one life after the other, and what it came to.
    async fn cut(&self, cuts: impl IntoIterator<Item = usize>, report: &mut KillReport) -> Result<()> {
        let cuts: Vec<usize> = cuts.into_iter().collect();
        let before = self.world.counts()?;
        let accepted = self.world.apply(&Places::new()).await?;
        let mut seen = Seen::default();
        let mut killed = 0;
        for at in &cuts {
            let watch = Watch::cutting(*at, &seen);
            let end = self.world.settle(&watch).await.with_context(|| format!("cut at {cuts:?}"))?;
            seen = watch.seen();
            match end {
                End::Cut => killed += 1,
                End::Settled => break,
            }
        }
        report.kills += killed;
        report.deliveries += usize::from(killed > 0);
        let watch = Watch::after(&seen);
        self.world.settle(&watch).await.with_context(|| format!("resumed after {cuts:?}"))?;
        seen = watch.seen();
        let state = self.as_a_person_would(&accepted, &before, &mut seen, report).await?;
        report.delivered += usize::from(state == State::Delivered);
        report.held += usize::from(state == State::Held);
        let mut wrong: Vec<String> =
            seen.repeated.iter().map(|step| format!("`{step}` was done and begun again")).collect();
        if let Err(twice) = self.undisturbed.holds(&gained(&self.world, &before)?, state == State::Delivered) {
            wrong.push(twice.to_string());
        }
        report.repeated += wrong.len();
        if !matches!(state, State::Delivered | State::Held) {
            wrong.push(format!("it ended as {state}: {:?}", seen.outcomes));
        }
        report.violations.extend(wrong.into_iter().map(|what| format!("cut at {cuts:?}: {what}")));
        Ok(())
    }

    /// While it is held and the vendor's books show that the step in doubt was not taken: sent again.
    async fn as_a_person_would(
        &self,
        accepted: &Accept,
        before: &BTreeMap<String, usize>,
        seen: &mut Seen,
        report: &mut KillReport,
    ) -> Result<State> {
        loop {
            let state = self.world.state(accepted).await?;
            let in_doubt = seen.begun.last().context("something was begun")?;
            let left: usize = gained(&self.world, before)?.values().sum();
            let step = self.undisturbed.steps.iter().find(|step| step.plan.name == in_doubt.as_str());
            let whole = step.map_or(0, |step| step.records);
            if state != State::Held || left >= whole {
                return Ok(state);
            }
            report.replayed += 1;
            self.world.replay(accepted).await?;
            let watch = Watch::after(seen);
            self.world.settle(&watch).await?;
            *seen = watch.seen();
        }
    }
}
