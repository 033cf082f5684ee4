//! The queue over a real broker, private to this test run. Tests that leave the node alone share one, each under names of
//! its own; those that kill, wipe, freeze or starve it take turns with another.

mod disturbed;
mod incoming;
mod outgoing;
mod standing;
mod tls;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use causeway_core::clock::Clock;
use causeway_servers::RabbitMq as Broker;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel};
use tokio_util::task::TaskTracker;

use super::*;
use crate::clock::SystemClock;
use crate::queue::Bell;
use crate::queue::figures::Snapshot;
use crate::queue::suite::{self, LONG, account, hear, hear_all};

/// Accounts 1 to 99 are at one vendor, 100 to 199 at another.
const VENDORS: [&str; 2] = ["alpha", "beta"];

struct Known(BTreeMap<AccountId, &'static str>);

#[async_trait]
impl Accounts for Known {
    async fn connector(&self, account: AccountId) -> Result<Option<String>, Unavailable> {
        Ok(self.0.get(&account).map(|connector| (*connector).to_owned()))
    }
}

fn known() -> Arc<dyn Accounts> {
    let at = |number: u64| if number < 100 { VENDORS[0] } else { VENDORS[1] };
    Arc::new(Known((1..200).map(|number| (account(number), at(number))).collect()))
}

fn accounts(numbers: std::ops::RangeInclusive<u64>) -> Vec<AccountId> {
    numbers.map(account).collect()
}

/// Names that no other test uses.
fn options() -> Options {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let prefix = format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Options { owner: prefix.clone(), prefix, ..Options::default() }
}

/// Calls on a server block.
fn blocking<T>(call: impl FnOnce() -> anyhow::Result<T>) -> T {
    tokio::task::block_in_place(call).expect("the server does as told")
}

fn shared_url() -> String {
    blocking(|| Ok(Broker::shared()?.url()))
}

struct Rig {
    address: Address,
    options: Options,
    queue: Arc<RabbitMq>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn vendors() -> Vec<String> {
    VENDORS.map(ToOwned::to_owned).to_vec()
}

/// A queue of which nothing runs yet.
fn rig(url: &str, options: Options) -> Rig {
    rig_at(Address::parse(url).unwrap(), options)
}

fn rig_at(address: Address, options: Options) -> Rig {
    let parts = RabbitParts {
        address: address.clone(),
        connectors: vendors(),
        accounts: known(),
        clock: Arc::new(SystemClock) as Arc<dyn Clock>,
        options: options.clone(),
    };
    let (queue, stop, tasks) = (RabbitMq::new(parts), CancellationToken::new(), TaskTracker::new());
    Rig { address, options, queue, stop, tasks }
}

impl Rig {
    fn rings(&self) -> &Self {
        self.tasks.spawn(Arc::clone(&self.queue).run_bell(self.stop.clone()));
        self
    }

    fn listens(&self) -> &Self {
        self.tasks.spawn(Arc::clone(&self.queue).run_listener(self.stop.clone()));
        self
    }

    /// Another process with the same names, of which nothing runs yet.
    fn another(&self) -> Self {
        let parts = RabbitParts {
            address: self.address.clone(),
            connectors: vendors(),
            accounts: known(),
            clock: Arc::new(SystemClock),
            options: self.options.clone(),
        };
        Self {
            address: self.address.clone(),
            options: self.options.clone(),
            queue: RabbitMq::new(parts),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    async fn ends(&self) {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(LONG, self.tasks.wait()).await.expect("it stops");
    }

    fn ring(&self, accounts: &[AccountId]) {
        accounts.iter().for_each(|account| self.queue.ring(*account));
    }

    fn figures(&self) -> Snapshot {
        self.queue.figures.snapshot()
    }

    async fn until(&self, what: &str, is: impl Fn(&Snapshot) -> bool) {
        until(what, async || is(&self.figures())).await;
    }

    fn topology(&self) -> Topology {
        Topology::new(&self.options, &vendors())
    }

    /// The queue of this vendor.
    fn named(&self, vendor: usize) -> String {
        self.topology().queues().nth(vendor).unwrap().1.to_owned()
    }

    async fn line(&self) -> Line {
        Line::open(&self.address, "test", &self.options).await.unwrap()
    }

    async fn declares(&self) {
        declare(&self.address, &vendors(), &self.options).await.unwrap();
    }

    /// Messages that wait in a queue.
    async fn depth(&self, queue: &str) -> u32 {
        let line = self.line().await;
        let options = QueueDeclareOptions::durable().passive();
        let channel = line.channel().await.unwrap();
        let depth = channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap().message_count();
        line.close().await;
        depth
    }

    async fn until_depth(&self, queue: &str, depth: u32) {
        until(&format!("{queue} holds {depth}"), async || self.depth(queue).await == depth).await;
    }
}

async fn until(what: &str, is: impl AsyncFn() -> bool) {
    let waited = tokio::time::timeout(LONG, async {
        while !is().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

async fn put(channel: &Channel, queue: &str, body: &[u8]) {
    let options = BasicPublishOptions::default();
    channel.basic_publish("".into(), queue.into(), options, body, BasicProperties::default()).await.unwrap();
}

/// Takes everything out of a queue: each message's properties and body.
async fn empty(channel: &Channel, queue: &str) -> Vec<(BasicProperties, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some(got) = channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap() {
        got.ack(BasicAckOptions::default()).await.unwrap();
        found.push((got.delivery.properties, got.delivery.data));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_meets_the_contract() {
    let (url, rigs) = (shared_url(), Mutex::new(Vec::new()));
    let open = || async {
        let rig = rig(&url, options());
        rig.rings().listens();
        let parts = (Arc::clone(&rig.queue) as Arc<dyn Bell>, Arc::clone(&rig.queue) as Arc<dyn Listener>);
        rigs.lock().unwrap().push(rig);
        parts
    };
    suite::all(&[account(1), account(2)], open).await;
}
