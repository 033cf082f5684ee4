//! What a transaction may reach and what it is alone with, said in its first statements.
//!
//! Row-level security lets through the rows of the tenants that are named here and no others; the tenants are those of the
//! batch's requests. The verbs were written for one writer: those that change nothing but rows they lock or make share
//! their tenant's lock, every other has it alone, and one that concerns every tenant has all of it alone.
//!
//! Nobody who holds a lock waits for a tenant's: a batch takes everybody's, shared, and then asks for its tenants' and goes
//! without those it cannot have; who is alone in a tenant waits for that first, holding nothing; who is alone among all waits
//! for a moment, and makes room when that was not enough. So a tenant that is kept by somebody keeps nobody else waiting,
//! and two transactions never wait for each other's.

use std::collections::BTreeMap;

use causeway_core::ids::TenantId;

use super::text::Use;

/// How a verb stands to the others of its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Among {
    /// Takes part in none of it, and in no batch: it may take long, and changes nothing that another kind of verb relies on.
    Apart,
    /// With others that write so.
    Beside,
    /// With nobody.
    Alone,
}

/// Whose rows, once accounts are known by their tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    Tenant(TenantId),
    Every,
    /// What a lease is made of, of everybody.
    Leases,
    /// An account that is not there: nothing is found.
    Nobody,
}

/// Everything a transaction may reach.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    every: Option<Among>,
    leases: bool,
    tenants: BTreeMap<[u8; 16], Among>,
}

/// What it is to go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Set in every transaction; otherwise once a connection.
    pub(super) pooled: bool,
    /// Milliseconds a statement may take.
    pub(super) statement: u32,
}

/// The role that reaches every table through its policies.
const ROLE: &str = "causeway_gateway";

/// The role that reads what a lease is made of, of every tenant.
const LEASES: &str = "causeway_leases";

/// The key that every writing transaction holds, shared or alone.
const ALL: i64 = i64::MIN;

/// Milliseconds a lock is waited for.
const LOCK: u32 = 5_000;
/// The same by a batch for each tenant's: others of the batch wait meanwhile.
const LOCK_BESIDE: u32 = 2;
/// By who is alone in a tenant, for it: its writers wait meanwhile, who finish what they have begun.
const LOCK_ALONE: u32 = 1_000;
/// By who is alone among all: everybody waits meanwhile.
const LOCK_ALL: u32 = 500;
/// Milliseconds a transaction that writes may be left lying, where nothing is waited for but its own statements: a gateway that stands still or
/// is cut off keeps whoever needs its locks waiting for so long.
const IDLE_WRITING: u32 = 3_000;
/// And in a snapshot, where what was read may be worked on.
const IDLE_READING: u32 = 20_000;

impl Reach {
    pub(super) fn add(&mut self, whose: Whose, among: Among) {
        match whose {
            Whose::Every => self.every = self.every.max(Some(among)),
            Whose::Tenant(tenant) => {
                let held = self.tenants.entry(tenant.as_uuid().into_bytes()).or_insert(among);
                *held = (*held).max(among);
            }
            Whose::Leases => self.leases = true,
            Whose::Nobody => {}
        }
    }

    /// A transaction that writes what no verb relies on, and takes no part in the locks.
    pub(super) fn begin_apart(&self, limits: Limits) -> String {
        let mut text = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;".to_owned();
        self.settings(limits, Use::Write, &mut text);
        text
    }

    /// A transaction that writes.
    pub(super) fn begin(&self, limits: Limits) -> String {
        let mut text = self.begin_apart(limits);
        if self.is_apart() {
            return text;
        }
        let all = Lock { key: ALL, among: self.every.unwrap_or(Among::Beside) };
        // Each tenant's in one order, though nobody waits for long.
        let mut tenants: Vec<Lock> =
            self.tenants.iter().map(|(id, among)| Lock { key: key(*id), among: *among }).collect();
        tenants.sort_unstable();
        let is_alone = tenants.iter().any(|lock| lock.among == Among::Alone);
        text.push_str("SELECT ");
        if is_alone {
            timed(&tenants, LOCK_ALONE, &mut text);
            text.push(',');
            all.take(&mut text);
            return text;
        }
        if all.among == Among::Alone {
            timed(&[all], LOCK_ALL, &mut text);
        } else {
            all.take(&mut text);
        }
        if !tenants.is_empty() {
            text.push(',');
            timed(&tenants, LOCK_BESIDE, &mut text);
        }
        text
    }

    /// Everybody in it is.
    fn is_apart(&self) -> bool {
        let mut all = self.tenants.values().copied().chain(self.every).peekable();
        all.peek().is_some() && all.all(|among| among == Among::Apart)
    }

    /// A snapshot that only reads.
    pub(super) fn begin_reading(&self, limits: Limits) -> String {
        let mut text = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;".to_owned();
        self.settings(limits, Use::Read, &mut text);
        text
    }

    /// Nothing but the time-outs: for a look at what is taken over.
    pub(super) fn begin_time_outs(&self, limits: Limits) -> String {
        let mut text = "BEGIN;".to_owned();
        for (name, value) in settings(Use::Read, limits.statement) {
            text.push_str(&format!("SET LOCAL {name} = {value};"));
        }
        text
    }

    fn settings(&self, limits: Limits, use_: Use, text: &mut String) {
        text.push_str("SELECT set_config('role','");
        // Among others it would take their rows away; they are read as everybody's then.
        let only_leases = self.leases && self.every.is_none() && self.tenants.is_empty();
        text.push_str(if only_leases { LEASES } else { ROLE });
        text.push_str("',true),set_config('causeway.tenants','");
        self.tenants_text(text);
        text.push_str("',true)");
        if limits.pooled {
            for (name, value) in settings(use_, limits.statement) {
                text.push_str(&format!(",set_config('{name}','{value}',true)"));
            }
        }
        text.push(';');
    }

    /// As the policies read it.
    fn tenants_text(&self, text: &mut String) {
        if self.every.is_some() {
            text.push('*');
            return;
        }
        text.push('{');
        for (at, tenant) in self.tenants.keys().enumerate() {
            text.push_str(if at == 0 { "\"\\\\x" } else { ",\"\\\\x" });
            text.push_str(&data_encoding::HEXLOWER.encode(tenant));
            text.push('"');
        }
        text.push('}');
    }
}

/// What every connection keeps to.
///
/// A plan that is made while a table is small is kept while it grows: none may read it whole where an index answers, by
/// itself or to join it: a merge walks an index from its beginning. Nothing that is asked here is worth compiling, or worth a plan for its values: left to itself the server plans a statement for a
/// short list anew every time, which takes longer than to run it.
pub(super) fn settings(use_: Use, statement: u32) -> [(&'static str, String); 8] {
    let idle = match use_ {
        Use::Write => IDLE_WRITING,
        Use::Read => IDLE_READING,
    };
    [
        ("enable_seqscan", "off".to_owned()),
        ("enable_mergejoin", "off".to_owned()),
        ("enable_hashjoin", "off".to_owned()),
        ("jit", "off".to_owned()),
        ("plan_cache_mode", "force_generic_plan".to_owned()),
        ("statement_timeout", statement.to_string()),
        ("lock_timeout", LOCK.to_string()),
        ("idle_in_transaction_session_timeout", idle.to_string()),
    ]
}

/// An advisory lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Lock {
    key: i64,
    among: Among,
}

impl Lock {
    fn of(whose: Whose, among: Among) -> Option<Self> {
        if among == Among::Apart {
            return None;
        }
        let key = match whose {
            Whose::Tenant(tenant) => key(tenant.as_uuid().into_bytes()),
            Whose::Every => ALL,
            Whose::Leases | Whose::Nobody => return None,
        };
        Some(Self { key, among })
    }

    /// Waits for it.
    fn take(self, text: &mut String) {
        text.push_str(match self.among {
            Among::Alone => "pg_advisory_xact_lock(",
            Among::Apart | Among::Beside => "pg_advisory_xact_lock_shared(",
        });
        push(text, self.key);
        text.push(')');
    }
}

/// Waits for each of these so many milliseconds, and for what comes after as long as for any. What is selected is computed
/// from left to right.
fn timed(locks: &[Lock], millis: u32, text: &mut String) {
    text.push_str(&format!("set_config('lock_timeout','{millis}',true),"));
    for lock in locks {
        lock.take(text);
        text.push(',');
    }
    text.push_str(&format!("set_config('lock_timeout','{LOCK}',true)"));
}

/// Asks which of these cannot be had at this moment; the answer is their positions. To be asked outside of a transaction:
/// none is kept. `None` when all can.
pub(super) fn not_free(wanted: &[(Whose, Among)]) -> Option<String> {
    let mut tries = Vec::new();
    for (at, (whose, among)) in wanted.iter().enumerate() {
        let Some(lock) = Lock::of(*whose, *among) else { continue };
        let kind = if *among == Among::Alone { "" } else { "_shared" };
        let mut one = format!("({at},pg_try_advisory_xact_lock{kind}(");
        push(&mut one, lock.key);
        one.push_str("))");
        tries.push(one);
    }
    if tries.is_empty() {
        return None;
    }
    let tries = tries.join(",");
    Some(format!("SELECT string_agg(at::text,' ') FROM (VALUES {tries}) AS tried (at, had) WHERE NOT had"))
}

/// A tenant's lock: the random half of its id. Two tenants that share one wait for each other and nothing worse.
fn key(id: [u8; 16]) -> i64 {
    let [.., a, b, c, d, e, f, g, h] = id;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn push(text: &mut String, key: i64) {
    // The least number has no literal of its own type.
    text.push_str(&format!("'{key}'::bigint"));
}

#[cfg(test)]
mod tests {
    use super::{Among, Limits, Reach, Whose, not_free};
    use causeway_core::ids::TenantId;
    use uuid::Uuid;

    const LIMITS: Limits = Limits { pooled: false, statement: 1 };

    fn tenant(byte: u8) -> Whose {
        Whose::Tenant(TenantId::from_uuid(Uuid::from_bytes([byte; 16])))
    }

    fn check(wanted: &[(Whose, Among)], locks: &[&str]) {
        let mut reach = Reach::default();
        for (whose, among) in wanted {
            reach.add(*whose, *among);
        }
        let text = reach.begin(LIMITS);
        let (_, found) = text.rsplit_once("SELECT ").unwrap();
        let found: Vec<String> = found
            .replace("set_config('lock_timeout','", "wait ")
            .replace("pg_advisory_xact_lock", "lock")
            .replace("',true)", "")
            .split(',')
            .map(|taken| taken.split('(').next().unwrap().to_owned())
            .collect();
        assert_eq!(found, locks, "{text}");
    }

    #[test]
    fn who_is_alone_keeps_others_of_the_tenant_out_and_nobody_waits_for_a_tenant_with_a_lock_in_hand() {
        check(&[(tenant(1), Among::Beside)], &["lock_shared", "wait 2", "lock_shared", "wait 5000"]);
        check(&[(tenant(1), Among::Alone)], &["wait 1000", "lock", "wait 5000", "lock_shared"]);
        check(&[(Whose::Every, Among::Beside)], &["lock_shared"]);
        check(&[(Whose::Every, Among::Beside), (Whose::Every, Among::Alone)], &["wait 500", "lock", "wait 5000"]);
    }

    #[test]
    fn what_is_nobody_s_can_always_be_had() {
        assert_eq!(not_free(&[(Whose::Nobody, Among::Alone), (Whose::Leases, Among::Beside)]), None);
        assert_eq!(not_free(&[(tenant(1), Among::Apart), (Whose::Every, Among::Apart)]), None, "asked for by nobody");
        let asked =
            not_free(&[(Whose::Nobody, Among::Beside), (tenant(1), Among::Beside), (Whose::Every, Among::Alone)]);
        let asked = asked.unwrap();
        assert!(
            asked.contains("(1,pg_try_advisory_xact_lock_shared(") && asked.contains("(2,pg_try_advisory_xact_lock(")
        );
    }

    #[test]
    fn who_is_apart_waits_for_nobody_and_nobody_for_it() {
        for whose in [tenant(1), Whose::Every] {
            let mut reach = Reach::default();
            reach.add(whose, Among::Apart);
            let text = reach.begin(LIMITS);
            assert!(!text.contains("pg_advisory") && text.contains("causeway.tenants"), "{text}");
        }
    }

    #[test]
    fn locks_are_taken_in_one_order() {
        let (mut one, mut other) = (Reach::default(), Reach::default());
        for byte in [3, 1, 200] {
            one.add(tenant(byte), Among::Alone);
        }
        for byte in [200, 3, 1] {
            other.add(tenant(byte), Among::Alone);
        }
        assert_eq!(one.begin(LIMITS), other.begin(LIMITS));
    }

    #[test]
    fn nobody_s_rows_are_let_through_for_an_account_that_is_not_there() {
        let mut reach = Reach::default();
        reach.add(Whose::Nobody, Among::Beside);
        assert!(reach.begin(LIMITS).contains("'causeway.tenants','{}'"));
    }
}
