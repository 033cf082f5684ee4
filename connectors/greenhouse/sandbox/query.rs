//! Reading a Harvest v3 list query: the cursor that must travel alone, comma lists of ids, piped time ranges (B.2, G 1.3).
//!
//! Parameters that are not known are ignored, as a recording shows (G 9, 21).

use std::collections::HashSet;

use http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Call, Reply, parse_time};

/// At most 50 in a comma list (B.2, third-party).
const IDS_MAX: usize = 50;

/// The filters in force and where to go on.
#[derive(Debug)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
    /// Only records with an id below this one.
    pub(super) below: Option<u64>,
    pub(super) per_page: usize,
}

/// Bounds in milliseconds, both inclusive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Times {
    pub(super) fn contain(self, at: i64) -> bool {
        self.from <= at && at <= self.to
    }
}

impl Query {
    pub(super) fn read(call: &Call) -> Result<Self, Reply> {
        let Some(cursor) = call.query("cursor") else { return Self::of(call.query.clone(), None) };
        if call.query.len() > 1 {
            let said = json!({ "errors": ["When passing a cursor, do not include other query params."] });
            return Err(Reply::json(StatusCode::UNPROCESSABLE_ENTITY, &said));
        }
        let decoded = data_encoding::BASE64URL_NOPAD.decode(cursor.as_bytes()).ok();
        let decoded = decoded.and_then(|bytes| serde_json::from_slice::<(u64, Vec<(String, String)>)>(&bytes).ok());
        let (below, pairs) = decoded.ok_or_else(|| invalid("cursor"))?;
        Self::of(pairs, Some(below))
    }

    fn of(pairs: Vec<(String, String)>, below: Option<u64>) -> Result<Self, Reply> {
        let mut query = Self { pairs, below, per_page: 100 };
        if let Some(text) = query.get("per_page") {
            let per_page = text.parse().ok().filter(|count| (1..=500).contains(count));
            query.per_page = per_page.ok_or_else(|| invalid("per_page"))?;
        }
        Ok(query)
    }

    /// The cursor of the page that follows the record with this id.
    pub(super) fn cursor(&self, last_id: u64) -> String {
        let cursor = json!([last_id, self.pairs]).to_string();
        data_encoding::BASE64URL_NOPAD.encode(cursor.as_bytes())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A comma list of ids.
    pub(super) fn ids(&self, name: &str) -> Result<Option<HashSet<u64>>, Reply> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let ids: Result<HashSet<u64>, _> = text.split(',').map(|id| id.trim().parse()).collect();
        let ids = ids.map_err(|_| invalid(name))?;
        if text.split(',').count() > IDS_MAX { Err(invalid(name)) } else { Ok(Some(ids)) }
    }

    /// `gte|A|lte|B` and the like.
    pub(super) fn times(&self, name: &str) -> Result<Times, Reply> {
        let mut times = Times { from: i64::MIN, to: i64::MAX };
        let Some(text) = self.get(name) else { return Ok(times) };
        let words: Vec<&str> = text.split('|').collect();
        for pair in words.chunks(2) {
            let &[operator, at] = pair else { return Err(invalid(name)) };
            let at = parse_time(at).ok_or_else(|| invalid(name))?;
            match operator {
                "gte" => times.from = at,
                "gt" => times.from = at + 1,
                "lte" => times.to = at,
                "lt" => times.to = at - 1,
                _ => return Err(invalid(name)),
            }
        }
        Ok(times)
    }

    /// The record reduced to the fields asked for.
    pub(super) fn fields(&self, mut record: Value) -> Value {
        if let (Some(names), Some(members)) = (self.get("fields"), record.as_object_mut()) {
            let names: HashSet<&str> = names.split(',').map(str::trim).collect();
            members.retain(|name, _| names.contains(name.as_str()));
        }
        record
    }
}

/// 422 in Harvest's shape (G 1.2, B.5); the words for this case are not recorded.
pub(super) fn invalid(field: &str) -> Reply {
    let errors = json!([{ "message": "is invalid", "field": field }]);
    Reply::json(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "message": "Validation error", "errors": errors }))
}
