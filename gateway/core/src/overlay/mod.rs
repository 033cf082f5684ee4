//! Account overlays, version 1: how an account fills the vendor's own fields from what an application holds. Data, not code.
//!
//! A document of rules, each one native operation: copy, constant, look up, date, split. Pure: the rules are values, filling
//! ([`fill`]) and judging ([`check`]) are functions of document and fields. Which fields a vendor has is the connector's word
//! or the posting's form; where what was filled goes is the gateway's and the connector's matter.
//!
//! Invariants: a rule fills at most one field and never overrides what a person answered or refused to answer; demographic
//! answers and accommodation requests are no source of anything; an overlay holds no personal data of its own.

mod check;
mod fill;
mod source;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::posting::{FieldKind, QuestionOption};

pub use check::{Asked, faults};
pub use fill::{Filled, NotFilled, filled, into_answers};
pub use source::{Source, SourceFault};

/// A version of an account's mapping, as exported and imported.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// The version of this format: 1.
    pub format: u32,
    /// One for each field that is filled.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Code tables by name, for `look_up`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, BTreeMap<String, String>>,
}

/// The only format there is.
pub const FORMAT: u32 = 1;

/// How one of the vendor's fields is filled. `from` is a [`Source`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// With what stands at the source.
    Copy {
        /// The vendor's field.
        field: String,
        /// The source.
        from: String,
    },
    /// With the same for everybody.
    Constant {
        /// The vendor's field.
        field: String,
        /// What goes in.
        value: Value,
    },
    /// With what a code table has for what stands at the source.
    LookUp {
        /// The vendor's field.
        field: String,
        /// The source.
        from: String,
        /// The table's name.
        table: String,
        /// For what the table does not have; without it the field stays empty then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        otherwise: Option<String>,
    },
    /// With the day at the source, written another way.
    Date {
        /// The vendor's field.
        field: String,
        /// The source: a whole date, or a moment.
        from: String,
        /// As `strftime` has it, such as `%d/%m/%Y`.
        format: String,
    },
    /// With one part of the text at the source.
    Split {
        /// The vendor's field.
        field: String,
        /// The source.
        from: String,
        /// What stands between the parts.
        by: String,
        /// Which part: 0 is the first, -1 the last.
        part: i32,
    },
}

impl Rule {
    /// The vendor's field.
    pub fn field(&self) -> &str {
        match self {
            Self::Copy { field, .. }
            | Self::Constant { field, .. }
            | Self::LookUp { field, .. }
            | Self::Date { field, .. }
            | Self::Split { field, .. } => field,
        }
    }

    /// Where it reads, if it reads.
    pub fn from(&self) -> Option<&str> {
        match self {
            Self::Copy { from, .. }
            | Self::LookUp { from, .. }
            | Self::Date { from, .. }
            | Self::Split { from, .. } => Some(from),
            Self::Constant { .. } => None,
        }
    }

    /// The operation, with its own members but the field, in one line.
    pub fn told(&self, overlay: &Overlay) -> String {
        match self {
            Self::Copy { from, .. } => format!("copy {from}"),
            Self::Constant { value, .. } => format!("constant {value}"),
            Self::LookUp { from, table, otherwise, .. } => {
                let entries = overlay.tables.get(table).map_or(0, BTreeMap::len);
                let else_ = otherwise.as_ref().map_or(String::new(), |text| format!(", else {text:?}"));
                format!("look up {from} in {table} ({entries} entries){else_}")
            }
            Self::Date { from, format, .. } => format!("date {from} as {format}"),
            Self::Split { from, by, part, .. } => format!("split {from} by {by:?}, part {part}"),
        }
    }
}

/// A field of the vendor's that an overlay may fill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendorField {
    /// The name a rule uses: an ATS's question, or `object.property` of a CRM.
    pub name: String,
    /// What the vendor's own pages call it.
    pub label: String,
    /// What goes in.
    pub kind: FieldKind,
    /// What can be chosen, by the vendor's ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<QuestionOption>,
    /// The vendor takes no record without it, and nobody but the overlay fills it.
    #[serde(default)]
    pub required: bool,
}

impl Overlay {
    /// The overlay in this text.
    ///
    /// # Errors
    /// What is wrong with the text, in words that name a place and repeat no value.
    pub fn parse(text: &str) -> Result<Self, String> {
        let overlay: Self = serde_json::from_str(text).map_err(|error| {
            format!("it is no overlay: {} (line {}, column {})", kind(&error), error.line(), error.column())
        })?;
        if overlay.format == FORMAT { Ok(overlay) } else { Err(format!("`format` must be {FORMAT}")) }
    }

    /// The rule that fills this field.
    pub fn rule_for(&self, field: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.field() == field)
    }

    /// What differs from an older version, a line each: `+` new, `-` gone, `~` changed.
    pub fn diff(&self, older: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for rule in &older.rules {
            match self.rule_for(rule.field()) {
                None => lines.push(format!("- {}: {}", rule.field(), rule.told(older))),
                Some(now) if now != rule => {
                    lines.push(format!("~ {}: {} -> {}", rule.field(), rule.told(older), now.told(self)));
                }
                Some(_) => {}
            }
        }
        let new = self.rules.iter().filter(|rule| older.rule_for(rule.field()).is_none());
        lines.extend(new.map(|rule| format!("+ {}: {}", rule.field(), rule.told(self))));
        let names: std::collections::BTreeSet<&String> = self.tables.keys().chain(older.tables.keys()).collect();
        let nothing = BTreeMap::new();
        for name in names {
            let (before, now) = (older.tables.get(name).unwrap_or(&nothing), self.tables.get(name).unwrap_or(&nothing));
            let keys: std::collections::BTreeSet<&String> = before.keys().chain(now.keys()).collect();
            lines.extend(keys.into_iter().filter_map(|key| match (before.get(key), now.get(key)) {
                (Some(old), None) => Some(format!("- table {name}: {key} = {old}")),
                (None, Some(new)) => Some(format!("+ table {name}: {key} = {new}")),
                (Some(old), Some(new)) if old != new => Some(format!("~ table {name}: {key} = {old} -> {new}")),
                (Some(_), Some(_)) | (None, None) => None,
            }));
        }
        lines
    }
}

/// What kind of mistake, without what was written.
fn kind(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => {
            "a member is missing, unknown or of the wrong kind; a rule is {op, field, from, …} with op copy, constant, \
             look_up, date or split"
        }
        serde_json::error::Category::Io => "it cannot be read",
    }
}

#[cfg(test)]
mod tests;
