//! Webhooks to the career site, as they are kept: endpoints, and one message for each thing that an endpoint is told.
//!
//! Apart from [`Store`](super::Store): no request and no delivery asks for any of this. The messages themselves are written
//! by the store's own verbs, in the transaction that moves what they tell about; here they are leased, settled, shown and
//! sent again. A message names ids, states and reasons, and nothing personal. The real world and the world of test keys
//! meet nowhere: an endpoint is of one of them and is told of nothing else.

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use causeway_core::delivery::UnknownWord;
use causeway_core::ids::{DeliveryId, EndpointId, MessageId, SubmissionId, TenantId};
use causeway_core::pii::Secret;
use causeway_core::reason::Reason;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Result;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum $name { $($(#[$about])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or(UnknownWord)
            }
        }
    };
}

/// See the module's documentation.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Adds an endpoint with its sealed secret. Audited.
    async fn add_endpoint(&self, endpoint: NewEndpoint) -> Result<Endpoint>;
    /// The endpoints of one tenant, or of all; without those that were removed.
    async fn endpoints(&self, tenant: Option<TenantId>) -> Result<Vec<Endpoint>>;
    /// Destroys its secret; what waited for it is given up, what was sent stays on the page. Audited.
    async fn remove_endpoint(&self, tenant: TenantId, id: EndpointId, actor: &str, now: Timestamp) -> Result<()>;
    /// Signs with this secret from now on, and with the one before besides it until `both_until`. Audited.
    async fn rotate_secret(&self, tenant: TenantId, id: EndpointId, change: NewSecret) -> Result<Endpoint>;
    /// Lets a disabled endpoint get messages again, those that waited included; closes its cases. Audited.
    async fn enable_endpoint(&self, tenant: TenantId, id: EndpointId, actor: &str, now: Timestamp) -> Result<Endpoint>;

    /// Endpoints that run and have a message due.
    async fn due_endpoints(&self, now: Timestamp) -> Result<Vec<EndpointId>>;
    /// Leases due messages, oldest first. One whose lease ran out is due again.
    async fn claim_messages(&self, wish: ClaimMessages) -> Result<Vec<ClaimedMessage>>;
    /// Records what a try came to. `Fenced` when the lease is no longer ours.
    async fn settle_message(&self, claim: &ClaimedMessage, tried: Tried, now: Timestamp) -> Result<()>;
    /// Writes a message of [`EventType::Test`] and leases it: for one try, to an endpoint that may be disabled. Audited.
    async fn begin_test(
        &self,
        tenant: TenantId,
        endpoint: EndpointId,
        actor: &str,
        now: Timestamp,
        lease: Duration,
    ) -> Result<ClaimedMessage>;

    /// A tenant's messages, newest first, a page at a time.
    async fn messages(&self, tenant: TenantId, query: MessageQuery) -> Result<MessagePage>;
    /// Sends messages again, with the ids they had; how many. Tests are not sent again. Audited.
    async fn replay_messages(&self, tenant: TenantId, which: Which, actor: &str, now: Timestamp) -> Result<u64>;
}

words! {
    /// What a message tells.
    EventType {
        /// A delivery waits for a person, or for something that is not known yet.
        Held = "application.held",
        /// A delivery is done.
        Delivered = "application.delivered",
        /// A delivery was refused for good after the application was accepted.
        Refused = "application.refused",
        /// A delivery was given up, and waits as a case.
        Parked = "application.parked",
        /// An operator called a delivery off.
        Cancelled = "application.cancelled",
        /// What is held about the application was erased.
        Erased = "application.erased",
        /// Somebody tries the endpoint.
        Test = "webhook.test",
    }
}

words! {
    /// Where a message stands.
    MessageStatus {
        /// To be sent, or sent again.
        Waiting = "waiting",
        /// The endpoint answered 2xx.
        Delivered = "delivered",
        /// Nothing sends it any more but a replay.
        GivenUp = "given_up",
    }
}

/// An endpoint to add.
#[derive(Debug)]
pub struct NewEndpoint {
    /// Made by the caller.
    pub id: EndpointId,
    /// Whose.
    pub tenant: TenantId,
    /// Where to.
    pub url: String,
    /// What it is told; everything if empty.
    pub events: Vec<EventType>,
    /// It is told of what came with test keys, and of nothing else.
    pub test: bool,
    /// May its host resolve to loopback or private addresses?
    pub allow_private: bool,
    /// What its messages are signed with.
    pub secret: Secret,
    /// Who asked for it.
    pub actor: String,
    /// When.
    pub now: Timestamp,
}

/// A secret that takes another's place.
#[derive(Debug)]
pub struct NewSecret {
    /// The new one.
    pub secret: Secret,
    /// Until when the old one signs too.
    pub both_until: Timestamp,
    /// Who asked for it.
    pub actor: String,
    /// When.
    pub now: Timestamp,
}

/// An endpoint as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose.
    pub tenant: TenantId,
    /// Where to.
    pub url: String,
    /// What it is told; everything if empty.
    pub events: Vec<EventType>,
    /// It is of the world of test keys.
    pub test: bool,
    /// Its host may resolve to loopback or private addresses.
    pub allow_private: bool,
    /// Since when.
    pub created_at: Timestamp,
    /// The first failure since its last success.
    pub failing_since: Option<Timestamp>,
    /// Set while it gets nothing, and why.
    pub disabled: Option<Disabled>,
}

/// Why an endpoint gets nothing. What it would have got waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: Timestamp,
}

/// A wish to lease messages.
#[derive(Debug, Clone)]
pub struct ClaimMessages {
    /// How many at most, of which endpoints.
    pub wants: Vec<(EndpointId, usize)>,
    /// For how long.
    pub lease: Duration,
    /// Now.
    pub now: Timestamp,
}

/// A leased message and everything that sending it takes.
#[derive(Debug, Clone)]
pub struct ClaimedMessage {
    /// The message; this try is counted in it.
    pub message: Message,
    /// Where it goes.
    pub endpoint: Endpoint,
    /// What signs it: the newest first.
    pub secrets: Vec<Secret>,
    /// The lease's number.
    pub fence: u64,
}

/// What a try came to, and what follows. The texts are ours: a status or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// The endpoint took it.
    Delivered {
        /// The status.
        said: String,
    },
    /// Try again then.
    Again {
        /// When.
        at: Timestamp,
        /// What came back.
        said: String,
        /// Disable the endpoint for this: the message waits on.
        disable: Option<Reason>,
    },
    /// No more tries.
    GivenUp {
        /// What came back.
        said: String,
        /// Disable the endpoint for this.
        disable: Option<Reason>,
    },
}

/// A message as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WebhookMessage")]
pub struct Message {
    /// Its id, the same at every try: `webhook-id`.
    pub id: MessageId,
    /// Where it goes.
    pub endpoint: EndpointId,
    /// What it tells.
    pub r#type: EventType,
    /// When that happened.
    pub at: Timestamp,
    /// It is of the world of test keys.
    pub test: bool,
    /// What it is about; nothing for a test of the endpoint.
    pub about: Option<About>,
    /// Where it stands.
    pub status: MessageStatus,
    /// How often it was tried since it was written or last replayed.
    pub attempts: u32,
    /// The last try.
    pub last_at: Option<Timestamp>,
    /// What came back: a status, or why there is none.
    pub last_said: Option<String>,
    /// The next try.
    pub next_at: Option<Timestamp>,
}

/// What a message is about, as it stood then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WebhookAbout")]
pub struct About {
    /// The application.
    pub application: SubmissionId,
    /// The receipt's code.
    pub code: String,
    /// The job, as submitted.
    pub job: String,
    /// The delivery; none when it is about all of them.
    pub delivery: Option<DeliveryId>,
    /// Its account's name.
    pub account: Option<String>,
    /// Where it stood.
    pub state: String,
    /// Why.
    pub reason: Option<Reason>,
}

/// Which messages to show.
#[derive(Debug, Clone, Default)]
pub struct MessageQuery {
    /// Of tests, of the real world, or of both.
    pub test: Option<bool>,
    /// Of one endpoint.
    pub endpoint: Option<EndpointId>,
    /// That stand there.
    pub status: Option<MessageStatus>,
    /// Older than this one: [`MessagePage::next`] of the page before.
    pub before: Option<MessageId>,
    /// At most so many.
    pub limit: usize,
}

/// Messages, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "WebhookPage")]
pub struct MessagePage {
    /// The messages.
    pub messages: Vec<Message>,
    /// There are older ones; ask again with this as `before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<MessageId>,
}

/// Which messages to send again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// This one.
    One(MessageId),
    /// An endpoint's, of what happened at or after `since` and before `until`.
    Range {
        /// The endpoint.
        endpoint: EndpointId,
        /// From.
        since: Timestamp,
        /// To.
        until: Timestamp,
    },
}
