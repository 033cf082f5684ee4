//! Messages that come in: acknowledged after the claim, put aside when they are not ours, and where a queue goes away.

use lapin::options::QueueDeleteOptions;
use lapin::types::AMQPValue;

use super::*;
use crate::queue::rabbitmq::message::Message;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_acknowledged_after_the_claim_and_not_before() {
    let one = rig(&shared_url(), options());
    one.rings().listens();
    one.ring(&accounts(1..=2));
    let mut receipts = Vec::new();
    let mut heard = 0;
    while heard < 2 {
        let rung = hear(&*one.queue).await;
        heard += rung.rings.len();
        receipts.push(rung.receipt);
    }
    assert_eq!(one.depth(&one.named(0)).await, 0, "both are handed out");
    // It ends between delivery and claim: another hears both.
    one.ends().await;
    let two = one.another();
    two.listens();
    hear_all(&*two.queue, &accounts(1..=2)).await;
    assert_eq!(two.figures().redeliveries_total, 2);
    // What was told too late, of a line that is gone, acknowledges nothing and breaks nothing.
    receipts.into_iter().for_each(crate::queue::Receipt::claimed);
    // It ends after the claim: nobody hears them again.
    two.ends().await;
    one.until_depth(&one.named(0), 0).await;
    let three = one.another();
    three.listens().until("it listens", |figures| figures.queue_consuming).await;
    three.rings();
    three.ring(&[account(3)]);
    hear_all(&*three.queue, &[account(3)]).await;
    assert_eq!((three.figures().messages_consumed_total, three.figures().redeliveries_total), (1, 0));
    three.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_holds_no_more_than_its_prefetch() {
    let rig = rig(&shared_url(), options());
    rig.ring(&accounts(1..=90));
    rig.rings().until("all are confirmed", |figures| figures.rings_confirmed_total == 90).await;
    rig.listens().until_depth(&rig.named(0), 90 - 32).await;
    let rung = hear(&*rig.queue).await;
    assert!(rung.rings.len() <= 32);
    rung.receipt.claimed();
    hear_all(&*rig.queue, &accounts(33..=90)).await;
    rig.until_depth(&rig.named(0), 0).await;
    rig.ends().await;
}

fn message(number: u64, vendor: usize) -> String {
    let rung_at = "2026-11-22T12:00:00Z".parse().unwrap();
    let (connector, account) = (VENDORS[vendor].to_owned(), account(number));
    let message = Message { v: 1, account, connector, rung_at, traceparent: None };
    String::from_utf8(message.encode().unwrap()).unwrap()
}

/// What is no ring of ours, and why.
fn not_ours() -> [(String, &'static str); 7] {
    [
        ("an order for 12 chairs, ada@example.org".to_owned(), "foreign"),
        (String::new(), "foreign"),
        (message(1, 0).replace("\"v\":1", "\"v\":2"), "newer"),
        (format!("{}{}", message(1, 0), " ".repeat(1_000)), "too_long"),
        (message(999, 0), "unknown_account"),
        (message(150, 1), "other_connector"),
        (message(150, 0), "other_connector"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_ring_of_ours_is_put_aside_and_not_dropped() {
    let rig = rig(&shared_url(), options());
    rig.declares().await;
    let line = rig.line().await;
    let channel = line.channel().await.unwrap();
    for (body, _) in not_ours() {
        put(&channel, &rig.named(0), body.as_bytes()).await;
    }
    put(&channel, &rig.named(0), message(2, 0).as_bytes()).await;
    rig.rings().listens();
    hear_all(&*rig.queue, &[account(2)]).await;
    rig.until_depth(&rig.topology().parked(), 7).await;
    let mut found: Vec<(String, String)> = Vec::new();
    for (properties, body) in empty(&channel, &rig.topology().parked()).await {
        let headers = properties.headers().clone().unwrap_or_default();
        let Some(AMQPValue::LongString(because)) = headers.inner().get("x-causeway-parked-because") else {
            panic!("{headers:?}");
        };
        found.push((String::from_utf8(body).unwrap(), String::from_utf8_lossy(because.as_bytes()).into_owned()));
    }
    for (body, because) in not_ours() {
        let place = found.iter().position(|(parked, why)| *parked == body && why == because);
        found.remove(place.unwrap_or_else(|| panic!("{because}: {body} is among {found:?}")));
    }
    assert_eq!(rig.figures().messages_parked_total, 7);
    rig.ends().await;
    assert_eq!(rig.depth(&rig.named(0)).await, 0, "and they were acknowledged");
    assert_eq!(rig.depth(&rig.topology().dead()).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_put_aside_in_time_is_left_to_the_broker() {
    let rig = rig(&shared_url(), Options { deadline: Duration::from_millis(200), ..options() });
    rig.declares().await;
    let line = rig.line().await;
    put(&line.channel().await.unwrap(), &rig.named(0), b"an order for 12 chairs").await;
    // Nobody publishes.
    rig.listens().until_depth(&rig.topology().dead(), 1).await;
    let dead = empty(&line.channel().await.unwrap(), &rig.topology().dead()).await;
    assert_eq!(dead[0].1, b"an order for 12 chairs");
    rig.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_deleted_is_made_again_and_listened_to() {
    let rig = rig(&shared_url(), options());
    rig.rings().listens();
    rig.ring(&[account(1), account(100)]);
    hear_all(&*rig.queue, &[account(1), account(100)]).await;
    let line = rig.line().await;
    let channel = line.channel().await.unwrap();
    for _ in 0..2 {
        channel.queue_delete(rig.named(0).as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        until("it is there again", async || {
            let options = QueueDeclareOptions::durable().passive();
            let channel = line.channel().await.unwrap();
            let asked = channel.queue_declare(rig.named(0).as_str().into(), options, FieldTable::default()).await;
            asked.is_ok_and(|queue| queue.consumer_count() == 1)
        })
        .await;
        rig.ring(&[account(1), account(100)]);
        hear_all(&*rig.queue, &[account(1), account(100)]).await;
    }
    assert_eq!(rig.figures().queue_reconnects_total, 0, "the line was kept");
    rig.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_that_is_deleted_is_made_again() {
    let rig = rig(&shared_url(), options());
    rig.rings().listens().until("it rings", |figures| figures.queue_connected).await;
    let line = rig.line().await;
    let options = lapin::options::ExchangeDeleteOptions::default();
    line.channel().await.unwrap().exchange_delete(rig.topology().rings().as_str().into(), options).await.unwrap();
    rig.ring(&[account(1)]);
    hear_all(&*rig.queue, &[account(1)]).await;
    rig.ends().await;
}
