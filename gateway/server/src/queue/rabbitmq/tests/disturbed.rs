//! A broker that is killed, wiped, frozen or starved while gateways ring and listen. These take turns with one node.

use std::sync::LazyLock;
use std::time::Instant;

use tokio::sync::{Mutex as TurnTaking, MutexGuard};

use super::*;

async fn node() -> MutexGuard<'static, Broker> {
    static NODE: LazyLock<TurnTaking<Broker>> =
        LazyLock::new(|| TurnTaking::new(Broker::start().expect("a private broker starts")));
    tokio::task::block_in_place(|| LazyLock::force(&NODE)).lock().await
}

async fn at_work(url: &str, options: Options) -> Rig {
    let rig = rig(url, options);
    rig.rings().listens();
    rig.ring(&accounts(1..=3));
    hear_all(&*rig.queue, &accounts(1..=3)).await;
    rig
}

/// What the design promises after a broker came back.
const BACK: Duration = Duration::from_secs(30);

async fn heard_within(rig: &Rig, accounts: &[AccountId], most: Duration) {
    let began = Instant::now();
    hear_all(&*rig.queue, accounts).await;
    let took = began.elapsed();
    eprintln!("heard {took:.1?} after the broker was back");
    assert!(took <= most, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_killed_and_started_again_keeps_what_it_confirmed() {
    let node = node().await;
    let rig = at_work(&node.url(), options()).await;
    // Confirmed and not heard: no claim was told.
    rig.ring(&accounts(4..=5));
    rig.until("both are confirmed", |figures| figures.rings_unconfirmed == 0).await;
    let rung = hear(&*rig.queue).await;
    blocking(|| node.kill());
    rig.until("it is noticed", |figures| !figures.queue_connected && !figures.queue_consuming).await;
    // Rings go on, and wait for the broker without making anybody wait.
    for _ in 0..1_000 {
        rig.ring(&accounts(6..=9));
    }
    assert_eq!(rig.figures().rings_unconfirmed, 4);
    blocking(|| node.restart());
    heard_within(&rig, &accounts(4..=9), BACK).await;
    rung.receipt.claimed();
    assert!(rig.figures().queue_reconnects_total >= 2);
    rig.until("all are confirmed", |figures| figures.rings_unconfirmed == 0).await;
    rig.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_broker_gets_its_queues_back_and_rings_go_on() {
    let node = node().await;
    let rig = at_work(&node.url(), options()).await;
    blocking(|| node.wipe());
    // As the schedule does for all that is due.
    rig.ring(&accounts(1..=3));
    heard_within(&rig, &accounts(1..=3), BACK).await;
    let notices = examine(&rig.address, &vendors(), &rig.options).await;
    assert!(notices.iter().all(|notice| notice.standing != Standing::Bad), "{notices:?}");
    rig.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_is_noticed_and_holds_nobody_up() {
    let node = node().await;
    let quick = Options { heartbeat: 1, deadline: Duration::from_secs(1), ..options() };
    let rig = at_work(&node.url(), quick).await;
    blocking(|| node.freeze());
    rig.ring(&accounts(4..=9));
    rig.until("it is noticed", |figures| !figures.queue_connected && !figures.queue_consuming).await;
    // A stop does not wait for it either.
    let other = rig.another();
    other.rings().listens();
    other.ends().await;
    blocking(|| node.thaw());
    heard_within(&rig, &accounts(4..=9), BACK).await;
    rig.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_short_of_memory_takes_nothing_and_still_gives() {
    let node = node().await;
    let rig = rig(&node.url(), Options { deadline: Duration::from_secs(1), ..options() });
    rig.ring(&accounts(1..=40));
    rig.rings().until("they are there", |figures| figures.rings_confirmed_total == 40).await;
    blocking(|| node.ctl(&["set_vm_memory_high_watermark", "0.000001"]));
    rig.ring(&accounts(41..=50));
    rig.until("it takes nothing", |figures| figures.queue_blocked).await;
    assert!(rig.figures().rings_unconfirmed >= 10);
    rig.listens();
    hear_all(&*rig.queue, &accounts(1..=40)).await;
    // Longer than a deadline and the line is kept: what is on its way there is not sent twice.
    assert_eq!(rig.figures().queue_reconnects_total, 0);
    blocking(|| node.ctl(&["set_vm_memory_high_watermark", "0.6"]));
    hear_all(&*rig.queue, &accounts(41..=50)).await;
    rig.until("all are confirmed", |figures| figures.rings_unconfirmed == 0 && !figures.queue_blocked).await;
    rig.ends().await;
}
