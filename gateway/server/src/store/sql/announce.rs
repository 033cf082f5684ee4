//! What a career site is told: one message for each endpoint that wants it, written in the transaction of the move.
//!
//! Whoever moves a delivery to a state that is announced calls this; [`Delivery::save`](super::delivery::Delivery::save)
//! does it for every move of one row, and the statements that move many rows at once stand beside theirs here. A test
//! knows every statement that writes a delivery's state. Nothing is sent here, and nothing is written for a tenant
//! without endpoints.

use crate::store::sql::rows::{Changes, Conn, Many, StoredId, execute, many, micros, params, sql};
use causeway_core::delivery::State;
use causeway_core::ids::{CaseId, DeliveryId, SubmissionId};
use causeway_core::reason::Reason;
use jiff::Timestamp;

use super::errors::Op;

/// After the rows.
static DELIVERY: Many = many!("webhooks/announce_delivery", "b", Changes::Any);

/// Is a site told? Not of what goes on by itself; and an erasure is told once, of the application.
const fn is_told(state: State) -> bool {
    match state {
        State::Held | State::Delivered | State::Refused | State::Parked | State::Cancelled => true,
        State::Queued | State::InFlight | State::Verifying | State::Waiting | State::Erased => false,
    }
}

/// The delivery stands there now; its row is written. What is held for another reason is told again.
pub(in crate::store) fn moved(
    conn: Conn<'_>,
    id: DeliveryId,
    before: (State, Option<Reason>),
    now: (State, Option<Reason>),
) -> Op<()> {
    if is_told(now.0) && (before.0 != now.0 || (now.0 == State::Held && before.1 != now.1)) {
        conn.gather(&DELIVERY, params![id.bytes()], params![])?;
    }
    Ok(())
}

/// The delivery was made in this state; its row is written.
pub(in crate::store) fn made(conn: Conn<'_>, id: DeliveryId, state: State) -> Op<()> {
    moved(conn, id, (State::Queued, None), (state, None))
}

/// These were just held or parked together, in a case of their own.
pub(in crate::store) fn in_case(conn: Conn<'_>, case: CaseId) -> Op<()> {
    execute(conn, sql!("webhooks/announce_case", apart), params![case.bytes()]).map(|_| ())
}

/// The application is about to be erased.
pub(in crate::store) fn erasing(conn: Conn<'_>, id: SubmissionId, now: Timestamp) -> Op<()> {
    execute(conn, sql!("webhooks/announce_erasure", apart), params![id.bytes(), micros(now)]).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Statements that write `deliveries.state`, each with what announces it.
    const KNOWN: [&str; 12] = [
        "accept_delivery.sql",          // `made`
        "alike/hold_members.sql",       // `in_case`
        "alike/probe_queue.sql",        // to what goes on by itself
        "alike/release.sql",            // to what goes on by itself
        "delivery_park_unreadable.sql", // `in_case`
        "delivery_save.sql",            // `moved`
        "expire_due.sql",               // to what goes on by itself
        "expire_unknown.sql",           // to what goes on by itself
        "live_queue.sql",               // to what goes on by itself
        "postgres/accept/insert.sql",   // `made`
        "postgres/delivery_save.sql",   // `moved`
        "trace/erase_delivery.sql",     // `erasing`, once for the application
    ];

    fn statements(folder: &Path, prefix: &str) -> Vec<String> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                found.extend(statements(&entry.path(), &format!("{name}/")));
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let moves = text.contains("INSERT INTO deliveries ")
                || text.split_once("UPDATE deliveries ").is_some_and(|(_, rest)| {
                    rest.split(" WHERE ")
                        .next()
                        .is_some_and(|set| set.contains("SET state =") || set.contains(", state ="))
                });
            if moves {
                found.push(name);
            }
        }
        found
    }

    #[test]
    fn every_statement_that_moves_a_delivery_is_known_here() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql/text");
        let mut found = statements(Path::new(folder), "");
        found.sort();
        assert_eq!(found, KNOWN, "say in `announce` what a site is told of it");
    }
}
