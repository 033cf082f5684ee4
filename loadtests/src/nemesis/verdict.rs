//! What a run came to: a pure function of the clients' ledger, the vendors', the lookup's, the fault log and the plan.
//!
//! The three ledgers are joined by the checker of the crash run; here stand what needs times and faults: recovery, what
//! was accepted while nothing was broken, and whether the run may count at all.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use serde::Serialize;

use super::Plan;
use super::inject::{AFTERMATH, Entry};
use super::keeper::Exit;
use super::load::{Attempt, Outcome};
use super::manners::Manners;
use super::schedule::{Kind, codes};
use crate::checker::Verdict;

const FIRST_2XX_MAX_S: f64 = 5.0;
const POOL_MAX_S: f64 = 5.0;
const CONSUMERS_MAX_S: f64 = 30.0;
const RSS_MAX_MB: f64 = 512.0;

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
    pub(crate) first_2xx_after_kill_max_s: f64,
    pub(crate) pool_after_database_max_s: f64,
    pub(crate) max_recovery_s: f64,
}

pub(crate) fn timing(attempts: &[Attempt], log: &[Entry], slots: u64) -> Timing {
    let mut timing = Timing { attempt: attempts.len() as u64, ..Timing::default() };
    let mut ids: HashMap<u64, HashSet<&str>> = HashMap::new();
    let mut calm = Vec::new();
    for attempt in attempts {
        // A fault that no accept needs to notice is no excuse.
        let quiet = !log.iter().any(|entry| {
            entry.kind.touches_accepts() && attempt.done >= entry.began && attempt.sent <= entry.over + AFTERMATH
        });
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
    timing.faults.insert("F45", slots);
    recoveries(&mut timing, attempts, log);
    timing
}

/// From the outside: the first 202 to a request that was sent after the fault.
fn recoveries(timing: &mut Timing, attempts: &[Attempt], log: &[Entry]) {
    let first_after = |moment: Duration| {
        let sent_after =
            attempts.iter().filter(|one| one.sent >= moment && matches!(one.outcome, Outcome::Accepted(_)));
        sent_after.map(|one| one.done).min().map_or(0.0, |done| done.saturating_sub(moment).as_secs_f64())
    };
    for entry in log.iter().filter(|entry| entry.alone && entry.took_effect) {
        let after_it = first_after(entry.over);
        timing.max_recovery_s = timing.max_recovery_s.max(after_it);
        if entry.kind == Kind::Kill {
            timing.first_2xx_after_kill_max_s = timing.first_2xx_after_kill_max_s.max(first_after(entry.began));
        }
        if matches!(entry.kind, Kind::DatabaseKill | Kind::DatabaseStop | Kind::BackendKill | Kind::FailOver) {
            timing.pool_after_database_max_s = timing.pool_after_database_max_s.max(after_it);
        }
    }
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
    pub(crate) consumers_back_max_s: f64,
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
        ("stored twice", verdict.stored_twice),
        ("keys with more than one answer", timing.answers_differ),
        ("submissions without a definite answer", timing.unknown),
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
        verdict.flagged <= verdict.ambiguous,
        format!("{} flags for {} ambiguous attempts", verdict.flagged, verdict.ambiguous),
    );
    must(
        manners.most_in_a_window <= manners.allowed_in_a_window,
        format!("{} calls in a window that allows {}", manners.most_in_a_window, manners.allowed_in_a_window),
    );
    for (what, took, most) in [
        ("first 2xx after a kill", timing.first_2xx_after_kill_max_s, FIRST_2XX_MAX_S),
        ("first 2xx after the database was back", timing.pool_after_database_max_s, POOL_MAX_S),
        ("consumers after the broker was back", run.consumers_back_max_s, CONSUMERS_MAX_S),
    ] {
        must(took <= most, format!("{what}: {took:.1} s, over {most} s"));
    }
    must(run.max_rss_mb <= RSS_MAX_MB, format!("RSS {:.0} MB > {RSS_MAX_MB} MB", run.max_rss_mb));
    for exit in run.exits {
        let during = run.log.iter().any(|entry| exit.at >= entry.began && exit.at <= entry.over + AFTERMATH);
        must(during, format!("a gateway ended by itself at {:.1} s: {}", exit.at.as_secs_f64(), exit.status));
    }
    found
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
    if run.answers_lost_at_vendors * 1_000 < run.plan.submissions * 2 {
        found.push(format!("{} answers lost at vendors", run.answers_lost_at_vendors));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(number: u64, sent_s: u64, outcome: Outcome) -> Attempt {
        let sent = Duration::from_secs(sent_s);
        Attempt { number, sent, done: sent + Duration::from_millis(100), outcome }
    }

    fn accepted(number: u64, sent_s: u64, id: &str) -> Attempt {
        attempt(number, sent_s, Outcome::Accepted(id.to_owned()))
    }

    fn kill(began_s: u64, over_s: u64) -> Entry {
        Entry {
            kind: Kind::Kill,
            code: "F1",
            what: String::new(),
            began: Duration::from_secs(began_s),
            over: Duration::from_secs(over_s),
            alone: true,
            took_effect: true,
        }
    }

    #[test]
    fn recovery_is_the_first_202_to_a_later_request() {
        let attempts = [accepted(1, 9, "a"), attempt(2, 10, Outcome::NoAnswer), accepted(2, 13, "b")];
        let timing = timing(&attempts, &[kill(10, 12)], 0);
        assert!((timing.first_2xx_after_kill_max_s - 3.1).abs() < 1e-9, "{timing:?}");
        assert!((timing.max_recovery_s - 1.1).abs() < 1e-9, "{timing:?}");
    }

    #[test]
    fn what_happens_during_a_fault_is_not_held_against_the_share_of_accepts() {
        let attempts =
            [accepted(1, 1, "a"), attempt(2, 10, Outcome::Status(503)), attempt(3, 30, Outcome::Status(503))];
        let timing = timing(&attempts, &[kill(10, 12)], 0);
        assert_eq!((timing.attempts_without_faults, timing.accepted_without_faults), (2, 1));
        assert_eq!(timing.statuses, BTreeMap::from([(503, 2)]));
    }

    #[test]
    fn a_key_with_two_ids_is_seen() {
        let attempts = [accepted(1, 1, "a"), accepted(1, 2, "a"), accepted(2, 1, "b"), accepted(2, 2, "c")];
        assert_eq!(timing(&attempts, &[], 0).answers_differ, 1);
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
            consumers_back_max_s: 0.0,
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
            ..Timing::default()
        };
        assert_eq!(judged(&good, &timing(whole.clone(), 9), void), Vec::<String>::new());
        assert_eq!(judged(&good, &timing(whole.clone(), 8), void).len(), 1, "too few accepted");
        let mut missing = whole.clone();
        missing.remove("F19");
        assert_eq!(judged(&good, &timing(missing, 10), void).len(), 1, "a fault that never fired");
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
            Verdict { flagged: 1, ..Verdict::default() },
        ] {
            assert_eq!(judged(&bad, &Timing::default(), violations).len(), 1, "{bad:?}");
        }
        for bad in [
            Timing { answers_differ: 1, ..Timing::default() },
            Timing { unknown: 1, ..Timing::default() },
            Timing { first_2xx_after_kill_max_s: 5.1, ..Timing::default() },
            Timing { pool_after_database_max_s: 5.1, ..Timing::default() },
        ] {
            assert_eq!(judged(&fine, &bad, violations).len(), 1, "{bad:?}");
        }
    }
}
