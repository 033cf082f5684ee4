//! Between columns and our types: ids as 16 bytes, times as microseconds, words as text, lists as JSON.
//!
//! Everything read is checked: a column that does not read back is `Corrupt`, never a default.

use std::str::FromStr;

use causeway_core::ids::{
    AccountId, AttemptId, BlobId, CaseId, DeliveryId, EndpointId, KeyId, MessageId, ReceiptKeyId, SubmissionId,
    TenantId,
};
use jiff::Timestamp;
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Params, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::errors::Op;
use crate::store::StoreError;

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
    fn col<T: FromSql>(&self, name: &'static str) -> Op<T>;

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
    fn col<T: FromSql>(&self, name: &'static str) -> Op<T> {
        Ok(self.get(name)?)
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
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Op<T>,
) -> Op<Option<T>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// Every row.
pub(crate) fn every<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Op<T>,
) -> Op<Vec<T>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// One value, if there is a row.
pub(crate) fn value<T: FromSql>(conn: &Connection, sql: &str, params: impl Params) -> Op<Option<T>> {
    Ok(conn.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()?)
}

/// Runs a statement; how many rows it changed.
pub(crate) fn execute(conn: &Connection, sql: &str, params: impl Params) -> Op<usize> {
    Ok(conn.prepare_cached(sql)?.execute(params)?)
}

/// The text of a statement, from its file.
macro_rules! sql {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sqlite/sql/", $name, ".sql"))
    };
}
pub(crate) use sql;
