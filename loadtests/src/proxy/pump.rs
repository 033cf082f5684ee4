//! One direction of one connection: reads, holds back what the rule in force holds back, writes.
//!
//! It looks at the rule before each piece and whenever the rule changes, so that a rule concerns open and idle
//! connections as well. Bytes leave in the order in which they came, or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use super::rules::{Ending, Flow, Rule, Rules};
use crate::documents::mix;

const BUFFER: usize = 32 * 1024;
const RETRANSMISSION: Duration = Duration::from_millis(200);

/// Which of the two directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

/// How a connection ends before both sides said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    Reset,
    Close,
}

/// Chance, from a seed.
pub(super) struct Dice {
    pub(super) seed: u64,
    thrown: u64,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, thrown: 0 }
    }

    /// From 0 up to 1.
    fn throw(&mut self) -> f64 {
        self.thrown += 1;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let value = (mix(self.seed, self.thrown) >> 11) as f64 / (1_u64 << 53) as f64;
        value
    }
}

pub(super) struct Pump {
    direction: Direction,
    rules: watch::Receiver<Rules>,
    rule: Rule,
    dice: Dice,
    /// Since the rule came into force.
    passed: u64,
    swallowed: bool,
    /// See `Proxy::touched`.
    touched: Arc<AtomicU64>,
}

impl Pump {
    pub(super) fn new(
        direction: Direction,
        mut rules: watch::Receiver<Rules>,
        dice: Dice,
        touched: Arc<AtomicU64>,
    ) -> Self {
        let rule = of(&rules.borrow_and_update(), direction);
        Self { direction, rules, rule, dice, passed: 0, swallowed: false, touched }
    }

    fn touch(&self) {
        self.touched.fetch_add(1, Ordering::Relaxed);
    }

    /// Until the sender's end was passed on, or the connection is to end.
    pub(super) async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Result<(), Finish> {
        let mut buffer = vec![0; BUFFER];
        loop {
            self.wait_while_stalled(&from).await?;
            if let Some(end) = self.rule.end
                && self.passed >= end.after
            {
                self.touch();
                return finish(end.how, &mut to).await;
            }
            let most = self.most().min(buffer.len());
            let piece = buffer.get_mut(..most).unwrap_or_default();
            let read = tokio::select! {
                biased;
                changed = self.rules.changed() => {
                    changed.map_err(|_| Finish::Reset)?;
                    self.reload();
                    continue;
                }
                read = from.read(piece) => read.map_err(|_| Finish::Reset)?,
            };
            if self.rule.flow == Flow::Swallow {
                self.swallowed |= read > 0;
                self.touch();
                if read == 0 {
                    return std::future::pending().await;
                }
                continue;
            }
            if read == 0 {
                // Whoever cannot be told is gone, and the other direction will notice.
                drop(to.shutdown().await);
                return Ok(());
            }
            self.hold(read, &from).await?;
            to.write_all(buffer.get(..read).unwrap_or_default()).await.map_err(|_| Finish::Reset)?;
            self.passed += read as u64;
        }
    }

    /// How much may be read at once.
    fn most(&self) -> usize {
        let of_time = self.rule.bytes_per_s.map_or(BUFFER, |rate| usize::try_from(rate / 20).unwrap_or(BUFFER).max(1));
        let to_end = self.rule.end.map_or(BUFFER, |end| usize::try_from(end.after - self.passed).unwrap_or(BUFFER));
        self.rule.piece.unwrap_or(BUFFER).max(1).min(of_time).min(to_end)
    }

    fn reload(&mut self) {
        self.rule = of(&self.rules.borrow_and_update(), self.direction);
        self.passed = 0;
    }

    async fn wait_while_stalled(&mut self, from: &ReadHalf<'_>) -> Result<(), Finish> {
        let mut waits = false;
        loop {
            if self.swallowed && self.rule.flow != Flow::Swallow {
                return Err(Finish::Reset);
            }
            if self.rule.flow != Flow::Stall {
                return Ok(());
            }
            tokio::select! {
                biased;
                changed = self.rules.changed() => {
                    changed.map_err(|_| Finish::Reset)?;
                    self.reload();
                }
                // Somebody is kept waiting now. What it has to say is read once the rule is lifted.
                _ = from.readable(), if !waits => {
                    waits = true;
                    self.touch();
                }
            }
        }
    }

    /// Holds what was read for as long as the rule says; a change of the rule lets it go on, unless it stalls now.
    async fn hold(&mut self, read: usize, from: &ReadHalf<'_>) -> Result<(), Finish> {
        let wait = self.wait(read);
        if !wait.is_zero() || self.rule.piece.is_some() {
            self.touch();
        }
        if !wait.is_zero() {
            tokio::select! {
                () = sleep(wait) => {}
                changed = self.rules.changed() => {
                    changed.map_err(|_| Finish::Reset)?;
                    self.reload();
                }
            }
        }
        self.wait_while_stalled(from).await
    }

    fn wait(&mut self, read: usize) -> Duration {
        let mut wait = self.rule.delay;
        if !self.rule.jitter.is_zero() {
            wait += self.rule.jitter.mul_f64(self.dice.throw());
        }
        if let Some(rate) = self.rule.bytes_per_s {
            wait += Duration::from_secs(read as u64) / u32::try_from(rate.max(1)).unwrap_or(u32::MAX);
        }
        let mut retransmission = RETRANSMISSION;
        while self.rule.loss > 0.0 && self.dice.throw() < self.rule.loss.min(0.9) {
            wait += retransmission;
            retransmission *= 2;
        }
        wait
    }
}

fn of(rules: &Rules, direction: Direction) -> Rule {
    match direction {
        Direction::Up => rules.up.clone(),
        Direction::Down => rules.down.clone(),
    }
}

async fn finish(how: Ending, to: &mut WriteHalf<'_>) -> Result<(), Finish> {
    match how {
        Ending::Reset => Err(Finish::Reset),
        Ending::Close => Err(Finish::Close),
        Ending::HalfClose => {
            drop(to.shutdown().await);
            Ok(())
        }
    }
}
