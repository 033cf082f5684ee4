//! Looks at everything a store on PostgreSQL rests on: the server's version and settings, the role, row-level security, the
//! migrations, the root key, transactions that lie about.
//!
//! What could lose an acknowledged application, or show one tenant another's, is bad and keeps a gateway from starting;
//! each says what to do. Writes nothing.

use causeway_core::pii::Secret;

use super::connect::Connector;
use super::migrate::{Standing, standing};
use super::scope::{Among, Limits, Reach, Whose};
use super::session::Session;
use super::text::Use;
use crate::store::StoreError;
use crate::store::finding::Finding;
use crate::store::finding::Health::{self, Bad, Warning, Well};
use crate::store::keys::{Keyring, RootKey};
use crate::store::sql::alike;
use crate::store::sql::conn::Conn;
use crate::store::sql::errors::Op;
use crate::store::sql::rows::{params, sql, value};
use crate::store::sql::trace::chains;
use crate::store::sqlite::examine::{AccountSeen, Seen, accounts_of};

const LIMITS: Limits = Limits { pooled: true, statement: 10_000 };

/// A setting of the server: what it has to be, and what it costs otherwise.
struct Setting {
    name: &'static str,
    takes: &'static [&'static str],
    otherwise: &'static str,
}

const SETTINGS: &[Setting] = &[
    Setting { name: "fsync", takes: &["on"], otherwise: "a crash loses what was accepted: set it on" },
    Setting { name: "full_page_writes", takes: &["on"], otherwise: "a crash tears pages: set it on" },
    Setting {
        name: "synchronous_commit",
        takes: &["on", "remote_apply", "remote_write"],
        otherwise: "what is accepted is not on disk yet: set it on, for the role and the database too",
    },
    Setting {
        name: "data_sync_retry",
        takes: &["off"],
        otherwise: "a failed sync is taken for a good one: set it off",
    },
    Setting {
        name: "server_encoding",
        takes: &["UTF8"],
        otherwise: "names cannot be stored: make the database with UTF8",
    },
    Setting {
        name: "transaction_read_only",
        takes: &["off"],
        otherwise: "nothing can be written: it is a standby, or set so; point store.dsn at the primary",
    },
];

/// The oldest server with what is used.
const OLDEST: u32 = 140_000;

/// Every table that names a tenant and is not walled.
const NOT_WALLED: &str = "SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_class c \
    JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid \
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attname = 'tenant' \
    AND NOT a.attisdropped AND NOT (c.relrowsecurity AND c.relforcerowsecurity)";

/// What the role it logs in as could get round.
const TOO_MUCH: &str = "SELECT CASE WHEN rolsuper THEN 'a superuser' WHEN rolbypassrls THEN 'free of row-level security' \
    WHEN pg_has_role(rolname, 'causeway_owner', 'MEMBER') THEN 'an owner of the tables' END \
    FROM pg_roles WHERE rolname = session_user";

/// Transactions of others that keep the dead rows of this database from being cleaned up, and whether those of other roles
/// can be seen at all.
const LYING: &str = "SELECT count(*) || ' ' || pg_has_role('pg_read_all_stats', 'USAGE') FROM pg_stat_activity \
    WHERE datname = current_database() AND pid <> pg_backend_pid() \
    AND (backend_xmin IS NOT NULL OR state LIKE 'idle in transaction%') AND xact_start < now() - interval";

/// From when on a transaction is one of them.
const OLD: &str = "'10 minutes'";

/// The finding that decides whether the rest can be read.
const ROOT_KEY: &str = "store root key";

/// A database that no gateway of this process uses.
pub fn look(dsn: &Secret, pooler: bool, root_key: &RootKey) -> Seen {
    let keys = Keyring::new(root_key);
    let connector = match Connector::new(dsn, pooler) {
        Ok(connector) => connector,
        Err(error) => {
            return Seen { findings: vec![Finding::new("PostgreSQL", Bad, error.to_string())], accounts: Vec::new() };
        }
    };
    let findings = findings(&connector, &keys);
    let accounts =
        if findings.iter().any(is_bad) { Vec::new() } else { accounts(&connector, &keys).unwrap_or_default() };
    Seen { findings, accounts }
}

fn accounts(connector: &Connector, keys: &Keyring) -> Op<Vec<AccountSeen>> {
    let session = connector.connect(Use::Read, LIMITS.statement)?;
    let mut reach = Reach::default();
    reach.add(Whose::Every, Among::Beside);
    session.batch(&reach.begin_reading(LIMITS))?;
    accounts_of(Conn::Postgres(&session), keys)
}

/// Everything, on a connection of its own.
pub(super) fn findings(connector: &Connector, keys: &Keyring) -> Vec<Finding> {
    let session = match connector.connect(Use::Read, LIMITS.statement) {
        Ok(session) => session,
        Err(error) => return vec![Finding::new("PostgreSQL", Bad, error.to_string())],
    };
    let found = of(&session, keys).and_then(|mut found| {
        if !found.iter().any(is_bad) {
            found.extend(contents(&session, keys)?);
        }
        Ok(found)
    });
    found.unwrap_or_else(|stop| vec![Finding::new("PostgreSQL", Bad, StoreError::from(stop).to_string())])
}

pub(super) fn of(session: &Session, keys: &Keyring) -> Op<Vec<Finding>> {
    let mut found = vec![server(session)?, settings(session)?];
    if found.iter().any(is_bad) {
        return Ok(found);
    }
    let migrations = migrations(session);
    let are_there = migrations.state == Well;
    found.push(migrations);
    if !are_there {
        return Ok(found);
    }
    found.extend([role(session)?, wall(session)?, lying(session, OLD)?]);
    if !found.iter().any(is_bad) {
        found.push(root_key(session, keys)?);
    }
    Ok(found)
}

/// What is stored, for a look at a store that runs: the audit chains, and what fails alike.
fn contents(session: &Session, keys: &Keyring) -> Op<Vec<Finding>> {
    let mut reach = Reach::default();
    reach.add(Whose::Every, Among::Beside);
    session.batch(&reach.begin_reading(LIMITS))?;
    let conn = Conn::Postgres(session);
    let mut found = chains(conn, keys)?;
    found.extend(alike::findings(conn)?);
    session.batch("ROLLBACK")?;
    Ok(found)
}

pub(super) fn is_bad(finding: &Finding) -> bool {
    finding.state == Bad
}

fn server(session: &Session) -> Op<Finding> {
    let number = session.text("SHOW server_version_num")?.and_then(|text| text.parse().ok());
    Ok(version(number.unwrap_or(0)))
}

fn version(number: u32) -> Finding {
    let version = format!("{}.{}", number / 10_000, number % 10_000);
    if number < OLDEST {
        Finding::new("PostgreSQL", Bad, format!("the server is {version}; 14 or newer is needed: upgrade it"))
    } else {
        Finding::new("PostgreSQL", Well, version)
    }
}

fn settings(session: &Session) -> Op<Finding> {
    let mut wrong = Vec::new();
    // As a writing transaction finds them: the role and the database may have their own.
    session.batch("BEGIN")?;
    for Setting { name, takes, otherwise } in SETTINGS {
        let is = session.text(&format!("SHOW {name}"))?.unwrap_or_default();
        if !takes.contains(&is.as_str()) {
            wrong.push(format!("{name} is {is}: {otherwise}"));
        }
    }
    session.batch("ROLLBACK")?;
    session.batch(&Reach::default().begin_time_outs(LIMITS))?;
    for name in ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"] {
        if session.text(&format!("SHOW {name}"))?.is_none_or(|is| is == "0") {
            wrong.push(format!("{name} is not taken over: a pooler or the server drops it; let it pass"));
        }
    }
    session.batch("ROLLBACK")?;
    Ok(verdict("store settings", &wrong, "every one is safe, and time-outs are taken"))
}

fn verdict(what: &str, wrong: &[String], well: &str) -> Finding {
    let (state, text): (Health, String) =
        if wrong.is_empty() { (Well, well.to_owned()) } else { (Bad, wrong.join("; ")) };
    Finding::new(what, state, text)
}

fn migrations(session: &Session) -> Finding {
    let what = "store migrations";
    match standing(session) {
        Ok(Standing { applied, pending: 0 }) => Finding::new(what, Well, format!("{applied} applied, none missing")),
        Ok(Standing { pending, .. }) => {
            Finding::new(what, Bad, format!("{pending} missing: run `causeway migrate` with store.direct_dsn"))
        }
        Err(error) => {
            let why = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            Finding::new(what, Bad, format!("{error}{why}"))
        }
    }
}

fn role(session: &Session) -> Op<Finding> {
    let what = "store role";
    if let Some(too_much) = session.text(TOO_MUCH)? {
        let text = format!(
            "the role of store.dsn is {too_much}, and no wall stands between tenants: make one with CREATE ROLE … LOGIN \
             PASSWORD …, name it in store.dsn and run `causeway migrate` with store.direct_dsn"
        );
        return Ok(Finding::new(what, Bad, text));
    }
    let may = session.text("SELECT pg_has_role(session_user, 'causeway_gateway', 'MEMBER')::text")?;
    Ok(match may.as_deref() {
        Some("true") => Finding::new(what, Well, "it reaches what it needs and no more"),
        _ => Finding::new(
            what,
            Bad,
            "the role of store.dsn is not let in: run `causeway migrate` with store.direct_dsn, which grants it",
        ),
    })
}

fn wall(session: &Session) -> Op<Finding> {
    let open = session.text(NOT_WALLED)?;
    let wrong: Vec<String> =
        open.map(|tables| format!("no row-level security on {tables}: run `causeway migrate`")).into_iter().collect();
    Ok(verdict("walls between tenants", &wrong, "row-level security is forced on every table that names a tenant"))
}

pub(super) fn lying(session: &Session, old: &str) -> Op<Finding> {
    let what = "old transactions";
    let seen = session.text(&format!("{LYING} {old}"))?.unwrap_or_default();
    let (count, sees_all) = seen.split_once(' ').unwrap_or_default();
    Ok(match (count, sees_all) {
        ("0", "true") => Finding::new(what, Well, "none is older than ten minutes"),
        ("0", _) => {
            let text = "none of this role is older than ten minutes; to have those of others looked at: GRANT \
                        pg_read_all_stats TO the role of store.dsn";
            Finding::new(what, Well, text)
        }
        _ => {
            let text = format!(
                "{count} are older than ten minutes and keep dead rows: end them (pg_stat_activity names them)"
            );
            Finding::new(what, Warning, text)
        }
    })
}

fn root_key(session: &Session, keys: &Keyring) -> Op<Finding> {
    Ok(match stored_check(session)? {
        Some(check) if check == keys.check_value() => Finding::new(ROOT_KEY, Well, "it is the one of this data"),
        None => Finding::new(ROOT_KEY, Well, "nothing is sealed yet"),
        Some(_) => {
            let text = "it is not the one this data was sealed with: every gateway needs the same; nothing was changed";
            Finding::new(ROOT_KEY, Bad, text)
        }
    })
}

/// The value the root key was recognised by before.
fn stored_check(session: &Session) -> Op<Option<[u8; 32]>> {
    let mut reach = Reach::default();
    reach.add(Whose::Every, Among::Beside);
    session.batch(&reach.begin_reading(LIMITS))?;
    let stored = value(Conn::Postgres(session), sql!("meta_get"), params!["root_key_check"])?;
    session.batch("ROLLBACK")?;
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::version;
    use crate::store::finding::Health::{Bad, Well};

    #[test]
    fn a_server_that_is_too_old_is_named_with_what_is_needed() {
        for (number, state, says) in [
            (0, Bad, "the server is 0.0; 14 or newer is needed: upgrade it"),
            (90_624, Bad, "the server is 9.624; 14 or newer is needed: upgrade it"),
            (139_999, Bad, "the server is 13.9999; 14 or newer is needed: upgrade it"),
            (140_000, Well, "14.0"),
            (150_014, Well, "15.14"),
            (180_001, Well, "18.1"),
        ] {
            let found = version(number);
            assert_eq!((found.state, &*found.text), (state, says));
        }
    }
}
