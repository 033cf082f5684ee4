//! A ring on the wire: a small JSON object of ids, versioned. It never holds anything about a person.
//!
//! Reading is strict: what is not exactly a ring of this version is told apart as foreign or newer, and is parked by
//! whoever reads. Nothing of what was read goes into an error.

use causeway_core::ids::AccountId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::queue::Traceparent;

/// The version written, and the newest read.
pub const VERSION: u64 = 1;
/// Longer than any ring.
pub const MOST: usize = 512;
/// What a ring calls itself in its properties.
pub const TYPE: &str = "causeway.ring";

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// [`VERSION`].
    pub v: u64,
    /// The account with due work.
    pub account: AccountId,
    /// Its connector, which is the queue's.
    pub connector: String,
    /// When it rang.
    pub rung_at: Timestamp,
    /// The trace it rang within.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Traceparent>,
}

/// Why a message is no ring for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// It is too long to be one.
    #[error("it is longer than a ring can be")]
    TooLong,
    /// It does not read.
    #[error("it is not a ring")]
    Foreign,
    /// A later gateway wrote it.
    #[error("it is of a newer version: update this gateway")]
    Newer,
    /// There is no such account.
    #[error("no account of this gateway has its id")]
    UnknownAccount,
    /// The account is at another vendor, or there is no such vendor.
    #[error("its account is not at the connector that it names, or it came by another's queue")]
    OtherConnector,
}

impl NotOurs {
    /// One word, for a header and a log line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Foreign => "foreign",
            Self::Newer => "newer",
            Self::UnknownAccount => "unknown_account",
            Self::OtherConnector => "other_connector",
        }
    }
}

/// Of any version, its number.
#[derive(Deserialize)]
struct Versioned {
    v: u64,
}

impl Message {
    /// Its bytes.
    ///
    /// # Errors
    /// Never: ids, a name and a time always write.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is no ring of a version that this gateway knows.
    pub fn decode(bytes: &[u8]) -> Result<Self, NotOurs> {
        if bytes.len() > MOST {
            return Err(NotOurs::TooLong);
        }
        let version: Versioned = serde_json::from_slice(bytes).map_err(|_| NotOurs::Foreign)?;
        if version.v > VERSION {
            return Err(NotOurs::Newer);
        }
        let read: Self = serde_json::from_slice(bytes).map_err(|_| NotOurs::Foreign)?;
        if read.v == VERSION { Ok(read) } else { Err(NotOurs::Foreign) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::suite;

    #[test]
    fn only_a_ring_of_this_version_reads() {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
        let ring = Message {
            v: VERSION,
            account: suite::account(1),
            connector: "x".repeat(64),
            rung_at: "2026-11-22T12:00:00.123456789Z".parse().unwrap(),
            traceparent: Some(Traceparent::try_from(trace).unwrap()),
        };
        let bytes = ring.encode().unwrap();
        assert!(bytes.len() <= MOST, "the longest ring fits");
        assert_eq!(Message::decode(&bytes), Ok(ring.clone()));
        let text = String::from_utf8(bytes).unwrap();
        for (bytes, why) in [
            (text.replace("\"v\":1", "\"v\":2"), NotOurs::Newer),
            (text.replace("\"v\":1", "\"v\":9,\"more\":true"), NotOurs::Newer),
            (text.replace("\"v\":1", "\"v\":0"), NotOurs::Foreign),
            (text.replace("\"v\":1", "\"v\":1,\"email\":\"ada@example.org\""), NotOurs::Foreign),
            (text.replace("acc_", "del_"), NotOurs::Foreign),
            (text.replace("00-0af", "00-xxx"), NotOurs::Foreign),
            (format!("{text}{}", " ".repeat(MOST)), NotOurs::TooLong),
            ("{}".to_owned(), NotOurs::Foreign),
            ("hello".to_owned(), NotOurs::Foreign),
            (String::new(), NotOurs::Foreign),
        ] {
            assert_eq!(Message::decode(bytes.as_bytes()), Err(why), "{bytes}");
        }
        assert_eq!(Message::decode(&[0xff, 0x00]), Err(NotOurs::Foreign));
    }
}
