//! One connection inside a transaction, whichever engine it is of, and what passes over it: statements, values, rows.
//!
//! Verbs are written once, against this; it is the only place that knows there is more than one engine. It decides nothing:
//! what a failed statement means is the engine's table, what a column means is `rows`. Integers, texts and bytes are all
//! that is stored, and NULL; both schemas keep flags as 0 and 1 and times as microseconds.

use std::time::Duration;

use super::errors::Op;
use crate::store::{StoreError, postgres, sqlite};

/// A statement's text for each engine. Parameters are `?1`, `?2`, … in both.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sql {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl Sql {
    /// A text that both engines take.
    pub(crate) const fn of(text: &'static str) -> Self {
        Self { sqlite: text, postgres: text }
    }
}

/// A parameter's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

/// What can be a parameter.
pub(crate) trait Bind {
    fn value(&self) -> Value<'_>;
}

/// The parameters of one statement, in order.
pub(crate) type Params<'a> = &'a [&'a dyn Bind];

/// Parameters, written as the statement counts them.
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::store::sql::conn::Bind),*] as &[&dyn $crate::store::sql::conn::Bind]
    };
}
pub(crate) use params;

macro_rules! bind {
    ($($type:ty: $self:ident => $value:expr;)*) => { $(
        impl Bind for $type {
            fn value(&$self) -> Value<'_> {
                $value
            }
        }
    )* };
}

bind! {
    i64: self => Value::Int(*self);
    i32: self => Value::Int(i64::from(*self));
    u32: self => Value::Int(i64::from(*self));
    u16: self => Value::Int(i64::from(*self));
    u8: self => Value::Int(i64::from(*self));
    bool: self => Value::Int(i64::from(*self));
    str: self => Value::Text(self);
    String: self => Value::Text(self);
    [u8]: self => Value::Blob(self);
    Vec<u8>: self => Value::Blob(self);
}

impl<const N: usize> Bind for [u8; N] {
    fn value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl<T: Bind + ?Sized> Bind for &T {
    fn value(&self) -> Value<'_> {
        (**self).value()
    }
}

impl<T: Bind> Bind for Option<T> {
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, Bind::value)
    }
}

/// What a type is read from.
pub(crate) trait FromValue: Sized {
    /// `None` when it is none.
    fn from_value(value: Value<'_>) -> Option<Self>;
}

impl FromValue for i64 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Int(number) => Some(number),
            Value::Null | Value::Text(_) | Value::Blob(_) => None,
        }
    }
}

impl FromValue for u16 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for u32 {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value)?.try_into().ok()
    }
}

impl FromValue for bool {
    fn from_value(value: Value<'_>) -> Option<Self> {
        i64::from_value(value).map(|number| number != 0)
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.to_owned()),
            Value::Null | Value::Int(_) | Value::Blob(_) => None,
        }
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Blob(bytes) => Some(bytes.to_vec()),
            Value::Null | Value::Int(_) | Value::Text(_) => None,
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Blob(bytes) => bytes.try_into().ok(),
            Value::Null | Value::Int(_) | Value::Text(_) => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            other => T::from_value(other).map(Some),
        }
    }
}

/// A connection inside a transaction.
#[derive(Clone, Copy)]
pub(crate) enum Conn<'a> {
    Sqlite(&'a rusqlite::Connection),
    Postgres(&'a postgres::Session),
}

/// A row, until the next one is read.
pub(crate) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a postgres::Row),
}

/// Whether more rows are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum More {
    Yes,
    No,
}

/// How many rows a statement has to change that is not waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changes {
    /// One, or the request is `Fenced`.
    One,
    Any,
}

/// A statement that writes one row, and the same for all rows that a batch writes so.
#[derive(Debug)]
pub(crate) struct Many {
    pub(crate) one: &'static str,
    /// PostgreSQL's. Its parameters are the columns, as arrays.
    pub(crate) all: &'static str,
    /// A letter for each column of it: `b`ytes, `i`nteger, `t`ext.
    pub(crate) columns: &'static str,
    /// By each row.
    pub(crate) changes: Changes,
}

impl Conn<'_> {
    /// Hands each row to `read` until it has enough.
    pub(crate) fn query(self, sql: Sql, params: Params<'_>, mut read: impl FnMut(&Row<'_>) -> Op<More>) -> Op<()> {
        match self {
            Self::Sqlite(conn) => sqlite::statement::query(conn, sql.sqlite, params, |row| read(&Row::Sqlite(row))),
            Self::Postgres(session) => {
                for row in session.query(sql.postgres, params)? {
                    if read(&Row::Postgres(&row))? == More::No {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    /// [`Conn::query`] for what may be far more than is wanted, or than fits in memory: rows come as they are read.
    pub(crate) fn stream(self, sql: Sql, params: Params<'_>, mut read: impl FnMut(&Row<'_>) -> Op<More>) -> Op<()> {
        match self {
            Self::Sqlite(_) => self.query(sql, params, read),
            Self::Postgres(session) => session.stream(sql.postgres, params, |row| read(&Row::Postgres(row))),
        }
    }

    /// Nothing that is asked in this transaction from here on takes longer, on a server that others use too.
    pub(crate) fn limit(self, time: Duration) -> Op<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(session) => session.batch(&format!("SET LOCAL statement_timeout = {}", time.as_millis())),
        }
    }

    /// [`Conn::query`] for each of these ids, in no order: PostgreSQL's statement takes them all at once.
    pub(crate) fn query_each(self, sql: Sql, ids: &[[u8; 16]], mut read: impl FnMut(&Row<'_>) -> Op<()>) -> Op<()> {
        match self {
            Self::Sqlite(_) => {
                ids.iter().try_for_each(|id| self.query(sql, params![id], |row| read(row).map(|()| More::Yes)))
            }
            Self::Postgres(session) => {
                session.query_ids(sql.postgres, ids)?.iter().try_for_each(|row| read(&Row::Postgres(row)))
            }
        }
    }

    /// Runs a statement whose answer is known by the commit at the latest, and fails its request like one that is waited
    /// for. What is asked later on the connection sees what it did.
    pub(crate) fn execute_later(self, sql: Sql, params: Params<'_>, changes: Changes) -> Op<()> {
        match self {
            Self::Sqlite(conn) => match sqlite::statement::execute(conn, sql.sqlite, params)? {
                1 => Ok(()),
                _ if changes == Changes::Any => Ok(()),
                _ => Err(StoreError::Fenced.into()),
            },
            Self::Postgres(session) => session.execute_later(sql.postgres, params, changes),
        }
    }

    /// [`Conn::execute_later`] for what others of the batch write too: in one statement for all, before anything else is
    /// asked and in the order in which they were first written. `walled`: the columns, last, that only PostgreSQL has.
    pub(crate) fn gather(self, many: &'static Many, params: Params<'_>, walled: Params<'_>) -> Op<()> {
        match self {
            Self::Sqlite(_) => self.execute_later(Sql::of(many.one), params, many.changes),
            Self::Postgres(session) => {
                session.gather(many, &[params, walled].concat());
                Ok(())
            }
        }
    }

    /// Runs a statement; how many rows it changed.
    pub(crate) fn execute(self, sql: Sql, params: Params<'_>) -> Op<usize> {
        match self {
            Self::Sqlite(conn) => sqlite::statement::execute(conn, sql.sqlite, params),
            Self::Postgres(session) => session.execute(sql.postgres, params),
        }
    }
}

impl Row<'_> {
    /// A column by its name. What is not of the type is `Corrupt`.
    pub(crate) fn get<T: FromValue>(&self, name: &str) -> Op<T> {
        let found = match self {
            Self::Sqlite(row) => T::from_value(sqlite::statement::value(row, row.as_ref().column_index(name)?)?),
            Self::Postgres(row) => T::from_value(row.value(name)?),
        };
        found.ok_or_else(|| StoreError::Corrupt("row").into())
    }

    /// The first column.
    pub(crate) fn only<T: FromValue>(&self) -> Op<T> {
        let found = match self {
            Self::Sqlite(row) => T::from_value(sqlite::statement::value(row, 0)?),
            Self::Postgres(row) => T::from_value(row.first()?),
        };
        found.ok_or_else(|| StoreError::Corrupt("row").into())
    }
}
