//! Between columns and our types: ids as 16 bytes, times as microseconds, words as text, lists as JSON.
//!
//! Everything read is checked: a column that does not read back is `Corrupt`, never a default.

use std::str::FromStr;

use causeway_core::ids::{
    AccountId, AttemptId, BlobId, CaseId, DeliveryId, EndpointId, KeyId, MessageId, ReceiptKeyId, SubmissionId,
    TenantId,
};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::conn::FromValue;
use super::errors::{Op, Stop};
use crate::store::StoreError;

pub(crate) use super::conn::{Bind, Changes, Conn, Many, More, Params, Row, Sql, params};

/// An id as the store keeps it.
pub(crate) trait StoredId: Copy {
    fn from_stored(uuid: Uuid) -> Self;
    fn bytes(self) -> [u8; 16];
}

macro_rules! stored_id {
    ($($name:ident)*) => { $(
        impl StoredId for $name {
            fn from_stored(uuid: Uuid) -> Self {
                Self::from_uuid(uuid)
            }
            fn bytes(self) -> [u8; 16] {
                self.as_uuid().into_bytes()
            }
        }
    )* };
}

stored_id!(TenantId AccountId SubmissionId DeliveryId AttemptId CaseId BlobId KeyId EndpointId MessageId ReceiptKeyId);

/// Reads columns by name.
pub(crate) trait Columns {
    fn col<T: FromValue>(&self, name: &'static str) -> Op<T>;

    fn id<T: StoredId>(&self, name: &'static str) -> Op<T> {
        let bytes: [u8; 16] = self.col(name)?;
        Ok(T::from_stored(Uuid::from_bytes(bytes)))
    }

    fn maybe_id<T: StoredId>(&self, name: &'static str) -> Op<Option<T>> {
        let bytes: Option<[u8; 16]> = self.col(name)?;
        Ok(bytes.map(|bytes| T::from_stored(Uuid::from_bytes(bytes))))
    }

    fn time(&self, name: &'static str) -> Op<Timestamp> {
        time(self.col(name)?)
    }

    fn maybe_time(&self, name: &'static str) -> Op<Option<Timestamp>> {
        self.col::<Option<i64>>(name)?.map(time).transpose()
    }

    fn word<T: FromStr>(&self, name: &'static str) -> Op<T> {
        self.col::<String>(name)?.parse().map_err(|_| StoreError::Corrupt(name).into())
    }

    fn maybe_word<T: FromStr>(&self, name: &'static str) -> Op<Option<T>> {
        let text: Option<String> = self.col(name)?;
        text.map(|text| text.parse().map_err(|_| StoreError::Corrupt(name).into())).transpose()
    }

    /// A variant of one of our enums, by its serde name.
    fn variant<T: DeserializeOwned>(&self, name: &'static str) -> Op<T> {
        let text: String = self.col(name)?;
        from_json(serde_json::Value::String(text), name)
    }

    fn json<T: DeserializeOwned>(&self, name: &'static str) -> Op<T> {
        let text: String = self.col(name)?;
        serde_json::from_str(&text).map_err(|_| StoreError::Corrupt(name).into())
    }

    fn maybe_json<T: DeserializeOwned>(&self, name: &'static str) -> Op<Option<T>> {
        let text: Option<String> = self.col(name)?;
        text.map(|text| serde_json::from_str(&text).map_err(|_| StoreError::Corrupt(name).into())).transpose()
    }

    fn unsigned<T: TryFrom<i64>>(&self, name: &'static str) -> Op<T> {
        T::try_from(self.col::<i64>(name)?).map_err(|_| StoreError::Corrupt(name).into())
    }
}

impl Columns for Row<'_> {
    fn col<T: FromValue>(&self, name: &'static str) -> Op<T> {
        self.get(name)
    }
}

fn from_json<T: DeserializeOwned>(value: serde_json::Value, name: &'static str) -> Op<T> {
    serde_json::from_value(value).map_err(|_| StoreError::Corrupt(name).into())
}

fn time(micros: i64) -> Op<Timestamp> {
    Timestamp::from_microsecond(micros).map_err(|_| StoreError::Corrupt("time").into())
}

/// A moment as it is stored.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// A moment with the precision the store keeps.
pub(crate) fn as_stored(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

/// A value of ours as JSON text.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Op<String> {
    serde_json::to_string(value).map_err(|_| StoreError::Failed("a value has no JSON form".to_owned()).into())
}

/// The serde name of a variant of one of our enums.
pub(crate) fn variant_text<T: Serialize>(value: &T) -> Op<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => Ok(text),
        Ok(_) | Err(_) => Err(StoreError::Failed("a variant has no text".to_owned()).into()),
    }
}

/// A count for a column.
pub(crate) fn stored(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// The first row, if there is one.
pub(crate) fn first<T>(
    conn: Conn<'_>,
    sql: Sql,
    params: Params<'_>,
    read: impl FnOnce(&Row<'_>) -> Op<T>,
) -> Op<Option<T>> {
    let (mut read, mut found) = (Some(read), None);
    conn.query(sql, params, |row| {
        found = read.take().map(|read| read(row)).transpose()?;
        Ok(More::No)
    })?;
    Ok(found)
}

/// Every row.
pub(crate) fn every<T>(
    conn: Conn<'_>,
    sql: Sql,
    params: Params<'_>,
    mut read: impl FnMut(&Row<'_>) -> Op<T>,
) -> Op<Vec<T>> {
    let mut found = Vec::new();
    conn.query(sql, params, |row| {
        found.push(read(row)?);
        Ok(More::Yes)
    })?;
    Ok(found)
}

/// One value, if there is a row.
pub(crate) fn value<T: FromValue>(conn: Conn<'_>, sql: Sql, params: Params<'_>) -> Op<Option<T>> {
    first(conn, sql, params, |row| row.only())
}

/// Runs a statement; how many rows it changed.
pub(crate) fn execute(conn: Conn<'_>, sql: Sql, params: Params<'_>) -> Op<usize> {
    conn.execute(sql, params)
}

/// Writes a row whose name, or key, another may have: then the request fails with `taken`. How many rows it changed.
pub(crate) fn execute_or_taken(conn: Conn<'_>, sql: Sql, params: Params<'_>, taken: StoreError) -> Op<usize> {
    conn.execute(sql, params).map_err(|stop| match stop {
        Stop::Taken => taken.into(),
        other => other,
    })
}

/// The text of a statement, from its file; `apart` where PostgreSQL has one of its own.
macro_rules! sql {
    ($name:literal) => {
        $crate::store::sql::conn::Sql::of(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/store/sql/text/",
            $name,
            ".sql"
        )))
    };
    ($name:literal, apart) => {
        $crate::store::sql::conn::Sql {
            sqlite: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql/text/", $name, ".sql")),
            postgres: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql/text/postgres/", $name, ".sql")),
        }
    };
}
pub(crate) use sql;

/// A statement for one row, and PostgreSQL's for all: the file's name, the columns, and what each row changes.
macro_rules! many {
    ($name:literal, $columns:literal, $changes:expr) => {
        $crate::store::sql::conn::Many {
            one: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql/text/", $name, ".sql")),
            all: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql/text/postgres/", $name, ".sql")),
            columns: $columns,
            changes: $changes,
        }
    };
}
pub(crate) use many;
