//! Rings go out: a window of them unconfirmed at a time, over a connection of their own.
//!
//! What the broker has not safely put into a queue goes again: given back, refused, unanswered or cut off. A queue that
//! does not answer holds up none of the others. A broker that is short of memory takes nothing for a while; rings wait in
//! `pending`, one per account, and whoever rings never does.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use causeway_core::ids::AccountId;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::RabbitMq;
use super::line::{Line, within};
use super::message::{Message, NotOurs, TYPE, VERSION};
use super::pending::Waiting;
use super::supervise::{self, Up, Work};
use super::trouble::Trouble;
use crate::queue::figures::count;

/// Survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// A message to be put aside.
pub(super) struct Park {
    pub(super) body: Vec<u8>,
    pub(super) headers: FieldTable,
    pub(super) queue: String,
    pub(super) because: NotOurs,
    /// Told whether it lies safely where it was put.
    pub(super) done: oneshot::Sender<bool>,
}

/// What a confirm is for.
enum Sent {
    Ring(AccountId),
    Park(oneshot::Sender<bool>),
}

type Published = (u64, Sent, PublisherConfirm);
type Answer = (u64, lapin::Result<Confirmation>);

/// How often it is looked whether an answer is overdue.
const TICK: Duration = Duration::from_millis(200);

pub(super) async fn run(queue: &RabbitMq, stop: &CancellationToken) {
    let parks = queue.parks.lock().await;
    let mut work = Publisher { queue, parks };
    supervise::run(queue, "ringing", &queue.figures.queue_connected, &mut work, stop).await;
}

struct Publisher<'a> {
    queue: &'a RabbitMq,
    parks: tokio::sync::MutexGuard<'a, mpsc::UnboundedReceiver<Park>>,
}

#[async_trait]
impl Work for Publisher<'_> {
    async fn over(&mut self, line: &Line, up: &Up<'_>, stop: &CancellationToken) -> Trouble {
        let worked = async {
            self.queue.mend(line).await?;
            let channel = line.channel().await?;
            if self.queue.options.manners.confirms() {
                within("asking for confirms", channel.confirm_select(ConfirmSelectOptions::default())).await?;
            }
            up.is();
            let mut session = Session::new(self.queue, channel);
            session.work(&mut self.parks, line, stop).await
        };
        match worked.await {
            Ok(()) => Trouble::Lost { what: "stopping", why: "told to".to_owned() },
            Err(trouble) => trouble,
        }
    }

    fn lost(&mut self) {
        self.queue.pending.all_failed();
        self.queue.figures.queue_blocked.store(false, Ordering::Relaxed);
        self.queue.count_pending();
    }
}

/// One line's worth of publishing.
struct Session<'a> {
    queue: &'a RabbitMq,
    channel: Channel,
    /// Numbers what is published, so that what is given back can be told apart.
    next: u64,
    /// On their way into the library; they stay there while the broker takes nothing.
    publishing: Option<BoxFuture<'a, lapin::Result<Vec<Published>>>>,
    /// Published and unanswered, by number.
    open: BTreeMap<u64, (Sent, Instant)>,
    answers: FuturesUnordered<BoxFuture<'static, Answer>>,
    answered: Instant,
    aside: VecDeque<Park>,
    /// Something was given back: what was there when the line was opened is not any more.
    astray: bool,
}

impl<'a> Session<'a> {
    fn new(queue: &'a RabbitMq, channel: Channel) -> Self {
        let (open, answers, aside) = (BTreeMap::new(), FuturesUnordered::new(), VecDeque::new());
        let answered = Instant::now();
        Self { queue, channel, next: 0, publishing: None, open, answers, answered, aside, astray: false }
    }

    async fn work(
        &mut self,
        parks: &mut mpsc::UnboundedReceiver<Park>,
        line: &Line,
        stop: &CancellationToken,
    ) -> Result<(), Trouble> {
        let mut lost = Box::pin(line.lost());
        let mut tick = tokio::time::interval(TICK);
        loop {
            if std::mem::take(&mut self.astray) {
                self.queue.mend(line).await?;
            }
            while let Ok(park) = parks.try_recv() {
                self.aside.push_back(park);
            }
            let soonest = self.fill().unwrap_or_else(|| Instant::now() + self.queue.options.deadline);
            self.queue.count_pending();
            let idle = self.publishing.is_none() && self.open.len() < self.queue.options.window;
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                trouble = &mut lost => return Err(trouble),
                published = into_the_library(&mut self.publishing) => self.published(published?),
                Some((id, answer)) = self.answers.next() => {
                    self.settle(id, answer)?;
                    while let Some(Some((id, answer))) = self.answers.next().now_or_never() {
                        self.settle(id, answer)?;
                    }
                }
                _ = tick.tick() => self.overdue(line)?,
                () = self.queue.pending.rang(), if idle => {}
                Some(park) = parks.recv(), if idle => self.aside.push_back(park),
                () = tokio::time::sleep_until(soonest), if idle => {}
            }
        }
    }

    /// Begins to publish as much as there is room for. Says when the next ring may go if it has to wait.
    fn fill(&mut self) -> Option<Instant> {
        let room = self.queue.options.window.saturating_sub(self.open.len());
        if self.publishing.is_some() || room == 0 {
            return None;
        }
        let (rings, soonest) = self.queue.pending.take(room);
        let parks: Vec<Park> = self.aside.drain(..self.aside.len().min(room)).collect();
        if !rings.is_empty() || !parks.is_empty() {
            let first = self.next;
            self.next += u64::try_from(rings.len() + parks.len()).unwrap_or_default();
            self.publishing = Some(Box::pin(publish(self.queue, self.channel.clone(), first, rings, parks)));
        }
        soonest
    }

    fn published(&mut self, published: Vec<Published>) {
        let now = Instant::now();
        if self.open.is_empty() {
            self.answered = now;
        }
        for (id, sent, confirm) in published {
            self.open.insert(id, (sent, now));
            self.answers.push(Box::pin(async move { (id, confirm.await) }));
        }
    }

    fn settle(&mut self, id: u64, answer: lapin::Result<Confirmation>) -> Result<(), Trouble> {
        let answer = answer.map_err(|error| Trouble::lost("publishing", &error))?;
        self.answered = Instant::now();
        let queued = self.queue.options.manners.queued(&answer);
        // An acknowledgement may cover several messages, and the library hands what was given back to any of them: what
        // failed is known by the number that it carries, not by the answer that brought it.
        let (refused, returned) = match answer {
            _ if queued => (false, None),
            Confirmation::Ack(Some(message)) => (false, Some(message)),
            Confirmation::Nack(message) => {
                count(&self.queue.figures.rings_nacked_total);
                (true, message)
            }
            Confirmation::Ack(None) | Confirmation::NotRequested => (true, None),
        };
        if let Some(message) = returned {
            count(&self.queue.figures.rings_returned_total);
            self.astray = true;
            let number = number(&message.properties).unwrap_or(id);
            if !self.close(number, false)
                && let Ok(ring) = Message::decode(&message.data)
            {
                // Its own answer was a clean one and came first.
                self.queue.pending.ring(ring.account, ring.traceparent, ring.rung_at);
            }
        }
        self.close(id, !refused);
        Ok(())
    }

    /// Whoever sent it learns whether it arrived. Says whether it was still open.
    fn close(&mut self, id: u64, arrived: bool) -> bool {
        match self.open.remove(&id) {
            None => return false,
            Some((Sent::Ring(account), _)) if arrived => {
                count(&self.queue.figures.rings_confirmed_total);
                self.queue.pending.done(account);
            }
            Some((Sent::Ring(account), _)) => self.queue.pending.failed(account),
            // Nobody waits any more when the line that it came by is gone.
            Some((Sent::Park(done), _)) => done.send(arrived).unwrap_or_default(),
        }
        true
    }

    /// What got no answer in time goes again. A broker that answers nothing at all has its line cut.
    fn overdue(&mut self, line: &Line) -> Result<(), Trouble> {
        let deadline = self.queue.options.deadline;
        // Heartbeats go on while the broker takes nothing, so a line that is dead is noticed all the same.
        let blocked = line.is_blocked();
        if self.queue.figures.queue_blocked.swap(blocked, Ordering::Relaxed) != blocked {
            if blocked {
                tracing::warn!("RabbitMQ is short of memory or disk and takes no rings for now; they wait");
            } else {
                tracing::info!("RabbitMQ takes rings again");
            }
            let now = Instant::now();
            self.open.values_mut().for_each(|(_, at)| *at = now);
            self.answered = now;
        }
        if blocked {
            return Ok(());
        }
        let late: Vec<u64> =
            self.open.iter().filter(|(_, (_, at))| at.elapsed() > deadline).map(|(id, _)| *id).collect();
        if !late.is_empty() && self.answered.elapsed() > deadline {
            return Err(Trouble::Silent { what: "confirming rings", within: deadline });
        }
        for id in late {
            self.close(id, false);
        }
        Ok(())
    }
}

/// What was being published, once it is; never while nothing is.
async fn into_the_library(
    publishing: &mut Option<BoxFuture<'_, lapin::Result<Vec<Published>>>>,
) -> Result<Vec<Published>, Trouble> {
    let Some(under_way) = publishing else { return std::future::pending().await };
    let published = under_way.await;
    *publishing = None;
    published.map_err(|error| Trouble::lost("publishing", &error))
}

async fn publish(
    queue: &RabbitMq,
    channel: Channel,
    first: u64,
    rings: Vec<(AccountId, Waiting)>,
    parks: Vec<Park>,
) -> lapin::Result<Vec<Published>> {
    let (mut id, mut published) = (first, Vec::with_capacity(rings.len() + parks.len()));
    let (exchange, options) = (queue.topology.rings(), queue.options.manners.publish());
    for (account, ring) in rings {
        let connector = match queue.connector(account).await {
            Ok(Some(connector)) => connector,
            Ok(None) => {
                queue.pending.done(account);
                continue;
            }
            Err(_unavailable) => {
                queue.pending.failed(account);
                continue;
            }
        };
        let Some((body, properties)) = written(account, &connector, ring, id) else {
            queue.pending.done(account);
            continue;
        };
        let key = (*connector).into();
        let confirm = channel.basic_publish(exchange.as_str().into(), key, options, &body, properties).await?;
        count(&queue.figures.rings_published_total);
        published.push((id, Sent::Ring(account), confirm));
        id += 1;
    }
    // What is put aside goes safely whatever the manners.
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    // Who asked for it may have given up.
    for park in parks.into_iter().filter(|park| !park.done.is_closed()) {
        let (key, properties) = (queue.topology.parked(), aside(&park, id));
        let confirm = channel.basic_publish("".into(), key.as_str().into(), options, &park.body, properties).await?;
        published.push((id, Sent::Park(park.done), confirm));
        id += 1;
    }
    Ok(published)
}

impl RabbitMq {
    pub(super) fn count_pending(&self) {
        let count = u64::try_from(self.pending.len()).unwrap_or(u64::MAX);
        self.figures.rings_unconfirmed.store(count, Ordering::Relaxed);
    }
}

fn properties(number: u64) -> BasicProperties {
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_app_id("causeway".into())
        .with_message_id(number.to_string().as_str().into())
}

fn number(properties: &BasicProperties) -> Option<u64> {
    properties.message_id().as_ref()?.as_str().parse().ok()
}

fn written(account: AccountId, connector: &str, ring: Waiting, number: u64) -> Option<(Vec<u8>, BasicProperties)> {
    let mut properties = properties(number).with_type(TYPE.into()).with_content_type("application/json".into());
    if let Some(trace) = &ring.trace {
        let header = BTreeMap::from([("traceparent".into(), AMQPValue::LongString(trace.as_str().into()))]);
        properties = properties.with_headers(header.into());
    }
    let (connector, traceparent) = (connector.to_owned(), ring.trace);
    let message = Message { v: VERSION, account, connector, rung_at: ring.rung_at, traceparent };
    message.encode().ok().map(|body| (body, properties))
}

fn aside(park: &Park, number: u64) -> BasicProperties {
    let mut headers = park.headers.clone();
    headers.insert("x-causeway-parked-because".into(), AMQPValue::LongString(park.because.word().into()));
    headers.insert("x-causeway-parked-from".into(), AMQPValue::LongString(park.queue.as_str().into()));
    properties(number).with_headers(headers)
}
