//! Vendors that are slow, say no, talk nonsense, and commit without saying so.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::Done;
use crate::checker::Vendor;
use crate::nemesis::schedule::Fault;
use crate::nemesis::witness::is_stopped;
use crate::nemesis::world::{Link, World};
use crate::proxy::{Rule, Rules};
use crate::rig;

/// A call's time-out here is 3 s.
const JUST_IN_TIME_MS: u64 = 2_300;
/// Until somebody calls, a link is slow for at most so much longer.
const FELT_MAX: Duration = Duration::from_secs(12);
const TOO_LATE_MS: u64 = 4_000;
/// More than a gateway reads of an answer.
const TOO_LARGE_BYTES: usize = 12 << 20;

fn vendor(draw: u64) -> Vendor {
    if draw.is_multiple_of(2) { Vendor::Ats } else { Vendor::Crm }
}

fn name(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Ats => "ats",
        Vendor::Crm => "crm",
    }
}

async fn play(world: &World, rules: &[Value], how: &str, fault: &Fault) -> Result<Done> {
    let vendor = vendor(fault.draw >> 8);
    let fired = world.play_for(vendor, rules, fault.hold).await?;
    Ok(Done::if_it(fired > 0, format!("{}, {how}, {fired} times", name(vendor))))
}

/// F32.
pub(super) async fn slow(world: &World, fault: &Fault) -> Result<Done> {
    let vendor = vendor(fault.draw >> 8);
    let late = |ms: u64| json!({ "operation": "*", "probability": 0.5, "do": "delay", "delay_ms": ms });
    match fault.draw % 5 {
        0 => play(world, &[late(JUST_IN_TIME_MS)], "answers just in time", fault).await,
        1 => play(world, &[late(TOO_LATE_MS)], "answers too late", fault).await,
        2 => {
            play(world, &[json!({ "operation": "*", "probability": 0.5, "do": "hang" })], "never answers", fault).await
        }
        3 => {
            let links: Vec<&Link> = world.links.iter().filter(|link| link.name.starts_with(name(vendor))).collect();
            let felt = || links.iter().map(|link| link.proxy.touched()).sum::<u64>();
            let before = felt();
            for link in &links {
                link.proxy.set(Rules { down: Rule::throttle(40), ..Rules::default() });
            }
            sleep(fault.hold).await;
            let longer = Instant::now();
            while felt() == before && longer.elapsed() < FELT_MAX {
                sleep(Duration::from_millis(100)).await;
            }
            let felt = felt() - before;
            for link in &links {
                link.proxy.heal();
            }
            Ok(Done::if_it(felt > 0, format!("{}, 40 bytes a second, {felt} times felt", name(vendor))))
        }
        _ => {
            let pids: Vec<u32> = world.tenants.iter().map(|tenant| tenant.vendors.one(vendor).pid()).collect();
            for pid in &pids {
                rig::signal(*pid, "STOP")?;
            }
            sleep(fault.hold).await;
            let stood_still = pids.iter().all(|pid| is_stopped(*pid));
            for pid in &pids {
                rig::signal(*pid, "CONT")?;
            }
            Ok(Done::if_it(stood_still, format!("{}, frozen for {:.1} s", name(vendor), fault.hold.as_secs_f64())))
        }
    }
}

/// F33. What would refuse for good or pause the account happens to a single call.
pub(super) async fn status(world: &World, fault: &Fault) -> Result<Done> {
    let wait = |value: &str| json!({ "retry-after": value });
    let date = in_two_seconds()?;
    let many: &[(u16, Value)] = &[
        (500, json!({})),
        (502, json!({})),
        (503, json!({})),
        (504, json!({})),
        (408, json!({})),
        (429, json!({})),
        (429, wait("2")),
        (503, wait("2")),
        (429, wait(&date)),
        (429, wait("-5")),
        (429, wait("1000000000000")),
        (429, wait("soon")),
        (507, json!({})),
        (299, json!({})),
    ];
    let once: &[u16] = &[400, 403, 404, 407, 409, 410, 413, 418, 421, 426, 451, 511];
    let draw = usize::try_from(fault.draw % (many.len() + once.len()) as u64)?;
    if let Some((status, headers)) = many.get(draw) {
        let rule =
            json!({ "operation": "*", "probability": 0.6, "do": "status", "status": status, "headers": headers });
        let asked = headers["retry-after"].as_str().map_or_else(String::new, |value| format!(", Retry-After {value}"));
        return play(world, &[rule], &format!("status {status}{asked}"), fault).await;
    }
    let status = once.get(draw - many.len()).context("a status of those")?;
    once_and_resumed(world, json!({ "do": "status", "status": status }), &format!("status {status} once"), fault).await
}

/// Where it pauses the account, an operator lets it go on.
async fn once_and_resumed(world: &World, what: Value, how: &str, fault: &Fault) -> Result<Done> {
    let mut rule = what;
    rule["operation"] = "*".into();
    rule["times"] = 1.into();
    let done = play(world, &[rule], how, fault).await?;
    let account = match vendor(fault.draw >> 8) {
        Vendor::Ats => "greenhouse",
        Vendor::Crm => "hubspot",
    };
    world.resume(account).await?;
    Ok(done)
}

/// A date as `Retry-After` may have it.
fn in_two_seconds() -> Result<String> {
    let at = Duration::from_secs_f64(crate::latency::wall_ms()? / 1000.0 + 2.0);
    let at = jiff::Timestamp::from_second(i64::try_from(at.as_secs())?)?;
    Ok(at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// F34.
pub(super) async fn garbage(world: &World, fault: &Fault) -> Result<Done> {
    let rule = |what: Value| {
        let mut rule = what;
        rule["operation"] = "*".into();
        rule["probability"] = 0.3.into();
        vec![rule]
    };
    let elsewhere =
        json!({ "do": "status", "status": 302, "headers": { "location": "http://169.254.169.254/latest" } });
    match fault.draw % 8 {
        0 => play(world, &rule(json!({ "do": "garbage" })), "no JSON", fault).await,
        1 => play(world, &rule(json!({ "do": "html" })), "a page", fault).await,
        2 => play(world, &rule(json!({ "do": "half_answer" })), "half an answer", fault).await,
        3 => {
            let body = "x".repeat(1_500_000);
            play(world, &rule(json!({ "do": "status", "status": 200, "body": body })), "1.5 MB", fault).await
        }
        4 => {
            let many: serde_json::Map<String, Value> =
                (0..90).map(|number| (format!("x-{number}"), Value::from("y".repeat(200)))).collect();
            play(world, &rule(json!({ "do": "status", "status": 503, "headers": many })), "90 headers", fault).await
        }
        5 => {
            let body = "x".repeat(TOO_LARGE_BYTES);
            play(world, &rule(json!({ "do": "status", "status": 200, "body": body })), "12 MB", fault).await
        }
        // It was not asked for, and it is none.
        6 => {
            let encoded =
                json!({ "do": "status", "status": 200, "headers": { "content-encoding": "gzip" }, "body": "{}" });
            play(world, &rule(encoded), "gzip that is none", fault).await
        }
        _ => once_and_resumed(world, elsewhere, "sent elsewhere once", fault).await,
    }
}

/// F35.
pub(super) async fn lost_answers(world: &World, fault: &Fault) -> Result<Done> {
    let vendor = vendor(fault.draw >> 8);
    let (what, how) = match fault.draw % 3 {
        0 => (json!({ "do": "drop_after_commit" }), "reset after commit"),
        1 => (json!({ "do": "status_after_commit", "status": 500 }), "500 after commit"),
        _ => (json!({ "do": "delay", "delay_ms": TOO_LATE_MS }), "too late after commit"),
    };
    let operations: &[&str] = match vendor {
        Vendor::Ats => &["submit"],
        Vendor::Crm => &["contact_create", "record_upsert", "note_create", "associate"],
    };
    let rules = operations.iter().map(|operation| {
        let mut rule = what.clone();
        let members = rule.as_object_mut().context("an object")?;
        members.insert("operation".to_owned(), (*operation).into());
        members.insert("probability".to_owned(), 0.3.into());
        Ok(rule)
    });
    play(world, &rules.collect::<Result<Vec<Value>>>()?, how, fault).await
}
