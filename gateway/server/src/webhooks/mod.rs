//! Webhooks to the career site: what was written beside a move is signed and sent, again and again until it was taken.
//!
//! Reads due messages under leases, a few of each endpoint at once, so that a site that hangs delays no other. The store is
//! the truth and the row is the timer: at least once, under an id that stays the same, in no promised order. What follows
//! a failed try is the pure retry policy's word; an endpoint that fails for days, or says that it is gone, is disabled
//! with a case, and what it would have got waits. It knows no vendor and opens no document.

pub mod http;
mod payload;
mod sign;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use causeway_core::clock::{Clock, Entropy};
use causeway_core::connector::SendError;
use causeway_core::delivery::Idempotency;
use causeway_core::ids::{EndpointId, TenantId};
use causeway_core::outcome::{Class, Outcome};
use causeway_core::pii::Secret;
use causeway_core::reason::Reason;
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::machines;
use crate::config::live::Live;
use crate::egress::{SiteAnswer, SiteClient};
use crate::retry::{self, Follow, RetryPolicy, Situation};
use crate::store::webhooks::{ClaimMessages, ClaimedMessage, Tried, Webhooks};
use crate::store::{self, StoreError};
use crate::telemetry::figures::Counters;
use crate::telemetry::metrics::{self, Page};

/// A new secret, as the site is given it.
pub fn new_secret(entropy: &dyn Entropy) -> Secret {
    sign::new_secret(entropy)
}

/// The figures.
#[derive(Debug, Clone)]
pub struct WebhookPolicy {
    /// How often the store is asked for what is due.
    pub look: Duration,
    /// Messages of one endpoint on the wire at once.
    pub at_once: usize,
    /// Messages of all endpoints on the wire at once.
    pub at_once_in_all: usize,
    /// A lease; longer than one try takes.
    pub lease: Duration,
    /// An endpoint that has failed for so long without a success is disabled.
    pub patience: Duration,
}

impl Default for WebhookPolicy {
    fn default() -> Self {
        Self {
            look: Duration::from_millis(500),
            at_once: 4,
            at_once_in_all: 64,
            lease: Duration::from_secs(60),
            patience: Duration::from_hours(3 * 24),
        }
    }
}

/// What it is made of.
pub struct SenderParts {
    /// The truth.
    pub store: Arc<dyn Webhooks>,
    /// The way out.
    pub client: Arc<SiteClient>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub entropy: Arc<dyn Entropy>,
    /// When a failed one is tried again.
    pub retry: Live<RetryPolicy>,
    /// The figures.
    pub policy: WebhookPolicy,
}

/// See the module's documentation.
pub struct Sender {
    parts: SenderParts,
    sent: Counters<bool>,
}

/// What is on the wire, by endpoint.
type OnTheWire = BTreeMap<EndpointId, usize>;

impl Sender {
    /// Sends nothing yet.
    pub fn new(parts: SenderParts) -> Arc<Self> {
        Arc::new(Self { parts, sent: Counters::default() })
    }

    /// Onto the page.
    pub fn put(&self, page: &mut Page) {
        let sent = self.sent.read();
        for (taken, outcome) in [(true, "taken"), (false, "failed")] {
            page.put(&metrics::WEBHOOKS, &[outcome], sent.get(&taken).copied().unwrap_or(0));
        }
    }

    /// Sends until told to stop, then lets what is on the wire end. A try that panics is logged; its lease brings the
    /// message back.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut tries = JoinSet::new();
        let mut on_the_wire = OnTheWire::new();
        let mut look = tokio::time::interval(self.parts.policy.look.max(Duration::from_millis(10)));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = look.tick() => {}
                Some(ended) = tries.join_next() => {
                    forget(&mut on_the_wire, &ended);
                    while let Some(ended) = tries.try_join_next() {
                        forget(&mut on_the_wire, &ended);
                    }
                }
            }
            match self.claim(&on_the_wire).await {
                Ok(claims) => {
                    for claim in claims {
                        let endpoint = claim.endpoint.id;
                        *on_the_wire.entry(endpoint).or_default() += 1;
                        let sender = Arc::clone(&self);
                        tries.spawn(async move {
                            if AssertUnwindSafe(sender.one(&claim)).catch_unwind().await.is_err() {
                                tracing::error!(message = %claim.message.id, "sending a webhook panicked");
                            }
                            endpoint
                        });
                    }
                }
                Err(error) => tracing::error!(%error, "due webhooks could not be read; they come again"),
            }
        }
        while tries.join_next().await.is_some() {}
    }

    /// As many of each endpoint as may be on the wire, and no more than that in all.
    async fn claim(&self, on_the_wire: &OnTheWire) -> store::Result<Vec<ClaimedMessage>> {
        let (now, policy) = (self.parts.clock.now(), &self.parts.policy);
        let mut left = policy.at_once_in_all.saturating_sub(on_the_wire.values().sum());
        let mut wants = Vec::new();
        for endpoint in self.parts.store.due_endpoints(now).await? {
            let busy = on_the_wire.get(&endpoint).copied().unwrap_or(0);
            let want = policy.at_once.saturating_sub(busy).min(left);
            if want > 0 {
                wants.push((endpoint, want));
                left -= want;
            }
        }
        if wants.is_empty() {
            return Ok(Vec::new());
        }
        self.parts.store.claim_messages(ClaimMessages { wants, lease: policy.lease, now }).await
    }

    /// Tries a message and records what it came to.
    async fn one(&self, claim: &ClaimedMessage) {
        let answer = self.post(claim).await;
        self.sent.add(is_taken(&answer), 1);
        let now = self.parts.clock.now();
        let dice = retry::dice(&*self.parts.entropy);
        let tried = follow(&self.parts.retry.get(), self.parts.policy.patience, claim, &answer, (now, dice));
        match self.parts.store.settle_message(claim, tried, now).await {
            Ok(()) => {}
            Err(StoreError::Fenced) => {
                tracing::debug!(message = %claim.message.id, "a webhook was replayed or removed while it was sent");
            }
            Err(error) => {
                tracing::error!(message = %claim.message.id, %error, "what a webhook came to was not recorded; it is sent again");
            }
        }
    }

    /// Sends a test to an endpoint, once, disabled or not. What came back, in words of ours, and whether it was taken.
    ///
    /// # Errors
    /// When there is no such endpoint, or the store fails.
    pub async fn test(&self, tenant: TenantId, endpoint: EndpointId, actor: &str) -> store::Result<(bool, String)> {
        let (store, clock) = (&self.parts.store, &self.parts.clock);
        let claim = store.begin_test(tenant, endpoint, actor, clock.now(), self.parts.policy.lease).await?;
        let answer = self.post(&claim).await;
        let (taken, said) = (is_taken(&answer), said(&answer));
        let tried = match taken {
            true => Tried::Delivered { said: said.clone() },
            false => Tried::GivenUp { said: said.clone(), disable: None },
        };
        store.settle_message(&claim, tried, clock.now()).await?;
        Ok((taken, said))
    }

    async fn post(&self, claim: &ClaimedMessage) -> Answer {
        let body = payload::of(&claim.message);
        let headers = self.headers(claim, &body)?;
        self.parts.client.post(&claim.endpoint.url, claim.endpoint.allow_private, headers, body).await
    }

    /// The three headers that sign the message, at this moment.
    fn headers(&self, claim: &ClaimedMessage, body: &Bytes) -> Result<HeaderMap, SendError> {
        let (id, at) = (claim.message.id.to_string(), machines(&*self.parts.clock).as_second().to_string());
        let signature = sign::all(&claim.secrets, &id, &at, body);
        let value = |text: &str| {
            HeaderValue::from_str(text).map_err(|_| SendError::Misconfigured("the signature has no header form"))
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("causeway/", env!("CARGO_PKG_VERSION"))));
        headers.insert("webhook-id", value(&id)?);
        headers.insert("webhook-timestamp", value(&at)?);
        headers.insert("webhook-signature", value(&signature.ok_or(SendError::NotSent("nothing signs it"))?)?);
        Ok(headers)
    }
}

type Answer = Result<SiteAnswer, SendError>;

fn forget(on_the_wire: &mut OnTheWire, ended: &Result<EndpointId, tokio::task::JoinError>) {
    let Ok(endpoint) = ended else {
        return tracing::error!("a webhook's task was cut");
    };
    if let Some(count) = on_the_wire.get_mut(endpoint) {
        *count -= 1;
        if *count == 0 {
            on_the_wire.remove(endpoint);
        }
    }
}

fn is_taken(answer: &Answer) -> bool {
    answer.as_ref().is_ok_and(|answer| (200..300).contains(&answer.status))
}

/// What came back, for the page of past messages.
fn said(answer: &Answer) -> String {
    match answer {
        Ok(answer) => format!("status {}", answer.status),
        Err(SendError::NotSent(why) | SendError::Unknown(why) | SendError::Misconfigured(why)) => (*why).to_owned(),
        Err(SendError::NotNow { .. }) => "not now".to_owned(),
        // Only vendors ask for credentials.
        Err(SendError::Refused(status)) => format!("status {status}"),
    }
}

/// What follows from a try. Pure.
fn follow(
    policy: &RetryPolicy,
    patience: Duration,
    claim: &ClaimedMessage,
    answer: &Answer,
    (now, dice): (Timestamp, f64),
) -> Tried {
    let said = said(answer);
    if is_taken(answer) {
        return Tried::Delivered { said };
    }
    if answer.as_ref().is_ok_and(|answer| answer.status == GONE) {
        return Tried::GivenUp { said, disable: Some(Reason::WebhookGone) };
    }
    let patience = SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX);
    let failing = claim.endpoint.failing_since.is_some_and(|since| now.duration_since(since) >= patience);
    let disable = failing.then_some(Reason::WebhookFailing);
    // Every "no" of a site is one for now: its code may be mended before the schedule ends.
    let mut outcome = Outcome::new(Class::Unavailable);
    outcome.retry_after = answer.as_ref().ok().and_then(|answer| answer.retry_after);
    let number = claim.message.attempts;
    let situation =
        Situation { idempotency: Idempotency::Always, consumed: number.saturating_sub(1), number, now, dice };
    match retry::decide(policy, &outcome, situation) {
        Follow::Wait { until, .. } => Tried::Again { at: until, said, disable },
        Follow::Done
        | Follow::Refuse(_)
        | Follow::Verify
        | Follow::PauseAccount(_)
        | Follow::Hold(_)
        | Follow::Park(_) => Tried::GivenUp { said, disable },
    }
}

/// The one answer that ends it at once.
const GONE: u16 = 410;

#[cfg(test)]
mod tests;
