//! Faults of the broker behind scaled-out gateways.
//!
//! What a person would have to mend (a queue that is gone, or another of its name) is mended here by `causeway migrate`,
//! as the gateway's own words advise.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::sleep;

use super::Done;
use super::engines::seconds;
use crate::engines::{Engines, blocking};
use crate::nemesis::schedule::{Fault, Kind, Part};
use crate::nemesis::witness::{self, Growth, Mark};
use crate::nemesis::world::{ACK_MAX, World};
use crate::proxy::{Rule, Rules};

const CONNECTORS: [&str; 2] = ["greenhouse", "hubspot"];
const RESOURCE: &str = "<<\"causeway\">>";
/// What a gateway counts when it lost the broker.
const LOST_THE_BROKER: &[(&str, &str)] = &[("causeway_queue_reconnects_total", "")];
/// So long a fault goes on at most until what it causes was seen.
const SEEN_MAX: Duration = Duration::from_secs(15);

/// What a gateway that has not been connected before says of it.
const AWAY: &[&str] = &["the queue is away"];

/// F7 and F8. It had an effect if a gateway had to connect again or says that it cannot; a frozen one at least keeps what was
/// rung waiting.
pub(super) async fn broker(world: &World, engines: &Engines, fault: &Fault) -> Result<Done> {
    let (broker, kind, hold) = (Arc::clone(&engines.broker), fault.kind, fault.hold);
    let (lost, away) = (Growth::of(world, LOST_THE_BROKER).await, Mark::at_the_end_of(&world.log));
    let breaking = blocking(move || {
        match kind {
            Kind::BrokerWipe => return broker.wipe(),
            Kind::BrokerFreeze => {
                broker.freeze()?;
                std::thread::sleep(hold);
                return broker.thaw();
            }
            Kind::BrokerRestart => broker.stop()?,
            _ => broker.kill()?,
        }
        std::thread::sleep(hold);
        broker.restart()
    });
    let waiting = async {
        sleep(hold.mul_f64(0.8)).await;
        kind == Kind::BrokerFreeze && rings_wait(world).await
    };
    let (broken, waited) = tokio::join!(breaking, waiting);
    broken?;
    let back = engines.consumers_are_back(&CONNECTORS).await?;
    let (lost, away) = (lost.so_far().await, away.lines_with(AWAY)?);
    let what = format!(
        "for {}, {lost} connections lost, told {away} times, consumers back after {}",
        seconds(hold),
        seconds(back)
    );
    Ok(Done::if_it(lost > 0 || away > 0 || waited, what).consumers_back(back))
}

/// Whether something was rung that the broker has not confirmed.
async fn rings_wait(world: &World) -> bool {
    for keeper in &world.keepers {
        let page = witness::page(keeper).await;
        if page.iter().any(|figure| figure.name == "causeway_queue_rings_unconfirmed" && figure.value > 0.0) {
            return true;
        }
    }
    false
}

/// F9: publishers are blocked, consumers go on.
pub(super) async fn alarm(engines: &Engines, fault: &Fault) -> Result<Done> {
    let (begin, end) = if fault.draw.is_multiple_of(2) {
        (["set_vm_memory_high_watermark", "absolute", "1MB"].to_vec(), ["set_vm_memory_high_watermark", "0.4"].to_vec())
    } else {
        (["set_disk_free_limit", "999GB"].to_vec(), ["set_disk_free_limit", "50MB"].to_vec())
    };
    engines.rabbitmqctl(&begin).await?;
    sleep(fault.hold).await;
    let alarms = engines.rabbitmqctl(&["eval", "rabbit_alarm:get_alarms()."]).await?;
    engines.rabbitmqctl(&end).await?;
    Ok(Done::if_it(alarms.contains("resource_limit"), format!("{} for {}", begin[0], seconds(fault.hold))))
}

fn connector(draw: u64) -> &'static str {
    CONNECTORS[usize::from(!draw.is_multiple_of(2))]
}

/// F10: what is rung goes nowhere and comes back.
pub(super) async fn unroutable(world: &World, engines: &Engines, fault: &Fault) -> Result<Done> {
    let connector = connector(fault.draw);
    let returned = Growth::of(world, &[("causeway_queue_rings_returned_total", "")]).await;
    let removed = engines.unbind(connector).await?;
    let returned = returned.shown_within(fault.hold, SEEN_MAX).await;
    world.migrate().await?;
    Ok(Done::if_it(removed && returned > 0, format!("{connector}, {returned} rings came back")))
}

/// Messages that are no rings. Putting one aside takes a gateway longer than hearing a ring.
const NO_RINGS: u64 = 3_000;

/// F11: a queue that may hold nothing and holds what is no ring, so that it takes no ring until that is put aside.
pub(super) async fn queue_full(world: &World, engines: &Engines, fault: &Fault) -> Result<Done> {
    let connector = connector(fault.draw);
    let pattern = format!("^causeway\\.{connector}\\.");
    let refused = Growth::of(world, &[("causeway_queue_rings_nacked_total", "")]).await;
    let policy = ["set_policy", "-p", "causeway", "nemesis", &pattern, r#"{"max-length":0}"#, "--apply-to", "queues"];
    engines.rabbitmqctl(&policy).await?;
    let fill = format!(
        "M = rabbit_basic:message({{resource, {RESOURCE}, exchange, <<\"\">>}}, <<\"causeway.{connector}.v1\">>, \
         [{{delivery_mode, 2}}], <<\"no ring\">>), \
         [rabbit_basic:publish(rabbit_basic:delivery(false, false, M, undefined)) || _ <- lists:seq(1, {NO_RINGS})], ok."
    );
    let began = Instant::now();
    let mut seen = 0;
    while seen == 0 && began.elapsed() < SEEN_MAX {
        engines.rabbitmqctl(&["eval", &fill]).await?;
        seen = refused.shown_within(fault.hold, fault.hold + Duration::from_secs(2)).await;
    }
    engines.rabbitmqctl(&["clear_policy", "-p", "causeway", "nemesis"]).await?;
    Ok(Done::if_it(seen > 0, format!("{connector}, {seen} rings refused")))
}

/// F12. Subscriptions ended, and are there again at a queue of the right kind.
pub(super) async fn queue_gone(world: &World, engines: &Engines, fault: &Fault) -> Result<Done> {
    let connector = connector(fault.draw);
    let queue = format!("causeway.{connector}.v1");
    let noticed = Mark::at_the_end_of(&world.log);
    let delete = ["delete_queue", "-p", "causeway", &queue];
    engines.rabbitmqctl(&delete).await?;
    let otherwise = fault.draw % 4 > 1;
    if otherwise {
        let declare = format!(
            "rabbit_amqqueue:declare({{resource, {RESOURCE}, queue, <<\"{queue}\">>}}, true, false, [], none, <<\"nemesis\">>)."
        );
        engines.rabbitmqctl(&["eval", &declare]).await?;
    }
    sleep(fault.hold).await;
    if otherwise {
        // If the gateways were faster it is the right one again, or is about to be.
        engines.rabbitmqctl(&delete).await.ok();
    }
    world.migrate().await?;
    let back = engines.consumers_are_back(&CONNECTORS).await?;
    let noticed = noticed.lines_with(&["the broker ended a subscription", &queue])?;
    let how = if otherwise { "declared otherwise" } else { "deleted" };
    let what = format!("{connector}, {how}, told {noticed} times, consumers back after {}", seconds(back));
    Ok(Done::if_it(noticed > 0, what))
}

/// F13: the broker gives up a consumer that does not acknowledge. A vendor that hangs is not enough: nothing is
/// acknowledged later because of it. So one gateway's acknowledgements are held back as well, for as long as it takes and
/// less than two heartbeats; the broker's log says when it gave up.
pub(super) async fn ack_timeout(world: &World, engines: &Engines, fault: &Fault) -> Result<Done> {
    const GAVE_UP: &[&str] = &["delivery acknowledgement"];
    let log = engines.broker.folder().join("log");
    let (alone, mark) = (Mark::at_the_end_of(&log), Mark::at_the_end_of(&log));
    let hang = serde_json::json!({ "operation": "*", "probability": 0.5, "do": "hang" });
    let hung = {
        let _vendors = world.part(Part::Vendors).await;
        world.play_for(crate::checker::Vendor::Crm, &[hang], fault.hold).await?
    };
    let by_the_vendor = alone.lines_with(GAVE_UP)?;
    let (gateway, keeper) = world.keeper(fault.draw)?;
    let link = world.link(&format!("broker of {}", keeper.name))?;
    let _links = world.part(Part::Links).await;
    link.proxy.set(Rules { up: Rule::stall(), ..Rules::default() });
    let began = Instant::now();
    while mark.lines_with(GAVE_UP)? == by_the_vendor && began.elapsed() < ACK_MAX + Duration::from_secs(6) {
        sleep(Duration::from_millis(200)).await;
    }
    link.proxy.heal();
    let given_up = mark.lines_with(GAVE_UP)? - by_the_vendor;
    let what = format!(
        "{hung} calls hung for {}, {by_the_vendor} consumers given up; then {} unheard, {given_up} given up",
        seconds(fault.hold),
        keeper.name
    );
    Ok(Done::if_it(hung > 0 && given_up > 0, what).gateway(gateway).links([link.name.clone()]))
}
