//! Brings a lost line back: a new connection, new channels, everything declared and subscribed again. The library's own
//! recovery stays off: a new line has new tags, so nothing of the old one can be mistaken for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::RabbitMq;
use super::line::Line;
use super::trouble::Trouble;
use crate::queue::figures::count;

/// A line that held so long was a good one: the next delay is the first again.
const GOOD: Duration = Duration::from_secs(10);
/// How long the last acknowledgements may take at a stop.
const STOPPING: Duration = Duration::from_secs(2);
/// How often the same trouble is told.
const TOLD: Duration = Duration::from_secs(300);

/// What is done over a line, until it is lost or the work is to stop.
#[async_trait]
pub(super) trait Work: Send {
    /// Sets up, says `up`, and works.
    async fn over(&mut self, line: &Line, up: &Up<'_>, stop: &CancellationToken) -> Trouble;
    /// The line is gone.
    fn lost(&mut self);
}

/// The sign that the line works.
pub(super) struct Up<'a>(&'a AtomicBool);

impl Up<'_> {
    pub(super) fn is(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// 0.2 to 2 s: the jitter adds up to as much again.
pub(super) fn delays() -> ExponentialBackoff {
    let (least, most) = (Duration::from_millis(200), Duration::from_secs(1));
    let delays = ExponentialBuilder::default().with_min_delay(least).with_max_delay(most);
    delays.without_max_times().with_jitter().build()
}

pub(super) async fn run(
    queue: &RabbitMq,
    purpose: &'static str,
    sign: &AtomicBool,
    work: &mut impl Work,
    stop: &CancellationToken,
) {
    let (mut after, mut told, mut lines) = (delays(), None::<(Trouble, Instant)>, 0_u64);
    while !stop.is_cancelled() {
        let began = Instant::now();
        let opened = stop.run_until_cancelled(Line::open(&queue.address, purpose, &queue.options)).await;
        let trouble = match opened {
            None => break,
            Some(Err(trouble)) => trouble,
            Some(Ok(line)) => {
                if lines > 0 {
                    count(&queue.figures.queue_reconnects_total);
                }
                lines += 1;
                let up = Up(sign);
                let trouble = tokio::select! {
                    trouble = work.over(&line, &up, stop) => trouble,
                    () = stopped(stop) => Trouble::Lost { what: "stopping", why: "it took too long".to_owned() },
                };
                let was_up = sign.swap(false, Ordering::Relaxed);
                work.lost();
                line.close().await;
                if was_up && began.elapsed() >= GOOD {
                    (after, told) = (delays(), None);
                }
                trouble
            }
        };
        if stop.is_cancelled() {
            break;
        }
        tell(&trouble, purpose, &mut told);
        let delay = if trouble.is_definite() { Some(queue.options.definite) } else { after.next() };
        stop.run_until_cancelled(tokio::time::sleep(delay.unwrap_or(queue.options.definite))).await;
    }
}

/// Told to stop, and it took too long.
async fn stopped(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STOPPING).await;
}

/// Once, and again only when it is another trouble or a long time after.
pub(super) fn tell(trouble: &Trouble, purpose: &str, told: &mut Option<(Trouble, Instant)>) {
    if told.as_ref().is_some_and(|(last, at)| last == trouble && at.elapsed() < TOLD) {
        return;
    }
    if trouble.is_definite() {
        tracing::error!(%trouble, purpose, "the queue cannot be used as it is; deliveries go on");
    } else {
        tracing::warn!(%trouble, purpose, "the queue is away; deliveries go on, found by looking at the store");
    }
    *told = Some((trouble.clone(), Instant::now()));
}
