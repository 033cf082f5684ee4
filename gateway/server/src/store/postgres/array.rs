//! Columns of many rows as arrays, which one statement unnests: written once, in the form they are sent in.

use std::error::Error;
use std::fmt;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::store::sql::conn::{Params, Value};

/// The columns of a table's new rows.
#[derive(Debug)]
pub(super) struct Table(pub(super) Vec<Column>);

/// One of them.
pub(super) struct Column {
    of: Type,
    count: i32,
    has_null: bool,
    cells: BytesMut,
}

impl Table {
    /// By a letter for each column: `b`ytes, `i`nteger, `t`ext.
    pub(super) fn new(columns: &str) -> Self {
        let column = |letter| Column {
            of: match letter {
                'b' => Type::BYTEA,
                'i' => Type::INT8,
                _ => Type::TEXT,
            },
            count: 0,
            has_null: false,
            cells: BytesMut::new(),
        };
        Self(columns.chars().map(column).collect())
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: Params<'_>) {
        for (column, cell) in self.0.iter_mut().zip(row) {
            column.push(cell.value());
        }
    }
}

impl Column {
    fn push(&mut self, value: Value<'_>) {
        self.count += 1;
        match value {
            Value::Null => {
                self.has_null = true;
                self.cells.put_i32(-1);
            }
            Value::Int(number) => {
                self.cells.put_i32(8);
                self.cells.put_i64(number);
            }
            Value::Text(text) => self.put(text.as_bytes()),
            Value::Blob(bytes) => self.put(bytes),
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        // Longer than the protocol's largest message cannot be sent in any form.
        self.cells.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        self.cells.put_slice(bytes);
    }

    /// The array's type.
    pub(super) fn declared(&self) -> Type {
        match self.of {
            Type::BYTEA => Type::BYTEA_ARRAY,
            Type::INT8 => Type::INT8_ARRAY,
            _ => Type::TEXT_ARRAY,
        }
    }
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.count, self.of.name())
    }
}

impl ToSql for Column {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_i32(i32::from(self.count > 0));
        out.put_i32(i32::from(self.has_null));
        out.put_u32(self.of.oid());
        if self.count > 0 {
            out.put_i32(self.count);
            out.put_i32(1);
            out.put_slice(&self.cells);
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::Table;
    use crate::store::sql::conn::params;
    use bytes::BytesMut;
    use tokio_postgres::types::{FromSql, ToSql, Type};

    #[test]
    fn columns_read_back_as_arrays() {
        let mut table = Table::new("bit");
        table.push(params![[1u8, 2], 7i64, "Ada"]);
        table.push(params![None::<Vec<u8>>, -1i64, None::<String>]);
        let written = |column: usize| {
            let mut out = BytesMut::new();
            table.0[column].to_sql(&table.0[column].declared(), &mut out).unwrap();
            out
        };
        let blobs = Vec::<Option<Vec<u8>>>::from_sql(&Type::BYTEA_ARRAY, &written(0)).unwrap();
        assert_eq!(blobs, [Some(vec![1, 2]), None]);
        assert_eq!(Vec::<i64>::from_sql(&Type::INT8_ARRAY, &written(1)).unwrap(), [7, -1]);
        let texts = Vec::<Option<String>>::from_sql(&Type::TEXT_ARRAY, &written(2)).unwrap();
        assert_eq!(texts, [Some("Ada".to_owned()), None]);
        assert!(!format!("{table:?}").contains("Ada"));
    }
}
