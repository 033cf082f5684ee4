//! Rings that go out: what counts as delivered to the broker, and what goes again.

use lapin::Confirmation;

use super::*;
use crate::queue::Traceparent;
use crate::queue::rabbitmq::message::{Message, TYPE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_queue_takes_is_no_success_and_goes_again() {
    let rig = rig(&shared_url(), options());
    rig.rings().until("it rings", |figures| figures.queue_connected).await;
    let line = rig.line().await;
    let channel = line.channel().await.unwrap();
    let (name, rings) = (rig.named(1), rig.topology().rings());
    let key = VENDORS[1].into();
    channel.queue_unbind(name.as_str().into(), rings.as_str().into(), key, FieldTable::default()).await.unwrap();
    // In one window with many that are taken: what is given back is told apart by what it carries.
    let all = [accounts(1..=60), accounts(100..=101)].concat();
    rig.ring(&all);
    rig.until("all are confirmed", |figures| figures.rings_unconfirmed == 0).await;
    let figures = rig.figures();
    assert!(figures.rings_returned_total >= 2, "{figures:?}");
    assert_eq!(figures.rings_confirmed_total, 62);
    assert!(figures.rings_published_total >= 64, "those that came back were published again: {figures:?}");
    rig.listens();
    hear_all(&*rig.queue, &all).await;
    rig.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_full_queue_refuses_goes_again() {
    let rig = rig(&shared_url(), Options { max_length: 3, ..options() });
    let all = accounts(1..=60);
    rig.ring(&all);
    rig.rings().until("the queue is full", |figures| figures.rings_nacked_total > 0).await;
    assert!(rig.figures().rings_unconfirmed > 0);
    rig.listens();
    hear_all(&*rig.queue, &all).await;
    rig.until("all are confirmed", |figures| figures.rings_unconfirmed == 0).await;
    rig.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_on_the_wire_holds_ids_and_its_trace() {
    let rig = rig(&shared_url(), options());
    let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for _ in 0..100 {
        rig.queue.ring_within(account(1), Some(Traceparent::try_from(text.to_owned()).unwrap()));
    }
    rig.rings().until("it is confirmed", |figures| figures.rings_confirmed_total > 0).await;
    let line = rig.line().await;
    let found = empty(&line.channel().await.unwrap(), &rig.named(0)).await;
    let [(properties, body)] = found.as_slice() else { panic!("an account rings once: {}", found.len()) };
    let message = Message::decode(body).unwrap();
    assert_eq!((message.account, message.connector.as_str()), (account(1), VENDORS[0]));
    assert_eq!(message.traceparent.as_ref().map(Traceparent::as_str), Some(text));
    assert_eq!(*properties.delivery_mode(), Some(2), "it outlives the broker");
    assert_eq!(properties.kind().as_ref().map(lapin::types::ShortString::as_str), Some(TYPE));
    assert!(format!("{:?}", properties.headers()).contains("traceparent"));
    rig.ends().await;
}

/// Believes every answer, as a gateway would that does not know what an ack says.
struct Gullible;

impl Manners for Gullible {
    fn queued(&self, _: &Confirmation) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_manners_can_be_composed_from_outside_and_lose_rings() {
    let rig = rig(&shared_url(), Options { max_length: 3, manners: Arc::new(Gullible), ..options() });
    rig.ring(&accounts(1..=60));
    rig.rings().until("all are believed", |figures| figures.rings_confirmed_total == 60).await;
    assert_eq!(rig.figures().rings_nacked_total, 0, "it took no notice");
    assert!(rig.depth(&rig.named(0)).await < 60, "and rings are lost");
    rig.ends().await;
}
