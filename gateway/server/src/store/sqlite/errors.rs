//! What a failed statement means: for the one request, for the batch it is in, or for the process.
//!
//! The one place where SQLite's codes are read. A full disk or a lock concerns the whole batch and passes; an error of
//! the disk on a sync or a commit means that what is durable is no longer known, and nothing may be acknowledged again.

use rusqlite::{ErrorCode, ffi};

use crate::store::StoreError;
use crate::store::sql::errors::Stop;

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        classify(&error, Moment::Statement)
    }
}

/// When the error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Statement,
    Commit,
}

/// The table. Texts name SQLite's code and never a value.
pub(crate) fn classify(error: &rusqlite::Error, moment: Moment) -> Stop {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return Stop::Request(match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => StoreError::Corrupt("row"),
            other => StoreError::Failed(format!("query: {}", kind(other))),
        });
    };
    let extended = failure.extended_code;
    match extended & 0xff {
        ffi::SQLITE_IOERR if moment == Moment::Commit || is_sync(extended) => Stop::Fatal(extended),
        ffi::SQLITE_FULL => Stop::Batch(StoreError::Unavailable("the disk is full")),
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => Stop::Batch(StoreError::Unavailable("the database is locked")),
        ffi::SQLITE_READONLY | ffi::SQLITE_CANTOPEN => {
            Stop::Batch(StoreError::Unavailable("the database cannot be written"))
        }
        ffi::SQLITE_NOMEM => Stop::Batch(StoreError::Unavailable("out of memory")),
        ffi::SQLITE_IOERR => Stop::Batch(StoreError::Unavailable("the disk failed")),
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => Stop::Batch(StoreError::Corrupt("database")),
        ffi::SQLITE_CONSTRAINT
            if matches!(extended, ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY) =>
        {
            Stop::Taken
        }
        _ if moment == Moment::Commit => Stop::Batch(StoreError::Failed(format!("commit: SQLite code {extended}"))),
        _ => Stop::Request(StoreError::Failed(format!("SQLite code {extended}"))),
    }
}

/// What to do about a database that is not, or not wholly, what was written.
pub(in crate::store) const DAMAGED: &str = "the database is damaged, or is not ours: move the data directory away, keep it, and \
     bring a backup back with `causeway restore`, which asks for the erasures.log in it";

/// Does the error say that the file is not, or not wholly, what was written?
pub(in crate::store) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

const fn is_sync(extended: i32) -> bool {
    matches!(extended, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC | ffi::SQLITE_IOERR_CLOSE)
}

const fn kind(error: &rusqlite::Error) -> &'static str {
    match error {
        rusqlite::Error::QueryReturnedNoRows => "no rows",
        rusqlite::Error::InvalidParameterCount(..) => "wrong number of parameters",
        rusqlite::Error::InvalidColumnName(..) | rusqlite::Error::InvalidColumnIndex(..) => "no such column",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::{Moment, classify};
    use crate::store::StoreError;
    use crate::store::sql::errors::Stop;
    use rusqlite::ffi;

    fn check(code: i32, moment: Moment) -> Stop {
        classify(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None), moment)
    }

    #[test]
    fn a_failed_sync_ends_the_process_whenever_it_comes() {
        for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC] {
            for moment in [Moment::Statement, Moment::Commit] {
                assert!(matches!(check(code, moment), Stop::Fatal(found) if found == code));
            }
        }
        assert!(matches!(check(ffi::SQLITE_IOERR_WRITE, Moment::Commit), Stop::Fatal(_)));
        assert!(matches!(check(ffi::SQLITE_IOERR_WRITE, Moment::Statement), Stop::Batch(_)));
    }

    #[test]
    fn a_full_disk_or_a_lock_passes() {
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_BUSY, ffi::SQLITE_BUSY_SNAPSHOT, ffi::SQLITE_READONLY] {
            for moment in [Moment::Statement, Moment::Commit] {
                assert!(matches!(check(code, moment), Stop::Batch(StoreError::Unavailable(_))), "{code}");
            }
        }
    }

    #[test]
    fn a_broken_constraint_concerns_one_request() {
        for code in [ffi::SQLITE_CONSTRAINT_UNIQUE, ffi::SQLITE_CONSTRAINT_PRIMARYKEY] {
            assert!(matches!(check(code, Moment::Statement), Stop::Taken));
        }
        assert!(matches!(check(ffi::SQLITE_CONSTRAINT_NOTNULL, Moment::Statement), Stop::Request(_)));
    }
}
