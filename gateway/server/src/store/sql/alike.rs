//! Counting deliveries that fail alike, holding them under one case, sending one as a probe, letting all go.
//!
//! What failures have in common is told with the settlement; nothing here reads an outcome's words. Everything that failed
//! so is held when it settles, what was not tried yet when a worker is about to try it: so a step that fails stops only
//! those that have come to it. What may be on the wire is never held, and who was refused before many were noticed stays
//! refused. A success of one that is held, or would be, lets all of them go.

use crate::store::sql::rows::{Columns, Conn, StoredId, every, execute, first, micros, params, sql, to_json, value};
use crate::store::sql::scope::Scope;
use causeway_core::delivery::{HeldCause, State};
use causeway_core::ids::{AccountId, CaseId, DeliveryId, TenantId};
use causeway_core::outcome::Class;
use causeway_core::reason::Reason;
use futures_util::future::join_all;
use jiff::Timestamp;

use super::delivery::Delivery;
use super::errors::Op;
use super::tx::Tx;
use super::{SqlStore, announce, cases, delivery, pause};
use crate::alike::{AlikePolicy, Mark};
use crate::clock::later;
use crate::store::Result;
use crate::store::finding::{Finding, Health};
use crate::store::trace::Alike;
use crate::store::work::{FailedAlike, Next, Settlement};

/// What a delivery that has just failed is held with.
pub(in crate::store) struct Group {
    pub(in crate::store) case: CaseId,
}

/// A held one that is refused so often, at first and as the probe, is refused: it is not what all have that is wrong with it.
const REFUSED_AFTER: u32 = 4;

/// The mark as it is stored. What is refused lies in a job's questions, so each job's refusals are counted on their own.
fn stored_mark(mark: &Mark, posting_id: &str) -> String {
    let hash = mark.hash();
    if mark.class == Class::Refused { format!("{hash} {posting_id}") } else { hash }
}

fn posting_of(conn: Conn<'_>, id: DeliveryId) -> Op<String> {
    Ok(value(conn, sql!("alike/posting_of"), params![id.bytes()])?.unwrap_or_default())
}

/// Counts a failure. The group it is held with, if many fail alike by now and what follows would be its own affair. A
/// probe that failed alike makes room for the next one here, wherever it stands from now on.
pub(in crate::store) fn failed(tx: &mut Tx<'_>, row: &Delivery, settlement: &Settlement) -> Op<Option<Group>> {
    let (Some(failed), now) = (&settlement.alike, settlement.ended_at) else { return Ok(None) };
    let (hash, account) = (stored_mark(&failed.mark, &posting_of(tx.conn, row.id)?), row.account);
    let since = micros(now) - i64::try_from(failed.policy.within.as_micros()).unwrap_or(i64::MAX);
    let (step, class) = (&failed.mark.step, failed.mark.class.as_str());
    lock(tx, account)?;
    tx.ahead.fails_alike(account);
    let one = params![account.bytes(), hash, row.id.bytes(), step, class, micros(now)];
    execute(tx.conn, sql!("alike/failed"), one)?;
    let of = params![account.bytes(), hash, since];
    let (many, clean): (u32, u32) =
        first(tx.conn, sql!("alike/count"), of, |counted| Ok((counted.unsigned("many")?, counted.unsigned("clean")?)))?
            .unwrap_or_default();
    let everyone = clean >= failed.policy.after;
    let itself = params![account.bytes(), hash, row.id.bytes()];
    let times: u32 = value(tx.conn, sql!("alike/times"), itself)?.unwrap_or(0);
    let (case, everyone, is_probe) = match known(tx, account, &hash)? {
        Some(group) => {
            if everyone && !group.everyone {
                execute(tx.conn, sql!("alike/group_everyone"), params![account.bytes(), hash])?;
            }
            let is_probe = group.probe == Some(row.id);
            if is_probe {
                let probes = group.probes.saturating_add(1);
                let next = later(now, failed.policy.wait(probes, failed.dice));
                execute(tx.conn, sql!("alike/probe_next"), params![account.bytes(), hash, probes, micros(next)])?;
            }
            (group.case, everyone || group.everyone, is_probe)
        }
        None if many >= failed.policy.after => (open(tx, row, failed, &hash, everyone, now)?, everyone, false),
        None => return Ok(None),
    };
    // With successes beside it a first failure says little: it may try again by its own schedule.
    let is_one = everyone || times >= 3 || is_probe;
    let is_its_own = failed.mark.class == Class::Refused && times >= REFUSED_AFTER;
    Ok((is_one && !is_its_own && can_stop(row, &settlement.next)).then_some(Group { case }))
}

/// Settlements of one account wait for each other from here on, where several are written at a time.
fn lock(tx: &Tx<'_>, account: AccountId) -> Op<()> {
    value::<i64>(tx.conn, sql!("account_lock"), params![account.bytes()]).map(|_| ())
}

/// May it be held instead of what would follow?
fn can_stop(row: &Delivery, next: &Next) -> bool {
    match next {
        Next::Wait { .. } => row.verifying.is_none(),
        Next::Refuse { .. } => true,
        // What uses up its tries on what all have is not to blame.
        Next::Park { reason } => *reason == Reason::RetriesExhausted && row.verifying.is_none(),
        Next::Hold { cause, .. } => *cause == HeldCause::Operator && row.verifying.is_none(),
        // What may be on the wire is found out first; what pauses the account has a case of its own.
        Next::NextStep { .. }
        | Next::Delivered { .. }
        | Next::Verify { .. }
        | Next::Adopt { .. }
        | Next::Resend { .. }
        | Next::PauseAccount { .. } => false,
    }
}

/// A group that is open.
struct Known {
    case: CaseId,
    everyone: bool,
    probe: Option<DeliveryId>,
    probes: u32,
}

fn known(tx: &Tx<'_>, account: AccountId, hash: &str) -> Op<Option<Known>> {
    first(tx.conn, sql!("alike/group"), params![account.bytes(), hash], |group| {
        Ok(Known {
            case: group.id("case_id")?,
            everyone: group.col("everyone")?,
            probe: group.maybe_id("probe")?,
            probes: group.unsigned("probes")?,
        })
    })
}

/// Many fail alike: one case, and everyone who waits for another try is held in it.
fn open(
    tx: &mut Tx<'_>,
    row: &Delivery,
    failed: &FailedAlike,
    hash: &str,
    everyone: bool,
    now: Timestamp,
) -> Op<CaseId> {
    let (mark, account) = (&failed.mark, row.account);
    let case = cases::open_for_account(tx, row.tenant, account, Reason::FailsAlike, now)?;
    let reason = mark.reason.map(Reason::as_str);
    let first_probe = later(now, failed.policy.wait(0, failed.dice));
    let group = params![
        account.bytes(),
        hash,
        row.tenant.bytes(),
        mark.step,
        mark.class.as_str(),
        reason,
        mark.vendor_status,
        to_json(&mark.fields)?,
        everyone,
        case.bytes(),
        micros(now),
        micros(first_probe)
    ];
    execute(tx.conn, sql!("alike/group_open"), group)?;
    delivery::may(State::Waiting, State::Held)?;
    execute(tx.conn, sql!("alike/close_members_cases"), params![account.bytes(), hash, micros(now), reason])?;
    let members = params![account.bytes(), hash, case.bytes(), micros(now), reason, everyone];
    execute(tx.conn, sql!("alike/hold_members"), members)?;
    announce::in_case(tx.conn, case)?;
    execute(tx.conn, sql!("alike/attach_refused"), params![account.bytes(), hash, case.bytes()])?;
    tx.audit(row.tenant, now, "system", "deliveries.fail_alike", &case.to_string())?;
    tracing::warn!(account = %account, step = mark.step, class = %mark.class, case = %case, "many deliveries fail alike");
    Ok(case)
}

/// Holds what was about to try a step at which many fail alike; queues it, if that is over by now.
pub(in crate::store) fn hold_before(tx: &Tx<'_>, row: &mut Delivery, step: &str, now: Timestamp) -> Op<()> {
    let one = params![row.account.bytes(), row.id.bytes(), posting_of(tx.conn, row.id)?];
    let groups: Vec<(String, CaseId)> =
        every(tx.conn, sql!("alike/stopped"), one, |group| Ok((group.col("step")?, group.id("case_id")?)))?;
    match groups.into_iter().find(|(of, _)| of == step) {
        Some((_, case)) => row.hold(HeldCause::FailsAlike, Reason::FailsAlike, Some(case)),
        None => {
            row.become_(State::Queued)?;
            row.next_attempt_at = Some(now);
            Ok(())
        }
    }
}

/// After a settlement: a success lets go whoever is held for the want of one, and a probe that ended in another way makes
/// room for the next at once, since it said nothing about the others. `since` is when an attempt began whose record was
/// found: it says nothing about what failed after it.
pub(in crate::store) fn settled(
    tx: &mut Tx<'_>,
    row: &Delivery,
    settlement: &Settlement,
    since: Option<Timestamp>,
) -> Op<()> {
    let (account, now) = (row.account, settlement.ended_at);
    let any = match &row.beside {
        Some(beside) => beside.alike || settlement.alike.is_some(),
        None => value(tx.conn, sql!("alike/any"), params![account.bytes(), row.id.bytes()])?.unwrap_or(false),
    };
    if !any {
        return Ok(());
    }
    lock(tx, account)?;
    if settlement.attempt.is_some() {
        execute(tx.conn, sql!("alike/allowed_once"), params![row.id.bytes()])?;
    }
    let class = settlement.outcome.as_ref().map(|outcome| outcome.class);
    match settlement.next {
        Next::Adopt { .. } => went_well(tx, row, &settlement.step, since.unwrap_or(now), now)?,
        _ if matches!(class, Some(Class::Accepted | Class::AlreadyThere)) => {
            went_well(tx, row, &settlement.step, now, now)?;
        }
        _ => {}
    }
    if row.state().is_settled() {
        let ended = params![account.bytes(), row.id.bytes(), micros(now)];
        execute(tx.conn, sql!("alike/probe_ended"), ended)?;
    }
    Ok(())
}

fn went_well(tx: &mut Tx<'_>, row: &Delivery, step: &str, until: Timestamp, now: Timestamp) -> Op<()> {
    let account = row.account;
    let posting_id = posting_of(tx.conn, row.id)?;
    let success = params![account.bytes(), row.id.bytes(), step, posting_id, micros(until)];
    let ended: Vec<(String, CaseId)> =
        every(tx.conn, sql!("alike/went_well"), success, |group| Ok((group.col("mark")?, group.id("case_id")?)))?;
    for (mark, case) in ended {
        let freed = release(tx, (row.tenant, account), &mark, case, now)?;
        tracing::info!(account = %account, step, case = %case, freed, "one of many that failed alike went well: all go on");
    }
    let success = params![account.bytes(), row.id.bytes(), step, posting_id, micros(until)];
    execute(tx.conn, sql!("alike/forget_own"), success)?;
    execute(tx.conn, sql!("alike/unclean"), params![account.bytes(), step, micros(until)]).map(|_| ())
}

/// Ends a group: everyone it holds is queued again, behind fresh work. In a paused account they are held with it.
fn release(
    tx: &mut Tx<'_>,
    (tenant, account): (TenantId, AccountId),
    mark: &str,
    case: CaseId,
    now: Timestamp,
) -> Op<usize> {
    delivery::may(State::Held, State::Queued)?;
    let freed = execute(tx.conn, sql!("alike/release"), params![case.bytes(), micros(now)])?;
    pause::hold(tx, account, now)?;
    execute(tx.conn, sql!("alike/forget_mark"), params![account.bytes(), mark])?;
    execute(tx.conn, sql!("alike/group_end"), params![account.bytes(), mark])?;
    // Who was refused before it was noticed is for a person to replay: the case stays open until nobody is left in it.
    cases::close_when_empty(tx.conn, case, now)?;
    tx.audit(tenant, now, "system", "deliveries.release_alike", &case.to_string())?;
    Ok(freed)
}

/// A person replays one: it may try once, whoever else is held.
pub(in crate::store) fn replayed(conn: Conn<'_>, id: DeliveryId) -> Op<()> {
    execute(conn, sql!("alike/allow"), params![id.bytes()]).map(|_| ())
}

pub(in crate::store) async fn probe(store: &SqlStore, policy: &AlikePolicy, now: Timestamp) -> Result<Vec<AccountId>> {
    let old = micros(now) - i64::try_from(policy.within.as_micros()).unwrap_or(i64::MAX);
    let work = move |conn: Conn<'_>| {
        every(conn, sql!("alike/any_work"), params![old, micros(now)], |row| row.id::<TenantId>("tenant"))
    };
    let tenants = store.read(Scope::Every, work).await?;
    // Each alone in its tenant, all at once: one that is kept waiting keeps no other waiting. SQLite has no wall: there the
    // first probes for all.
    let one = |tenant| {
        let policy = policy.clone();
        store.write(Scope::Tenant(tenant), move |tx| {
            execute(tx.conn, sql!("alike/forget_old"), params![old])?;
            probe_all(tx, &policy, now)
        })
    };
    let mut ring = Vec::new();
    for probed in join_all(tenants.into_iter().map(one)).await {
        ring.extend(probed?);
    }
    Ok(ring)
}

fn probe_all(tx: &mut Tx<'_>, policy: &AlikePolicy, now: Timestamp) -> Op<Vec<AccountId>> {
    execute(tx.conn, sql!("alike/probe_gone"), params![micros(now)])?;
    // A probe that waits by its own schedule, for hours perhaps, is no longer one: it is held when it comes to its step.
    let due = every(tx.conn, sql!("alike/probe_due"), params![micros(now)], |group| {
        let whose = (group.id::<TenantId>("tenant")?, group.id::<AccountId>("account")?);
        let (mark, case) = (group.col::<String>("mark")?, group.id::<CaseId>("case_id")?);
        Ok((whose, mark, case, group.maybe_id::<DeliveryId>("probe")?, group.unsigned::<u32>("probes")?))
    })?;
    let mut ring = Vec::new();
    for (whose, mark, case, probe, probes) in due {
        let next = micros(later(now, policy.wait(probes, 0.0)));
        let picked: Option<DeliveryId> =
            first(tx.conn, sql!("alike/probe_pick"), params![case.bytes()], |one| one.id("id"))?;
        match (picked, probe) {
            (Some(picked), _) => {
                delivery::may(State::Held, State::Queued)?;
                execute(tx.conn, sql!("alike/probe_queue"), params![picked.bytes(), micros(now)])?;
                execute(tx.conn, sql!("alike/probe_is"), params![whose.1.bytes(), mark, picked.bytes(), next])?;
                ring.push(whose.1);
            }
            (None, Some(probe)) => {
                execute(tx.conn, sql!("alike/probe_is"), params![whose.1.bytes(), mark, probe.bytes(), next])?;
            }
            // Nobody is left whom a success could let go; whoever comes next finds out by itself.
            (None, None) => {
                release(tx, whose, &mark, case, now)?;
            }
        }
    }
    Ok(ring)
}

/// What the case's deliveries have in common, while it is open.
pub(in crate::store) fn of_case(conn: Conn<'_>, case: CaseId) -> Op<Option<Alike>> {
    first(conn, sql!("alike/of_case"), params![case.bytes()], |group| {
        Ok(Alike {
            step: group.col("step")?,
            class: group.word("class")?,
            reason: group.maybe_word("reason")?,
            vendor_status: group.col("vendor_status")?,
            fields: group.json("fields")?,
            failed_probes: group.unsigned("probes")?,
            next_probe_at: group.maybe_time("next_probe_at")?,
        })
    })
}

/// One finding for each mark that many share.
pub(in crate::store) fn findings(conn: Conn<'_>) -> Op<Vec<Finding>> {
    every(conn, sql!("alike/open_groups"), params![], |group| {
        let (account, step): (String, String) = (group.col("name")?, group.col("step")?);
        let class: Class = group.word("class")?;
        let status: Option<u16> = group.col("vendor_status")?;
        let status = status.map_or(String::new(), |status| format!(" with status {status}"));
        let (held, refused): (u64, u64) = (group.unsigned("held")?, group.unsigned("refused")?);
        let refused = if refused > 0 { format!(", {refused} refused before") } else { String::new() };
        let next: Option<Timestamp> = group.maybe_time("next_probe_at")?;
        let next = next.map_or_else(|| "one is being tried now".to_owned(), |at| format!("one is tried at {at}"));
        let text =
            format!("{held} deliveries are held: {step} comes to {class}{status} for all of them{refused}; {next}");
        Ok(Finding::new(format!("deliveries of {account}"), Health::Warning, text))
    })
}
