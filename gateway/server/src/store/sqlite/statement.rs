//! Running one statement on SQLite: prepared once per connection, bound by position, read in place.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, ToSql};

use crate::store::sql::conn::{More, Params, Value};
use crate::store::sql::errors::Op;

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

pub(in crate::store) fn query(
    conn: &Connection,
    sql: &str,
    params: Params<'_>,
    mut read: impl FnMut(&Row<'_>) -> Op<More>,
) -> Op<()> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(params.iter().map(|bind| bind.value())))?;
    while let Some(row) = rows.next()? {
        if read(row)? == More::No {
            break;
        }
    }
    Ok(())
}

pub(in crate::store) fn execute(conn: &Connection, sql: &str, params: Params<'_>) -> Op<usize> {
    Ok(conn.prepare_cached(sql)?.execute(rusqlite::params_from_iter(params.iter().map(|bind| bind.value())))?)
}

/// A column's value, borrowed from the row.
pub(in crate::store) fn value<'a>(row: &'a Row<'_>, index: usize) -> Op<Value<'a>> {
    Ok(match row.get_ref(index)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Text(text) => Value::Text(std::str::from_utf8(text).map_err(rusqlite::Error::from)?),
        ValueRef::Blob(bytes) => Value::Blob(bytes),
        // The schema is strict and has no column of this kind.
        ValueRef::Real(_) => {
            return Err(rusqlite::Error::InvalidColumnType(index, String::new(), rusqlite::types::Type::Real).into());
        }
    })
}
