//! Links that lose, hold, cut and slice. Loss is the kernel's, by nftables, where that works; else the proxy holds pieces
//! back as retransmissions would.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::time::sleep;

use super::Done;
use crate::documents::mix;
use crate::nemesis::schedule::Fault;
use crate::nemesis::world::{Link, World};
use crate::proxy::{Arrivals, Ending, Rule, Rules};

/// The link that the fault means.
fn link<'w>(world: &'w World, fault: &Fault) -> Result<&'w Link> {
    let links: Vec<&Link> = world.links.iter().filter(|link| link.name.starts_with(fault.links)).collect();
    let index = usize::try_from((fault.draw >> 8) % links.len().max(1) as u64)?;
    links.get(index).copied().with_context(|| format!("no link begins with `{}`", fault.links))
}

/// Until something was held up, a fault of a link goes on for at most so long.
const TOUCHED_MAX: Duration = Duration::from_secs(8);

/// The rules for as long as the fault lasts. They had an effect if the proxy did something to somebody by them.
async fn hold(link: &Link, rules: Rules, how: &str, fault: &Fault) -> Done {
    let before = link.proxy.touched();
    link.proxy.set(rules);
    sleep(fault.hold).await;
    let longer = Instant::now();
    while link.proxy.touched() == before && longer.elapsed() < TOUCHED_MAX {
        sleep(Duration::from_millis(100)).await;
    }
    let touched = link.proxy.touched() - before;
    link.proxy.heal();
    let what = format!("{}, {how}, {:.1} s, {touched} times felt", link.name, fault.hold.as_secs_f64());
    Done::if_it(touched > 0, what).links([link.name.clone()])
}

/// F27.
pub(super) async fn loss(world: &World, fault: &Fault) -> Result<Done> {
    let link = link(world, fault)?;
    let percent = [1, 5, 20][usize::try_from(fault.draw % 3)?];
    if let Some(dropping) = Dropping::begin(link.proxy.address.port(), percent) {
        sleep(fault.hold).await;
        let longer = Instant::now();
        while dropping.so_far() == 0 && longer.elapsed() < TOUCHED_MAX {
            sleep(Duration::from_millis(100)).await;
        }
        let dropped = dropping.so_far();
        drop(dropping);
        let what = format!("{}, {percent} % by nftables, {dropped} packets", link.name);
        return Ok(Done::if_it(dropped > 0, what).links([link.name.clone()]));
    }
    let rules = Rules::both(Rule::loss(f64::from(percent) / 100.0));
    Ok(hold(link, rules, &format!("{percent} % as retransmissions"), fault).await)
}

/// A table of the kernel's packet filter that drops packets of one port; it goes when this is dropped.
struct Dropping(String);

impl Dropping {
    fn begin(port: u16, percent: u32) -> Option<Self> {
        static TABLES: AtomicU64 = AtomicU64::new(0);
        let table = format!("causeway_loadtests_{}_{}", std::process::id(), TABLES.fetch_add(1, Ordering::Relaxed));
        let chance = format!("numgen random mod 100 < {percent} counter drop");
        let script = format!(
            "add table inet {table}\n\
             add chain inet {table} input {{ type filter hook input priority 0; }}\n\
             add rule inet {table} input tcp dport {port} {chance}\n\
             add rule inet {table} input tcp sport {port} {chance}\n"
        );
        nft(&script).then_some(Self(table))
    }

    /// Packets that it dropped.
    fn so_far(&self) -> u64 {
        let listed = Command::new("nft").args(["list", "table", "inet", &self.0]).output();
        let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let mut words = text.split_whitespace();
        let mut dropped = 0;
        while let Some(word) = words.next() {
            if word == "packets" {
                dropped += words.next().and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        dropped
    }
}

impl Drop for Dropping {
    fn drop(&mut self) {
        nft(&format!("delete table inet {}\n", self.0));
    }
}

fn nft(script: &str) -> bool {
    use std::io::Write as _;
    let started =
        Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = started else { return false };
    let written = child.stdin.take().is_some_and(|mut stdin| stdin.write_all(script.as_bytes()).is_ok());
    child.wait().is_ok_and(|status| status.success()) && written
}

/// F28: both ways, one way, or swallowed.
pub(super) async fn partition(world: &World, fault: &Fault) -> Result<Done> {
    let link = link(world, fault)?;
    let (rules, how) = match fault.draw % 5 {
        0 => (Rules::partition(), "both ways"),
        1 => (Rules { up: Rule::stall(), ..Rules::default() }, "to the server"),
        2 => (Rules { down: Rule::stall(), ..Rules::default() }, "from the server"),
        3 => (Rules { arrivals: Arrivals::Hold, ..Rules::both(Rule::swallow()) }, "swallowed"),
        _ => (Rules::refused(), "refused"),
    };
    Ok(hold(link, rules, how, fault).await)
}

/// F28: a random part of the links stopped one by one, healed in another order.
pub(super) async fn swizzle(world: &World, fault: &Fault) -> Result<Done> {
    let mut chosen: Vec<(u64, &Link)> = (0..)
        .zip(&world.links)
        .map(|(number, link)| (mix(fault.draw, number), link))
        .filter(|(draw, _)| draw % 3 > 0)
        .collect();
    chosen.sort_by_key(|(draw, _)| *draw);
    let step = fault.hold.div_f64(2.0 * f64::from(u32::try_from(chosen.len().max(1))?));
    let touched = || touched_so_far(&world.links);
    let before = touched();
    for (_, link) in &chosen {
        link.proxy.set(Rules::partition());
        sleep(step).await;
    }
    chosen.sort_by_key(|(draw, _)| mix(*draw, 1));
    for (_, link) in &chosen {
        sleep(step).await;
        link.proxy.heal();
    }
    let felt = touched() - before;
    let names: Vec<String> = chosen.iter().map(|(_, link)| link.name.clone()).collect();
    Ok(Done::if_it(felt > 0, format!("{}, {felt} times felt", names.join(", "))).links(names))
}

/// Nobody else breaks a link meanwhile: they are one part.
fn touched_so_far(links: &[Link]) -> u64 {
    links.iter().map(|link| link.proxy.touched()).sum()
}

/// F29.
pub(super) async fn network(world: &World, fault: &Fault) -> Result<Done> {
    let link = link(world, fault)?;
    let size = (fault.draw >> 16) % 2_000;
    let slow = Duration::from_millis(50 + size / 2);
    let (rules, how) = match fault.draw % 8 {
        0 => (Rules::both(Rule::delay(slow, Duration::ZERO)), format!("{slow:?} each way")),
        1 => (Rules::both(Rule::delay(slow / 10, slow)), format!("up to {slow:?} each way")),
        2 => (Rules::both(Rule::throttle(5_000 + size * 20)), "throttled".to_owned()),
        3 => (Rules::both(Rule::pieces(1)), "byte by byte".to_owned()),
        4 => (Rules { up: Rule::end(size, Ending::HalfClose), ..Rules::default() }, "half closed".to_owned()),
        5 => (Rules { down: Rule::end(size, Ending::Reset), ..Rules::default() }, "answers reset".to_owned()),
        6 => (Rules { up: Rule::end(size * 2, Ending::Reset), ..Rules::default() }, "requests reset".to_owned()),
        _ => (Rules { down: Rule::end(size, Ending::Close), ..Rules::default() }, "answers cut".to_owned()),
    };
    Ok(hold(link, rules, &how, fault).await)
}
