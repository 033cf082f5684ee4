//! Values on their way to PostgreSQL and back: integers, texts, bytes and NULL, whatever width the column has.
//!
//! A parameter says its type where it has one, so that a comparison is not planned with too narrow a one; what the server
//! made of it decides how it is written. A value never appears in a debug text: the driver prints parameters when it logs.

use std::error::Error;
use std::fmt;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::store::sql::conn::Value;

/// A parameter.
#[derive(Clone, Copy)]
pub(super) struct Parameter<'a>(pub(super) Value<'a>);

impl Parameter<'_> {
    /// The type it is declared with.
    pub(super) const fn declared(&self) -> Type {
        match self.0 {
            Value::Null => Type::UNKNOWN,
            Value::Int(_) => Type::INT8,
            Value::Text(_) => Type::TEXT,
            Value::Blob(_) => Type::BYTEA,
        }
    }
}

impl fmt::Debug for Parameter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.declared().name())
    }
}

impl ToSql for Parameter<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self.0, ty) {
            (Value::Null, _) => return Ok(IsNull::Yes),
            (Value::Int(number), &Type::INT8) => out.put_i64(number),
            (Value::Int(number), &Type::INT4) => out.put_i32(number.try_into()?),
            (Value::Int(number), &Type::INT2) => out.put_i16(number.try_into()?),
            (Value::Int(number), &Type::BOOL) => out.put_u8(u8::from(number != 0)),
            (Value::Text(text), &Type::TEXT | &Type::VARCHAR | &Type::NAME | &Type::UNKNOWN) => {
                out.put_slice(text.as_bytes());
            }
            (Value::Blob(bytes), &Type::BYTEA) => out.put_slice(bytes),
            (Value::Int(_) | Value::Text(_) | Value::Blob(_), other) => {
                return Err(format!("a value for a column of type {}", other.name()).into());
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// What a column holds.
pub(super) struct Stored<'a>(pub(super) Value<'a>);

impl<'a> FromSql<'a> for Stored<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(match *ty {
            Type::INT8 => Value::Int(i64::from_be_bytes(raw.try_into()?)),
            Type::INT4 => Value::Int(i32::from_be_bytes(raw.try_into()?).into()),
            Type::INT2 => Value::Int(i16::from_be_bytes(raw.try_into()?).into()),
            Type::BOOL => Value::Int(i64::from(raw == [1])),
            Type::TEXT | Type::VARCHAR | Type::NAME | Type::UNKNOWN => Value::Text(std::str::from_utf8(raw)?),
            Type::BYTEA => Value::Blob(raw),
            _ => return Err(format!("a column of type {}", ty.name()).into()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{Parameter, Stored};
    use crate::store::sql::conn::Value;
    use bytes::BytesMut;
    use tokio_postgres::types::{FromSql, ToSql, Type};

    fn check(value: Value<'_>, ty: &Type) {
        let mut out = BytesMut::new();
        Parameter(value).to_sql(ty, &mut out).unwrap();
        assert_eq!(Stored::from_sql(ty, &out).unwrap().0, value);
    }

    #[test]
    fn what_is_written_reads_back_in_every_width() {
        for ty in [Type::INT2, Type::INT4, Type::INT8] {
            check(Value::Int(-7), &ty);
        }
        check(Value::Int(1), &Type::BOOL);
        check(Value::Text("Ada"), &Type::TEXT);
        check(Value::Blob(&[0, 255]), &Type::BYTEA);
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_nothing_is_printed() {
        let mut out = BytesMut::new();
        assert!(Parameter(Value::Int(1 << 40)).to_sql(&Type::INT4, &mut out).is_err());
        assert!(Parameter(Value::Text("Ada")).to_sql(&Type::INT8, &mut out).is_err());
        assert!(!format!("{:?}", Parameter(Value::Text("Ada"))).contains("Ada"));
    }
}
