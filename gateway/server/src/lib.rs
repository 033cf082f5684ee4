//! The gateway as a library, in the order an application travels.

pub mod store;

pub mod support;

pub mod admin;
pub mod cli;
pub mod demo;
pub mod gateway;
pub mod setup;

pub mod clock;
pub mod config;
pub mod telemetry;

mod ingress {
    pub(crate) struct ApiKey {
        pub(crate) id: causeway_core::ids::KeyId,
        pub(crate) text: causeway_core::pii::Secret,
        pub(crate) hash: [u8; 32],
    }
    impl ApiKey {
        pub(crate) fn generate(now: jiff::Timestamp, entropy: &dyn causeway_core::clock::Entropy) -> Self {
            Self {
                id: causeway_core::ids::KeyId::new(now, entropy),
                text: causeway_core::pii::Secret::new(""),
                hash: [0; 32],
            }
        }
    }
}
