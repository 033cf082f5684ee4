//! What has to stand at the broker, and how it is made, checked and mended.
//!
//! ```text
//! causeway.rings (direct) ── <connector> ──► causeway.<connector>.v1   a quorum queue per connector
//!                                               │ delivery limit, rejected
//! causeway.dead (fanout) ──────────────────► causeway.dead             dead letters, at least once
//!                                            causeway.parked           messages that are no ring of ours
//! ```
//!
//! Dead-lettering loses messages unless all of this holds: a quorum queue as its source, `at-least-once`, and
//! `reject-publish` with a length, persistent messages, and a durable target. None of these queues is the record of a
//! failure; that is the store. A setting that changes gets a new version in the queue's name.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use super::Options;
use super::line::{Line, within};
use super::trouble::Trouble;

/// The version of the queues' settings.
const VERSION: u32 = 1;
/// Dead letters and parked messages kept. Beyond it they stay where they came from.
const ASIDE: i32 = 100_000;

/// A [`Thing`]'s kind.
const EXCHANGE: &str = "exchange";
pub(super) const QUEUE: &str = "queue";

/// One thing at the broker.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Thing {
    pub(super) kind: &'static str,
    pub(super) name: String,
    make: Make,
}

#[derive(Debug, Clone, PartialEq)]
enum Make {
    Exchange(ExchangeKind),
    Queue { arguments: FieldTable, bound: Option<(String, String)> },
}

/// How many messages a queue holds, and how many listen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Depth {
    pub(super) messages: u32,
    pub(super) listeners: u32,
}

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    prefix: String,
    /// The connectors, each with its queue.
    queues: Vec<(String, String)>,
    max_length: i32,
    delivery_limit: i32,
}

impl Topology {
    /// For these connectors.
    pub fn new(options: &Options, connectors: &[String]) -> Self {
        let queue = |connector: &String| (connector.clone(), format!("{}.{connector}.v{VERSION}", options.prefix));
        Self {
            prefix: options.prefix.clone(),
            queues: connectors.iter().map(queue).collect(),
            max_length: options.max_length,
            delivery_limit: options.delivery_limit,
        }
    }

    /// Each connector with its queue.
    pub fn queues(&self) -> impl Iterator<Item = (&str, &str)> {
        self.queues.iter().map(|(connector, queue)| (connector.as_str(), queue.as_str()))
    }

    /// Where rings are published, by connector.
    pub fn rings(&self) -> String {
        format!("{}.rings", self.prefix)
    }

    /// Where dead letters end.
    pub fn dead(&self) -> String {
        format!("{}.dead", self.prefix)
    }

    /// Where messages end that are no ring of ours.
    pub fn parked(&self) -> String {
        format!("{}.parked", self.prefix)
    }

    /// All of it, each after what it needs.
    pub(super) fn things(&self) -> Vec<Thing> {
        let exchange = |name, kind| Thing { kind: EXCHANGE, name, make: Make::Exchange(kind) };
        let queue = |name, arguments, bound| Thing { kind: QUEUE, name, make: Make::Queue { arguments, bound } };
        let mut things = vec![
            exchange(self.dead(), ExchangeKind::Fanout),
            queue(self.dead(), quorum(ASIDE), Some((self.dead(), String::new()))),
            queue(self.parked(), quorum(ASIDE), None),
            exchange(self.rings(), ExchangeKind::Direct),
        ];
        things.extend(self.queues.iter().map(|(connector, name)| {
            let mut arguments = quorum(self.max_length);
            arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(self.delivery_limit));
            arguments.insert("x-dead-letter-exchange".into(), text(&self.dead()));
            arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
            queue(name.clone(), arguments, Some((self.rings(), connector.clone())))
        }));
        things
    }

    /// Makes what is missing and compares what is there, as somebody who may.
    pub(super) async fn declare(&self, line: &Line) -> Result<(), Trouble> {
        let channel = line.channel().await?;
        for thing in self.things() {
            thing.declare(&channel).await?;
            thing.bind(&channel).await?;
        }
        Ok(())
    }

    /// Changes nothing.
    ///
    /// The trouble that a person has to end comes before what is only missing.
    pub(super) async fn check(&self, line: &Line) -> Result<(), Trouble> {
        let mut missing = Ok(());
        for thing in self.things() {
            match thing.look(line).await {
                Ok(_) => {}
                Err(trouble @ Trouble::Missing { .. }) => missing = missing.and(Err(trouble)),
                Err(trouble) => return Err(trouble),
            }
        }
        missing
    }

    /// Makes what is missing, as somebody who may not be allowed to: what is there is only looked at. A connector's queue
    /// that has other settings is used as it is, and returned for somebody to be told.
    pub(super) async fn mend(&self, line: &Line) -> Result<Vec<Trouble>, Trouble> {
        let mut other = Vec::new();
        for thing in self.things() {
            match thing.look(line).await {
                Ok(_) => {}
                Err(Trouble::Missing { kind, name }) => {
                    thing.declare(&line.channel().await?).await?;
                    tracing::warn!(kind, name, "was not at the broker and was made");
                }
                Err(trouble @ Trouble::Other { kind: QUEUE, .. }) => other.push(trouble),
                Err(trouble) => return Err(trouble),
            }
            match thing.bind(&line.channel().await?).await {
                // It was bound by somebody who may, or its rings come back and say so.
                Ok(()) | Err(Trouble::Forbidden { .. }) => {}
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(other)
    }
}

impl Thing {
    /// Makes it, or compares it with what is there.
    async fn declare(&self, channel: &Channel) -> Result<(), Trouble> {
        self.asked(channel, false).await.map(|_| ())
    }

    async fn asked(&self, channel: &Channel, passive: bool) -> Result<Depth, Trouble> {
        let (name, of) = (self.name.as_str().into(), |error: &_| Trouble::declaring(self.kind, &self.name, error));
        let depth = within("declaring", async {
            Ok(match &self.make {
                Make::Exchange(kind) => {
                    let options = ExchangeDeclareOptions { passive, durable: true, ..Default::default() };
                    let declared = channel.exchange_declare(name, kind.clone(), options, FieldTable::default()).await;
                    declared.map(|()| Depth::default())
                }
                Make::Queue { arguments, .. } => {
                    let options = QueueDeclareOptions { passive, durable: true, ..Default::default() };
                    let declared = channel.queue_declare(name, options, arguments.clone()).await;
                    declared.map(|is| Depth { messages: is.message_count(), listeners: is.consumer_count() })
                }
            })
        });
        depth.await?.map_err(|error| of(&error))
    }

    async fn bind(&self, channel: &Channel) -> Result<(), Trouble> {
        let Make::Queue { bound: Some((exchange, key)), .. } = &self.make else { return Ok(()) };
        let (name, exchange, key) = (self.name.as_str().into(), exchange.as_str().into(), key.as_str().into());
        let bound = within("binding", async {
            Ok(channel.queue_bind(name, exchange, key, QueueBindOptions::default(), FieldTable::default()).await)
        });
        bound.await?.map_err(|error| Trouble::declaring(self.kind, &self.name, &error))
    }

    /// How it stands; makes nothing. A declaration makes what is missing, so it is looked for first.
    pub(super) async fn look(&self, line: &Line) -> Result<Depth, Trouble> {
        let depth = self.asked(&line.channel().await?, true).await?;
        match self.declare(&line.channel().await?).await {
            // Who may not declare cannot compare; it is there, and whoever made it could.
            Ok(()) | Err(Trouble::Forbidden { .. }) => Ok(depth),
            Err(trouble) => Err(trouble),
        }
    }
}

/// A quorum queue that says no when it is full, instead of dropping what it has.
fn quorum(max_length: i32) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(max_length));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}
