//! Typed identifiers: a prefix that says what the thing is, and a time-ordered UUID (version 7).
//!
//! Ids carry no personal data and may appear in logs, URLs and queue messages. Two kinds never mix: each is its own type.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::clock::Entropy;

/// A text that is not an id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {prefix}_ followed by 32 hexadecimal digits")]
pub struct NotAnId {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

/// A version 7 UUID from the given moment and randomness.
pub fn uuid_at(now: Timestamp, entropy: &dyn Entropy) -> Uuid {
    let mut random = [0u8; 10];
    entropy.fill(&mut random);
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// What stands before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id, ordered by `now`.
            pub fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(uuid_at(now, entropy))
            }

            /// The id that was stored as these 16 bytes.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The 16 bytes to store.
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|hex| hex.len() == 32)
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or(NotAnId { prefix: $prefix })
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": concat!("^", $prefix, "_[0-9a-fA-F]{32}$") })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(/// A customer company.
    TenantId, "ten");
id!(/// A tenant's credentials and settings at one connector.
    AccountId, "acc");
id!(/// What a site sent, accepted or refused. An application keeps its submission's id.
    SubmissionId, "sub");
id!(/// One thing to be carried to one account.
    DeliveryId, "del");
id!(/// One try of a step.
    AttemptId, "att");
id!(/// Something a human should look at.
    CaseId, "cas");
id!(/// A stored attachment's ciphertext.
    BlobId, "blb");
id!(/// An API key's public part.
    KeyId, "key");
id!(/// A URL of the career site that webhooks go to.
    EndpointId, "whe");
id!(/// A key that signs receipts.
    ReceiptKeyId, "rck");
id!(/// One webhook to one endpoint; the same however often it is sent.
    MessageId, "msg");

#[cfg(test)]
mod tests {
    use super::{AccountId, NotAnId, TenantId};
    use crate::clock::SeededEntropy;

    #[test]
    fn ids_survive_text_and_refuse_other_kinds() {
        let entropy = SeededEntropy::new(7);
        let id = TenantId::new(jiff::Timestamp::UNIX_EPOCH, &entropy);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().parse::<AccountId>(), Err(NotAnId { prefix: "acc" }));
        assert_eq!("ten_short".parse::<TenantId>(), Err(NotAnId { prefix: "ten" }));
    }

    #[test]
    fn ids_made_later_sort_later() {
        let entropy = SeededEntropy::new(7);
        let first = TenantId::new(jiff::Timestamp::UNIX_EPOCH, &entropy);
        let later = TenantId::new(jiff::Timestamp::from_second(1).unwrap(), &entropy);
        assert!(first < later);
    }
}
