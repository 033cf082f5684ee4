//! Which faults there are and when each comes: a pure function of the seed. Nothing here does anything.
//!
//! Every kind comes at least once before any comes twice; from then on a kind's weight decides. A slot holds one fault, or
//! two or three that concern different parts (F45). The same seed, size and scope give the same schedule.

use std::time::Duration;

use crate::documents::mix;

/// A way to break something. The code is the row of the fault matrix it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Kill,
    Term,
    Freeze,
    PauseBeyondLease,
    BrokerKill,
    BrokerRestart,
    BrokerWipe,
    BrokerFreeze,
    BrokerAlarm,
    Unroutable,
    QueueFull,
    QueueGone,
    AckTimeout,
    DatabaseKill,
    BackendKill,
    DatabaseStop,
    FailOver,
    Contention,
    Locked,
    LongReader,
    DiskFull,
    Descriptors,
    Loss,
    Partition,
    Swizzle,
    Network,
    Redis,
    VendorSlow,
    VendorStatus,
    VendorGarbage,
    LostAnswers,
}

/// The part of the whole that a fault concerns: two of one part are never at work at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Gateways,
    Broker,
    Database,
    File,
    Disk,
    Links,
    Redis,
    Vendors,
}

/// Where a kind can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Both,
    Embedded,
    Scaled,
}

/// What is known of a kind.
struct Row {
    kind: Kind,
    code: &'static str,
    name: &'static str,
    part: Part,
    scope: Scope,
    weight: u64,
    /// How long it lasts, in milliseconds.
    hold: (u64, u64),
    /// More than so many are not drawn.
    most: u64,
}

const fn row(
    kind: Kind,
    (code, name): (&'static str, &'static str),
    part: Part,
    scope: Scope,
    weight: u64,
    hold: (u64, u64),
    most: u64,
) -> Row {
    Row { kind, code, name, part, scope, weight, hold, most }
}

const ANY: u64 = u64::MAX;

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row(Kind::Kill, ("F1", "gateway killed"), Part::Gateways, Scope::Both, 8, (0, 0), ANY),
    row(Kind::Term, ("F4", "gateway told to end"), Part::Gateways, Scope::Both, 3, (0, 0), ANY),
    row(Kind::Freeze, ("F5", "gateway frozen"), Part::Gateways, Scope::Both, 3, (1_000, 4_000), ANY),
    row(Kind::PauseBeyondLease, ("F6", "gateway paused beyond its leases"), Part::Gateways, Scope::Scaled, 1, (27_000, 30_000), 2),
    row(Kind::BrokerKill, ("F7", "broker killed"), Part::Broker, Scope::Scaled, 1, (500, 2_000), 3),
    row(Kind::BrokerRestart, ("F7", "broker stopped and started"), Part::Broker, Scope::Scaled, 1, (500, 2_000), 2),
    row(Kind::BrokerWipe, ("F7", "broker wiped"), Part::Broker, Scope::Scaled, 1, (0, 0), 1),
    row(Kind::BrokerFreeze, ("F8", "broker frozen"), Part::Broker, Scope::Scaled, 1, (10_000, 35_000), 2),
    row(Kind::BrokerAlarm, ("F9", "broker's memory or disk alarm"), Part::Broker, Scope::Scaled, 1, (4_000, 8_000), 4),
    row(Kind::Unroutable, ("F10", "queue unbound"), Part::Broker, Scope::Scaled, 1, (3_000, 6_000), 4),
    row(Kind::QueueFull, ("F11", "queue at its length"), Part::Broker, Scope::Scaled, 1, (3_000, 6_000), 4),
    row(Kind::QueueGone, ("F12", "queue deleted, or declared otherwise"), Part::Broker, Scope::Scaled, 1, (2_000, 5_000), 4),
    row(Kind::AckTimeout, ("F13", "consumer timeout, slow vendor"), Part::Broker, Scope::Scaled, 1, (14_000, 16_000), 1),
    row(Kind::DatabaseKill, ("F14", "database killed"), Part::Database, Scope::Scaled, 1, (300, 1_500), 3),
    row(Kind::BackendKill, ("F14", "a session of the database killed"), Part::Database, Scope::Scaled, 2, (0, 0), ANY),
    row(Kind::DatabaseStop, ("F14", "database stopped at once"), Part::Database, Scope::Scaled, 1, (300, 1_500), 3),
    row(Kind::FailOver, ("F16", "database failed over"), Part::Database, Scope::Scaled, 1, (0, 0), 1),
    row(Kind::Contention, ("F17", "locks held, statements cancelled"), Part::Database, Scope::Scaled, 2, (1_000, 4_000), ANY),
    row(Kind::Locked, ("F18", "database file locked"), Part::File, Scope::Embedded, 2, (500, 4_000), ANY),
    row(Kind::LongReader, ("F18", "log held by a reader"), Part::File, Scope::Embedded, 1, (2_000, 6_000), ANY),
    row(Kind::DiskFull, ("F19", "disk full"), Part::Disk, Scope::Both, 2, (1_000, 3_000), ANY),
    row(Kind::Descriptors, ("F24", "no descriptors"), Part::Gateways, Scope::Both, 2, (1_000, 3_000), ANY),
    row(Kind::Loss, ("F27", "packets lost"), Part::Links, Scope::Both, 3, (2_000, 5_000), ANY),
    row(Kind::Partition, ("F28", "partition"), Part::Links, Scope::Both, 3, (1_000, 5_000), ANY),
    row(Kind::Swizzle, ("F28", "links stopped one by one"), Part::Links, Scope::Both, 2, (2_000, 5_000), ANY),
    row(Kind::Network, ("F29", "slow, cut or sliced connections"), Part::Links, Scope::Both, 6, (2_000, 5_000), ANY),
    row(Kind::Redis, ("F30", "redis"), Part::Redis, Scope::Scaled, 4, (2_000, 5_000), ANY),
    row(Kind::VendorSlow, ("F32", "vendor slow"), Part::Vendors, Scope::Both, 3, (2_000, 5_000), ANY),
    row(Kind::VendorStatus, ("F33", "vendor's statuses"), Part::Vendors, Scope::Both, 4, (1_500, 3_000), ANY),
    row(Kind::VendorGarbage, ("F34", "vendor's garbage"), Part::Vendors, Scope::Both, 3, (1_500, 3_000), ANY),
    row(Kind::LostAnswers, ("F35", "answers lost after commit"), Part::Vendors, Scope::Both, 4, (2_000, 4_000), ANY),
];

impl Kind {
    fn row(self) -> &'static Row {
        ROWS.iter().find(|row| row.kind == self).unwrap_or(&ROWS[0])
    }

    pub(crate) fn code(self) -> &'static str {
        self.row().code
    }

    pub(crate) fn name(self) -> &'static str {
        self.row().name
    }

    pub(crate) fn part(self) -> Part {
        self.row().part
    }

    /// Whether sessions of the database end by it.
    pub(crate) fn ends_database(self) -> bool {
        matches!(self, Self::DatabaseKill | Self::DatabaseStop | Self::BackendKill | Self::FailOver)
    }

    /// Whether a gateway may end by itself meanwhile. One that runs ends only when a sync failed (R8), which a full disk can
    /// cause; one that starts needs its store and descriptors.
    pub(crate) fn may_end(self, starting: bool) -> bool {
        match self.part() {
            Part::Disk => true,
            Part::Database | Part::File | Part::Links => starting,
            Part::Gateways => starting && self == Self::Descriptors,
            Part::Broker | Part::Redis | Part::Vendors => false,
        }
    }
}

/// One fault, with what decides its variant and its victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) draw: u64,
    pub(crate) hold: Duration,
    /// The victim is one of the links whose names begin so.
    pub(crate) links: &'static str,
}

/// What happens in one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) at: Duration,
    pub(crate) faults: Vec<Fault>,
}

/// Every code that a run of this scope has to show.
pub(crate) fn codes(scaled: bool) -> Vec<&'static str> {
    let mut codes: Vec<&str> = rows(scaled).map(|row| row.code).collect();
    codes.dedup();
    codes.push("F45");
    codes
}

fn rows(scaled: bool) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(move |row| match row.scope {
        Scope::Both => true,
        Scope::Embedded => !scaled,
        Scope::Scaled => scaled,
    })
}

/// `faults` of them over `length`, after a while of calm. Every eighth slot is a combination.
pub(crate) fn draw(seed: u64, length: Duration, faults: u64, scaled: bool) -> Vec<Slot> {
    let calm = Duration::from_secs(10).min(length.mul_f64(0.08));
    let mut drawer = Drawer { seed, drawn: 0, rows: rows(scaled).collect(), given: Vec::new(), deck: Vec::new() };
    let mut slots: Vec<Vec<Fault>> = Vec::new();
    let mut left = faults;
    while left > 0 {
        let wanted = if slots.len() % 8 == 5 { (2 + drawer.next() % 2).min(left) } else { 1 };
        let mut slot: Vec<Fault> = Vec::new();
        for _ in 0..wanted {
            let parts: Vec<Part> = slot.iter().map(|fault| fault.kind.row().part).collect();
            let Some(fault) = drawer.fault(&parts) else { break };
            slot.push(fault);
        }
        left -= (slot.len() as u64).clamp(1, left);
        slots.push(slot);
    }
    let every = (length - calm).div_f64(f64::from(u32::try_from(slots.len().max(1)).unwrap_or(u32::MAX)));
    let times = (0_u32..).map(|number| calm + every * number);
    // Nothing but the longest outlasts most of its slot.
    let bounded = |fault: Fault| {
        let long = fault.kind.row().hold.1 > 8_000;
        Fault { hold: if long { fault.hold } else { fault.hold.min(every.mul_f64(0.6)) }, ..fault }
    };
    times.zip(slots).map(|(at, faults)| Slot { at, faults: faults.into_iter().map(bounded).collect() }).collect()
}

/// For a control: one fault of each of these kinds in every slot, those of links on the clients'.
pub(crate) fn draw_only(seed: u64, length: Duration, faults: u64, only: &[Kind]) -> Vec<Slot> {
    let slots = u32::try_from(faults / only.len().max(1) as u64).unwrap_or(u32::MAX).max(1);
    let every = length / (slots + 1);
    let mut drawer = Drawer { seed, drawn: 0, rows: Vec::new(), given: Vec::new(), deck: Vec::new() };
    let mut slot = |number: u32| {
        let faults = only.iter().map(|kind| {
            let (draw, hold) = (drawer.next(), kind.row().hold.1);
            Fault { kind: *kind, draw, hold: Duration::from_millis(hold).min(every.mul_f64(0.6)), links: "clients" }
        });
        Slot { at: every * (number + 1), faults: faults.collect() }
    };
    (0..slots).map(&mut slot).collect()
}

struct Drawer {
    seed: u64,
    drawn: u64,
    rows: Vec<&'static Row>,
    given: Vec<Kind>,
    /// What is to come: first each kind once, then by weight.
    deck: Vec<&'static Row>,
}

impl Drawer {
    fn next(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.seed, self.drawn)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most.max(1) as u64).unwrap_or(0)
    }

    fn shuffle(&mut self) {
        for last in (1..self.deck.len()).rev() {
            let other = self.below(last + 1);
            self.deck.swap(last, other);
        }
    }

    fn deal(&mut self) {
        if self.given.is_empty() {
            self.deck = self.rows.clone();
            self.shuffle();
        } else {
            let weighted = self.rows.iter().flat_map(|row| (0..row.weight).map(|_| *row));
            self.deck = weighted.collect();
            self.shuffle();
        }
    }

    fn fault(&mut self, taken: &[Part]) -> Option<Fault> {
        for _ in 0..200 {
            if self.deck.is_empty() {
                self.deal();
            }
            let may = |row: &Row| {
                let times = self.given.iter().filter(|kind| **kind == row.kind).count() as u64;
                times < row.most && !taken.contains(&row.part)
            };
            // Locks and a full disk are the same file's; a combination holds one of them.
            if let Some(place) = self.deck.iter().rposition(|row| may(row)) {
                let row = self.deck.remove(place);
                self.given.push(row.kind);
                let draw = self.next();
                let hold = row.hold.0 + self.next() % (row.hold.1 - row.hold.0 + 1);
                return Some(Fault { kind: row.kind, draw, hold: Duration::from_millis(hold), links: "" });
            }
            self.deck.clear();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn ten_minutes(seed: u64, scaled: bool) -> Vec<Slot> {
        draw(seed, Duration::from_secs(600), 120, scaled)
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(ten_minutes(7, true), ten_minutes(7, true));
        assert_ne!(ten_minutes(7, true), ten_minutes(8, true));
    }

    #[test]
    fn every_code_comes_and_the_count_is_right() {
        for (seed, scaled) in [(1, false), (2, false), (1, true), (2, true)] {
            let slots = ten_minutes(seed, scaled);
            assert_eq!(slots.iter().map(|slot| slot.faults.len()).sum::<usize>(), 120);
            let mut seen: BTreeSet<&str> =
                slots.iter().flat_map(|slot| &slot.faults).map(|fault| fault.kind.code()).collect();
            seen.extend(slots.iter().any(|slot| slot.faults.len() > 1).then_some("F45"));
            let wanted: BTreeSet<&str> = codes(scaled).into_iter().collect();
            assert_eq!(seen, wanted);
        }
    }

    #[test]
    fn a_combination_concerns_different_parts_and_stays_in_its_time() {
        for slot in ten_minutes(3, true) {
            assert!(slot.at < Duration::from_secs(600));
            let parts: Vec<Part> = slot.faults.iter().map(|fault| fault.kind.row().part).collect();
            for (index, part) in parts.iter().enumerate() {
                assert!(!parts[..index].contains(part), "{parts:?}");
            }
        }
    }

    #[test]
    fn a_control_has_its_kinds_in_every_slot() {
        let slots = draw_only(1, Duration::from_secs(60), 8, &[Kind::Redis, Kind::Network]);
        assert_eq!(slots.len(), 4);
        for slot in slots {
            assert_eq!(slot.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(), [Kind::Redis, Kind::Network]);
        }
    }

    #[test]
    fn what_may_happen_once_happens_once() {
        for kind in [Kind::BrokerWipe, Kind::FailOver] {
            let times =
                ten_minutes(5, true).iter().flat_map(|slot| &slot.faults).filter(|fault| fault.kind == kind).count();
            assert_eq!(times, 1, "{kind:?}");
        }
    }
}
