//! What a failed statement means: for the one request, for its batch, for the connection, and for who runs the database.
//!
//! The one place where SQLSTATEs are read. Texts name the state, a remedy, and never a value: PostgreSQL's own messages
//! quote rows. Nothing here ends the process: what is durable is the server's business, and it says so with a commit or
//! does not.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::store::StoreError;
use crate::store::sql::errors::Stop;
use crate::trust::{Fault, Named};

/// What is to be done about the transaction, beside answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Then {
    /// It is rolled back, wholly or to the request before.
    RollBack,
    /// Two transactions were in each other's way: the same again goes well.
    Again,
    /// The connection is of no more use; on another one the same may go well.
    Reconnect,
}

/// What one line of the table says.
struct Line {
    states: &'static [SqlState],
    then: Then,
    means: Means,
}

enum Means {
    /// It passes by itself.
    Unavailable(&'static str),
    /// Somebody has to do something first.
    Remedy(&'static str),
    /// A unique or primary key is taken.
    Taken,
    /// What is stored is damaged.
    Corrupt,
}

use Means::{Corrupt, Remedy, Taken, Unavailable};
use Then::{Again, Reconnect, RollBack};

/// The table.
static TABLE: &[Line] = &[
    Line { states: &[SqlState::UNIQUE_VIOLATION], then: RollBack, means: Taken },
    Line {
        states: &[SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED],
        then: Again,
        means: Unavailable("the database is contended"),
    },
    // There are no other checks: a partition was made while the row was on its way to where it would have been.
    Line {
        states: &[SqlState::CHECK_VIOLATION],
        then: Again,
        means: Unavailable("a partition was made at this moment"),
    },
    Line { states: &[SqlState::LOCK_NOT_AVAILABLE], then: Again, means: Unavailable("the database is locked") },
    Line { states: &[SqlState::QUERY_CANCELED], then: RollBack, means: Unavailable("the database took too long") },
    Line {
        states: &[SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT],
        then: Reconnect,
        means: Unavailable("the gateway took too long in a transaction"),
    },
    Line {
        states: &[
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::CONNECTION_EXCEPTION,
            SqlState::CONNECTION_DOES_NOT_EXIST,
            SqlState::CONNECTION_FAILURE,
            SqlState::SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
            SqlState::SQLSERVER_REJECTED_ESTABLISHMENT_OF_SQLCONNECTION,
            SqlState::PROTOCOL_VIOLATION,
        ],
        then: Reconnect,
        means: Unavailable("the database is restarting or out of reach"),
    },
    Line {
        states: &[SqlState::READ_ONLY_SQL_TRANSACTION],
        then: Reconnect,
        means: Unavailable("the database only reads: it is a standby; point store.dsn at the primary"),
    },
    Line {
        states: &[SqlState::TOO_MANY_CONNECTIONS],
        then: Reconnect,
        means: Unavailable(
            "the database has no connection left: raise max_connections, or lower store.writers and store.readers",
        ),
    },
    Line { states: &[SqlState::DISK_FULL], then: RollBack, means: Unavailable("the database's disk is full") },
    Line {
        states: &[SqlState::INSUFFICIENT_RESOURCES, SqlState::OUT_OF_MEMORY, SqlState::CONFIGURATION_LIMIT_EXCEEDED],
        then: RollBack,
        means: Unavailable("the database is out of memory or of locks"),
    },
    Line {
        states: &[SqlState::IO_ERROR, SqlState::SYSTEM_ERROR],
        then: Reconnect,
        means: Unavailable("the database's disk fails"),
    },
    Line { states: &[SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED], then: RollBack, means: Corrupt },
    Line {
        states: &[
            SqlState::UNDEFINED_TABLE,
            SqlState::UNDEFINED_COLUMN,
            SqlState::UNDEFINED_FUNCTION,
            SqlState::INVALID_SCHEMA_NAME,
        ],
        then: RollBack,
        means: Remedy("the database lacks something this program needs: run `causeway migrate`"),
    },
    Line {
        states: &[SqlState::INSUFFICIENT_PRIVILEGE],
        then: RollBack,
        means: Remedy("the role of store.dsn lacks a grant: run `causeway migrate` as the owner, which grants it"),
    },
    Line {
        states: &[SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION],
        then: Reconnect,
        means: Remedy("the database refuses the role or its password: check store.dsn and pg_hba.conf"),
    },
    Line {
        states: &[SqlState::INVALID_CATALOG_NAME],
        then: Reconnect,
        means: Remedy("there is no such database: create it, or check the name in store.dsn"),
    },
    Line {
        states: &[
            SqlState::INVALID_SQL_STATEMENT_NAME,
            SqlState::DUPLICATE_PSTATEMENT,
            SqlState::FEATURE_NOT_SUPPORTED,
        ],
        then: Reconnect,
        means: Unavailable(
            "a prepared statement is gone or stale; if store.dsn leads to a pooler, set store.pooler = true",
        ),
    },
];

/// The table's answer to an error of a statement.
pub(super) fn classify(error: &Error) -> (Stop, Then) {
    let Some(state) = error.code() else { return unnamed(error) };
    let line = TABLE.iter().find(|line| line.states.contains(state));
    let Some(Line { then, means, .. }) = line else {
        let failed = StoreError::Failed(format!("SQLSTATE {}", state.code()));
        return (Stop::Request(failed), RollBack);
    };
    let stop = match means {
        Taken => Stop::Taken,
        Unavailable(why) => Stop::Batch(StoreError::Unavailable(why)),
        Remedy(what) => Stop::Batch(StoreError::Failed(format!("{what} (SQLSTATE {})", state.code()))),
        Corrupt => Stop::Batch(StoreError::Corrupt("database")),
    };
    (stop, *then)
}

/// An error that is not the server's: the connection's, or a value that does not fit its column.
fn unnamed(error: &Error) -> (Stop, Then) {
    let is_io = error.source().is_some_and(|source| source.downcast_ref::<std::io::Error>().is_some());
    if error.is_closed() || is_io {
        return (Stop::Batch(StoreError::Unavailable("the connection to the database was lost")), Reconnect);
    }
    // The driver's own words name a position and a type.
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    (Stop::Request(StoreError::Failed(format!("query: {error}{source}"))), RollBack)
}

/// Why there is no connection, with what to do.
pub(super) fn cannot_connect(error: &Error) -> StoreError {
    if error.code().is_some() {
        return classify(error).0.into();
    }
    if let Some(fault) = Fault::of(error) {
        return StoreError::Failed(fault.told(&NAMED));
    }
    if error.to_string().contains("TLS") {
        return StoreError::Failed(
            "the database does not speak TLS: switch its ssl on, or say sslmode=disable in store.dsn".to_owned(),
        );
    }
    StoreError::Unavailable("the database cannot be reached: check that it runs and the host and port of store.dsn")
}

/// What [`Fault::told`] calls it.
const NAMED: Named = Named {
    server: "the database",
    authorities: "sslrootcert in store.dsn",
    address: "store.dsn",
    clients: "take clientcert from its pg_hba.conf",
};

#[cfg(test)]
mod tests {
    use super::{Means, TABLE, Then};

    #[test]
    fn every_state_stands_in_one_line() {
        let mut all: Vec<&str> = TABLE.iter().flat_map(|line| line.states).map(|state| state.code()).collect();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn what_needs_a_person_names_what_to_do() {
        for line in TABLE {
            if let Means::Remedy(text) = line.means {
                assert!(text.contains(':'), "{text}");
                assert_ne!(line.then, Then::Again, "{text}");
            }
        }
    }
}
