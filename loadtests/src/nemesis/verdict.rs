//! What a run came to: a pure function of the clients' ledger, the vendors', the lookup's, the fault log and the plan.
//!
//! The three ledgers are joined by the checker of the crash run; here stand what needs times and faults: recovery, what
//! was accepted while nothing was broken, and whether the run may count at all.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use serde::Serialize;

use super::Plan;
use super::inject::Entry;
use super::keeper::Exit;
use super::load::{Attempt, Outcome};
use super::manners::Manners;
use super::proof::Proof;
use super::recovery::{self, Recovery};
use super::schedule::codes;
use crate::checker::Verdict;

const RSS_MAX_MB: f64 = 512.0;
/// A process that has not run for longer is one that starts.
const STARTING: Duration = Duration::from_secs(10);

/// Figures that come from times.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Timing {
    pub(crate) attempt: u64,
    /// Attempts that got no answer, and submissions that never got a definite one.
    pub(crate) no_answer: u64,
    pub(crate) unknown: u64,
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Keys that were answered with more than one id.
    pub(crate) answers_differ: u64,
    pub(crate) attempts_without_faults: u64,
    pub(crate) accepted_without_faults: u64,
    pub(crate) p99_without_faults_ms: f64,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) without_effect: u64,
    #[serde(flatten)]
    pub(crate) recovery: Recovery,
}

pub(crate) fn timing(attempts: &[Attempt], log: &[Entry], gateways: usize) -> Timing {
    let mut timing = Timing { attempt: attempts.len() as u64, ..Timing::default() };
    let mut ids: HashMap<u64, HashSet<&str>> = HashMap::new();
    let mut calm = Vec::new();
    for attempt in attempts {
        // A fault that no accept needs to notice is no excuse.
        let quiet = !log.iter().any(|entry| entry.holds_up(attempt.door) && entry.overlaps(attempt.sent, attempt.done));
        timing.attempts_without_faults += u64::from(quiet);
        match &attempt.outcome {
            Outcome::Accepted(id) => {
                ids.entry(attempt.number).or_default().insert(id);
                timing.accepted_without_faults += u64::from(quiet);
                calm.extend(quiet.then(|| attempt.done.saturating_sub(attempt.sent).as_secs_f64() * 1000.0));
            }
            Outcome::Status(status) => *timing.statuses.entry(*status).or_default() += 1,
            Outcome::NoAnswer => timing.no_answer += 1,
        }
    }
    timing.p99_without_faults_ms = if calm.is_empty() { 0.0 } else { crate::accept::percentile(&mut calm, 0.99) };
    timing.answers_differ = ids.values().filter(|ids| ids.len() > 1).count() as u64;
    for entry in log {
        if entry.took_effect {
            *timing.faults.entry(entry.code).or_default() += 1;
        } else {
            timing.without_effect += 1;
        }
    }
    timing.faults.insert("F45", combinations(log));
    timing.recovery = recovery::measure(attempts, log, gateways);
    timing
}

/// F45: faults that took effect and began while one of another kind was still at work.
fn combinations(log: &[Entry]) -> u64 {
    let beside = |one: &&Entry| {
        let at_work = |other: &Entry| other.took_effect && other.kind != one.kind && other.began < one.began;
        one.took_effect && log.iter().any(|other| at_work(other) && other.over > one.began)
    };
    log.iter().filter(beside).count() as u64
}

/// Everything that is judged.
pub(crate) struct Judged<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) verdict: &'a Verdict,
    pub(crate) timing: &'a Timing,
    pub(crate) manners: &'a Manners,
    pub(crate) log: &'a [Entry],
    pub(crate) exits: &'a [Exit],
    pub(crate) panics: u64,
    pub(crate) dup_idem: u64,
    pub(crate) ledger: &'a Proof,
    pub(crate) tenant_leaks: u64,
    pub(crate) max_rss_mb: f64,
    pub(crate) answers_lost_at_vendors: u64,
}

/// What must not be.
pub(crate) fn violations(run: &Judged<'_>) -> Vec<String> {
    let (verdict, timing, manners) = (run.verdict, run.timing, run.manners);
    let mut found: Vec<String> = [
        ("lost", verdict.lost),
        ("phantom", verdict.phantom),
        ("corrupt", verdict.corrupt),
        ("unflagged duplicates", verdict.duplicates_unflagged),
        ("duplicates at a vendor that knows our reference", run.dup_idem),
        ("duplicates that their own attempts do not explain", verdict.duplicates_unexplained),
        ("flags without an ambiguous attempt", verdict.flagged_without_cause),
        ("stored twice", verdict.stored_twice),
        ("shown to another tenant", run.tenant_leaks),
        ("keys with more than one answer", timing.answers_differ),
        ("submissions without a definite answer", timing.unknown),
        ("answers 500: whatever fails has a better name", timing.statuses.get(&500).copied().unwrap_or(0)),
        ("sent again before the first wait was over", manners.too_soon),
        ("sent again before Retry-After was over", manners.retry_after_ignored),
        ("sent again after a refusal for good", manners.refused_and_sent_again),
        ("panics", run.panics),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(what, count)| format!("{count} {what}"))
    .collect();
    let mut must = |holds: bool, told: String| {
        if !holds {
            found.push(told);
        }
    };
    must(
        manners.most_in_a_window <= manners.allowed_in_a_window,
        format!("{} calls in a window that allows {}", manners.most_in_a_window, manners.allowed_in_a_window),
    );
    must(run.max_rss_mb <= RSS_MAX_MB, format!("RSS {:.0} MB > {RSS_MAX_MB} MB", run.max_rss_mb));
    for exit in run.exits {
        let why = excuse(exit, run.log);
        must(
            why.is_some(),
            format!("{} ended by itself at {:.1} s: {}", exit.name, exit.at.as_secs_f64(), exit.status),
        );
    }
    found.extend(timing.recovery.violations());
    found.extend(run.ledger.violations(verdict.targets));
    found
}

/// The fault by which a gateway may have ended, if there is one.
pub(crate) fn excuse<'l>(exit: &Exit, log: &'l [Entry]) -> Option<&'l Entry> {
    let starting = exit.ran < STARTING;
    log.iter().find(|entry| entry.kind.may_end(starting) && entry.overlaps(exit.at.saturating_sub(exit.ran), exit.at))
}

/// Why the run may not count.
pub(crate) fn void(run: &Judged<'_>) -> Vec<String> {
    let (verdict, timing) = (run.verdict, run.timing);
    let mut found = Vec::new();
    // A control has its own few.
    let wanted = if run.plan.only.is_some() { Vec::new() } else { codes(run.plan.scaled) };
    let least = (run.plan.faults / (4 * wanted.len().max(1) as u64)).max(1);
    for code in &wanted {
        let fired = timing.faults.get(code).copied().unwrap_or(0);
        // Some happen at most once or twice in a run.
        let least = if matches!(*code, "F6" | "F13" | "F16") { 1 } else { least };
        if fired < least {
            found.push(format!("{code} took effect {fired} times, under {least}"));
        }
    }
    let fired: u64 = timing.faults.iter().filter(|(code, _)| **code != "F45").map(|(_, count)| count).sum();
    if fired * 100 < run.plan.faults * 95 {
        found.push(format!("{fired} of {} faults took effect", run.plan.faults));
    }
    if timing.attempts_without_faults * 20 < timing.attempt {
        found.push(format!(
            "{} of {} attempts while nothing was broken",
            timing.attempts_without_faults, timing.attempt
        ));
    }
    if timing.accepted_without_faults * 10 < timing.attempts_without_faults * 9 {
        found.push(format!(
            "{} of {} attempts accepted while nothing was broken",
            timing.accepted_without_faults, timing.attempts_without_faults
        ));
    }
    if verdict.submitted < run.plan.submissions {
        found.push(format!("{} of {} submitted", verdict.submitted, run.plan.submissions));
    }
    if verdict.delivered * 100 < verdict.targets * 95 {
        found.push(format!("{} of {} targets delivered", verdict.delivered, verdict.targets));
    }
    if verdict.failed_visible == 0 {
        found.push("nothing failed visibly".to_owned());
    }
    if run.plan.only.is_none() {
        found.extend(timing.recovery.unmeasured(run.plan.scaled));
        found.extend(run.ledger.unmeasured());
    }
    if run.answers_lost_at_vendors * 1_000 < run.plan.submissions * 2 {
        found.push(format!("{} answers lost at vendors", run.answers_lost_at_vendors));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nemesis::schedule::Kind;

    fn attempt(number: u64, sent_s: u64, outcome: Outcome) -> Attempt {
        let sent = Duration::from_secs(sent_s);
        Attempt { number, door: 0, sent, done: sent + Duration::from_millis(100), outcome }
    }

    fn accepted(number: u64, sent_s: u64, id: &str) -> Attempt {
        attempt(number, sent_s, Outcome::Accepted(id.to_owned()))
    }

    fn kill(began_s: u64, over_s: u64) -> Entry {
        Entry::of(Kind::Kill, Duration::from_secs(began_s), Duration::from_secs(over_s))
    }

    #[test]
    fn combinations_are_those_that_really_were_at_work_together() {
        let redis = |from, to| Entry::of(Kind::Redis, Duration::from_secs(from), Duration::from_secs(to));
        assert_eq!(combinations(&[kill(1, 2), redis(3, 4)]), 0);
        assert_eq!(combinations(&[kill(1, 4), redis(3, 5)]), 1);
        assert_eq!(combinations(&[Entry { took_effect: false, ..kill(1, 4) }, redis(3, 5)]), 0);
    }

    #[test]
    fn an_end_is_excused_only_by_what_can_cause_it() {
        let exit = |at, ran| Exit {
            name: "gateway 1".to_owned(),
            at: Duration::from_secs(at),
            ran: Duration::from_secs(ran),
            status: "exit status: 1".to_owned(),
        };
        let entry = |kind| [Entry::of(kind, Duration::from_secs(10), Duration::from_secs(12))];
        assert!(excuse(&exit(11, 60), &entry(Kind::Redis)).is_none());
        assert!(excuse(&exit(11, 60), &entry(Kind::DatabaseKill)).is_none(), "one that runs waits for its database");
        assert!(excuse(&exit(11, 1), &entry(Kind::DatabaseKill)).is_some());
        assert!(excuse(&exit(11, 60), &entry(Kind::DiskFull)).is_some());
        assert!(excuse(&exit(30, 1), &entry(Kind::DiskFull)).is_none());
    }

    #[test]
    fn what_happens_during_a_fault_is_not_held_against_the_share_of_accepts() {
        let attempts =
            [accepted(1, 1, "a"), attempt(2, 10, Outcome::Status(503)), attempt(3, 30, Outcome::Status(503))];
        let timing = timing(&attempts, &[kill(10, 12)], 1);
        assert_eq!((timing.attempts_without_faults, timing.accepted_without_faults), (2, 1));
        assert_eq!(timing.statuses, BTreeMap::from([(503, 2)]));
    }

    #[test]
    fn a_key_with_two_ids_is_seen() {
        let attempts = [accepted(1, 1, "a"), accepted(1, 2, "a"), accepted(2, 1, "b"), accepted(2, 2, "c")];
        assert_eq!(timing(&attempts, &[], 1).answers_differ, 1);
    }

    fn judged<R>(verdict: &Verdict, timing: &Timing, judge: impl FnOnce(&Judged<'_>) -> R) -> R {
        let plan = Plan { seed: 1, minutes: 1.0, faults: 1, submissions: 10, scaled: false, broken: None, only: None };
        judge(&Judged {
            plan: &plan,
            verdict,
            timing,
            manners: &Manners::default(),
            log: &[],
            exits: &[],
            panics: 0,
            dup_idem: 0,
            ledger: &Proof { ledger_readings_under_faults: 1, ..Proof::default() },
            tenant_leaks: 0,
            max_rss_mb: 100.0,
            answers_lost_at_vendors: 5,
        })
    }

    #[test]
    fn a_run_with_too_few_successes_is_void() {
        let whole: BTreeMap<&str, u64> = codes(false).into_iter().map(|code| (code, 1)).collect();
        let good = Verdict { submitted: 10, targets: 20, delivered: 19, failed_visible: 1, ..Verdict::default() };
        let timing = |faults, accepted| Timing {
            attempt: 20,
            attempts_without_faults: 10,
            accepted_without_faults: accepted,
            faults,
            recovery: Recovery::after(1.0),
            ..Timing::default()
        };
        assert_eq!(judged(&good, &timing(whole.clone(), 9), void), Vec::<String>::new());
        assert_eq!(judged(&good, &timing(whole.clone(), 8), void).len(), 1, "too few accepted");
        let mut missing = whole.clone();
        missing.remove("F19");
        assert_eq!(judged(&good, &timing(missing, 10), void).len(), 1, "a fault that never fired");
        let unseen = Timing { recovery: Recovery::default(), ..timing(whole.clone(), 10) };
        assert_eq!(judged(&good, &unseen, void).len(), 1, "no kill was seen alone");
        let bad = Verdict { delivered: 2, ..good };
        assert_eq!(judged(&bad, &timing(whole, 10), void).len(), 1, "too few delivered");
    }

    #[test]
    fn each_bound_is_a_violation() {
        let fine = Verdict::default();
        assert_eq!(judged(&fine, &Timing::default(), violations), Vec::<String>::new());
        for bad in [
            Verdict { lost: 1, ..Verdict::default() },
            Verdict { phantom: 1, ..Verdict::default() },
            Verdict { corrupt: 1, ..Verdict::default() },
            Verdict { duplicates_unflagged: 1, ..Verdict::default() },
            Verdict { stored_twice: 1, ..Verdict::default() },
            Verdict { flagged_without_cause: 1, ..Verdict::default() },
            Verdict { duplicates_unexplained: 1, ..Verdict::default() },
        ] {
            assert_eq!(judged(&bad, &Timing::default(), violations).len(), 1, "{bad:?}");
        }
        for bad in [
            Timing { answers_differ: 1, ..Timing::default() },
            Timing { unknown: 1, ..Timing::default() },
            Timing { statuses: BTreeMap::from([(500, 1)]), ..Timing::default() },
            Timing { recovery: Recovery::after(5.1), ..Timing::default() },
        ] {
            assert_eq!(judged(&fine, &bad, violations).len(), 1, "{bad:?}");
        }
    }
}
