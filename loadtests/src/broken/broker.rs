//! A gateway that trusts its queue: nobody looks at the store for what is due unless a message said so. Alone that is not
//! broken, only bare: what the queue keeps is delivered. With it, one of the queue's own precautions is left out.
//!
//! The real gateway looks by itself as well, so that without a precaution it is slower and no more. To see that each is
//! kept, and that the checker would notice if it mattered, the look has to go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use causeway::gateway::{Around, AroundQueue};
use causeway::queue::rabbitmq::manners::Manners;
use causeway::queue::{Listener, Rung};
use causeway::store::over::Over;
use causeway::store::work::{ClaimRequest, Claimed, DueAccount};
use causeway::store::{Result, Store};
use jiff::Timestamp;
use lapin::Confirmation;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions};

use super::store::Promise;

/// Between hearing a message and claiming what it is about: time enough to be killed in.
const BEFORE_A_CLAIM: Duration = Duration::from_millis(1_500);

pub(crate) fn around(promise: Promise) -> Around {
    let told = Arc::new(AtomicBool::new(false));
    let hears = Arc::clone(&told);
    Around {
        store: Box::new(move |inner| Arc::new(Trusting { inner, told }) as Arc<dyn Store>),
        queue: AroundQueue {
            listener: Box::new(move |inner| Arc::new(Hears { inner, told: hears }) as Arc<dyn Listener>),
            manners: Arc::new(Careless(promise)),
            ..AroundQueue::default()
        },
    }
}

struct Hears {
    inner: Arc<dyn Listener>,
    told: Arc<AtomicBool>,
}

#[async_trait]
impl Listener for Hears {
    async fn rung(&self) -> Rung {
        let rung = self.inner.rung().await;
        self.told.store(true, Ordering::SeqCst);
        rung
    }
}

struct Trusting {
    inner: Arc<dyn Store>,
    told: Arc<AtomicBool>,
}

#[async_trait]
impl Over for Trusting {
    fn below(&self) -> &dyn Store {
        &*self.inner
    }

    /// A message stands for what is due until nothing is.
    async fn due(&self, now: Timestamp) -> Result<(Vec<DueAccount>, Option<Timestamp>)> {
        if !self.told.swap(false, Ordering::SeqCst) {
            return Ok((Vec::new(), None));
        }
        let (due, _) = self.inner.due(now).await?;
        if !due.is_empty() {
            self.told.store(true, Ordering::SeqCst);
        }
        Ok((due, None))
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed> {
        tokio::time::sleep(BEFORE_A_CLAIM).await;
        self.inner.claim(request).await
    }
}

/// What is left out of the manners towards the broker.
struct Careless(Promise);

impl Manners for Careless {
    fn publish(&self) -> BasicPublishOptions {
        BasicPublishOptions { mandatory: self.0 != Promise::NoMandatory, immediate: false }
    }

    fn confirms(&self) -> bool {
        self.0 != Promise::NoConfirms
    }

    fn queued(&self, answer: &Confirmation) -> bool {
        if self.0 == Promise::NoConfirms {
            true
        } else if self.0 == Promise::NoMandatory {
            answer.is_ack()
        } else {
            matches!(answer, Confirmation::Ack(None))
        }
    }

    fn consume(&self) -> BasicConsumeOptions {
        BasicConsumeOptions { no_ack: self.0 == Promise::AutoAck, ..BasicConsumeOptions::default() }
    }
}
