//! Rings come in: a subscription per connector over a connection of their own, so that a broker that takes nothing still
//! gives. A message is acknowledged once the claim it caused is committed; never after a vendor call, never before.
//!
//! What is no ring of ours is put aside, and acknowledged once it lies there; if that cannot be had in time it is
//! rejected, and the broker itself keeps it among the dead letters. Nothing is dropped, and no body is logged.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::FieldTable;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::inbox::{Heard, Told};
use super::line::{Line, within};
use super::message::{Message, NotOurs};
use super::publish::Park;
use super::supervise::{self, Up, Work};
use super::trouble::Trouble;
use super::{RabbitMq, acks};
use crate::queue::Ring;
use crate::queue::figures::count;

pub(super) async fn run(queue: &RabbitMq, stop: &CancellationToken) {
    supervise::run(queue, "listening", &queue.figures.queue_consuming, &mut Consumer { queue }, stop).await;
}

struct Consumer<'a> {
    queue: &'a RabbitMq,
}

#[async_trait]
impl Work for Consumer<'_> {
    async fn over(&mut self, line: &Line, up: &Up<'_>, stop: &CancellationToken) -> Trouble {
        if let Err(trouble) = self.queue.mend(line).await {
            return trouble;
        }
        let places = 0..self.queue.topology.queues().count();
        let mut queues: FuturesUnordered<_> = places.map(|place| self.listen(line, place, up, stop)).collect();
        tokio::select! {
            trouble = line.lost() => trouble,
            Some(trouble) = queues.next() => {
                // Told to stop, each ends after its last acknowledgements.
                while stop.is_cancelled() && queues.next().await.is_some() {}
                trouble
            }
            else => Trouble::Lost { what: "listening", why: "there is no connector".to_owned() },
        }
    }

    fn lost(&mut self) {
        self.queue.inbox.forget_lost();
    }
}

impl Consumer<'_> {
    /// Listens to one queue, over a channel of its own: what goes wrong with one holds up none of the others.
    async fn listen(&self, line: &Line, place: usize, up: &Up<'_>, stop: &CancellationToken) -> Trouble {
        let (mut told, mut failed, mut after) = (None, 0, supervise::delays());
        loop {
            let worked = async {
                let mut session = Session::begin(self.queue, line, place).await?;
                up.is();
                (failed, after) = (0, supervise::delays());
                session.work(line, stop).await
            };
            let trouble = match worked.await {
                Ok(()) => return Trouble::Lost { what: "stopping", why: "told to".to_owned() },
                Err(trouble) => trouble,
            };
            failed += 1;
            // Each try leaves a channel behind that the broker may never close.
            if !line.is_up() || failed > TRIES {
                return trouble;
            }
            let (_, queue) = self.queue.named(place);
            supervise::tell(&trouble, &format!("listening to {queue}"), &mut told);
            let slow = trouble.is_definite() || matches!(trouble, Trouble::Silent { .. });
            let delay = if slow { None } else { after.next() }.unwrap_or(self.queue.options.definite);
            stop.run_until_cancelled(tokio::time::sleep(delay)).await;
            if let Err(trouble) = self.queue.mend(line).await {
                return trouble;
            }
        }
    }
}

/// How often one queue is tried over a line before all of it is opened again.
const TRIES: u32 = 10;

/// One queue's worth of listening, over one channel.
struct Session<'a> {
    queue: &'a RabbitMq,
    connector: String,
    name: String,
    channel: Channel,
    subscription: lapin::Consumer,
    /// Tags handed to us and not acknowledged.
    open: BTreeSet<u64>,
    tell: mpsc::UnboundedSender<Told>,
    told: mpsc::UnboundedReceiver<Told>,
    parking: FuturesUnordered<BoxFuture<'static, (u64, bool)>>,
}

impl<'a> Session<'a> {
    async fn begin(queue: &'a RabbitMq, line: &Line, place: usize) -> Result<Self, Trouble> {
        let (connector, name) = queue.named(place);
        let channel = line.channel().await?;
        within("limiting", channel.basic_qos(queue.options.prefetch, BasicQosOptions::default())).await?;
        let subscription = subscribe(queue, &channel, &name).await?;
        let (tell, told) = mpsc::unbounded_channel();
        let (open, parking) = (BTreeSet::new(), FuturesUnordered::new());
        Ok(Self { queue, connector, name, channel, subscription, open, tell, told, parking })
    }

    async fn work(&mut self, line: &Line, stop: &CancellationToken) -> Result<(), Trouble> {
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    while let Ok(told) = self.told.try_recv() {
                        self.settle(told).await?;
                    }
                    return Ok(());
                }
                Some(told) = self.told.recv() => {
                    let mut told = told;
                    // Those that were claimed together are acknowledged together.
                    while let Ok(more) = self.told.try_recv() {
                        if more.claimed == told.claimed {
                            told.tags.extend(more.tags);
                        } else {
                            self.settle(std::mem::replace(&mut told, more)).await?;
                        }
                    }
                    self.settle(told).await?;
                }
                Some((tag, parked)) = self.parking.next() => self.put_aside(tag, parked).await?,
                came = self.subscription.next() => match came {
                    Some(Ok(delivery)) => self.heard(delivery).await,
                    Some(Err(error)) => return Err(Trouble::lost("listening", &error)),
                    // The broker ended it: the queue was deleted, or its node went away.
                    None => {
                        tracing::warn!(queue = self.name, "the broker ended a subscription; subscribing again");
                        self.queue.mend(line).await?;
                        self.subscription = subscribe(self.queue, &self.channel, &self.name).await?;
                    }
                },
            }
        }
    }

    async fn heard(&mut self, delivery: Delivery) {
        let figures = &self.queue.figures;
        count(&figures.messages_consumed_total);
        if delivery.redelivered {
            count(&figures.redeliveries_total);
        }
        let tag = delivery.delivery_tag;
        if !self.queue.options.manners.consume().no_ack {
            self.open.insert(tag);
        }
        match read(self.queue, &self.connector, &delivery.data).await {
            Ok(ring) => self.queue.inbox.put(Heard { ring, tag, tell: self.tell.clone() }),
            Err(because) => self.park(tag, delivery, because),
        }
    }

    /// Begins to put a message aside. The other connection does it: what this one publishes could block it.
    fn park(&mut self, tag: u64, delivery: Delivery, because: NotOurs) {
        let queue = self.name.clone();
        let parked = self.queue.figures.messages_parked_total.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        // A flood of them must not become a flood of lines.
        if parked.is_power_of_two() {
            let bytes = delivery.data.len();
            tracing::warn!(queue, bytes, parked, %because, "a message that is no ring of ours was put aside");
        }
        let (done, answer) = oneshot::channel();
        let headers = delivery.properties.headers().clone().unwrap_or_default();
        // While nobody publishes, waiting for the answer ends at its deadline.
        self.queue.to_park.send(Park { body: delivery.data, headers, queue, because, done }).ok();
        let deadline = self.queue.options.deadline;
        self.parking
            .push(Box::pin(async move { (tag, matches!(tokio::time::timeout(deadline, answer).await, Ok(Ok(true)))) }));
    }

    async fn put_aside(&mut self, tag: u64, parked: bool) -> Result<(), Trouble> {
        if parked {
            return self.settle(Told { tags: vec![tag], claimed: true }).await;
        }
        if self.open.remove(&tag) {
            let options = BasicRejectOptions { requeue: false };
            within("rejecting", self.channel.basic_reject(tag, options)).await?;
        }
        Ok(())
    }

    async fn settle(&mut self, told: Told) -> Result<(), Trouble> {
        if !told.claimed {
            for tag in told.tags.into_iter().filter(|tag| self.open.remove(tag)) {
                let options = BasicNackOptions { multiple: false, requeue: true };
                within("giving back", self.channel.basic_nack(tag, options)).await?;
            }
            return Ok(());
        }
        for ack in acks::plan(&mut self.open, &told.tags) {
            let options = BasicAckOptions { multiple: ack.multiple };
            within("acknowledging", self.channel.basic_ack(ack.tag, options)).await?;
        }
        Ok(())
    }
}

async fn subscribe(queue: &RabbitMq, channel: &Channel, name: &str) -> Result<lapin::Consumer, Trouble> {
    let (tag, options) = (queue.options.owner.as_str().into(), queue.options.manners.consume());
    within("subscribing", channel.basic_consume(name.into(), tag, options, FieldTable::default())).await
}

async fn read(queue: &RabbitMq, connector: &str, body: &[u8]) -> Result<Ring, NotOurs> {
    let message = Message::decode(body)?;
    if message.connector != connector {
        return Err(NotOurs::OtherConnector);
    }
    match queue.connector(message.account).await {
        Ok(Some(at)) if *at != *connector => Err(NotOurs::OtherConnector),
        Ok(None) => Err(NotOurs::UnknownAccount),
        // Dispatch will see for itself.
        Ok(Some(_)) | Err(_) => Ok(Ring { account: message.account, trace: message.traceparent }),
    }
}
