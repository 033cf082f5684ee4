//! The third proof: when it is due, what it leaves behind, and what it never touches.

use causeway_core::delivery::{Refs, State};
use causeway_core::ids::DeliveryId;
use causeway_core::outcome::Class;
use causeway_core::reason::Reason;

use super::world::{Backend, World};
use crate::store::StoreError;
use crate::store::trace::{DeliveryTrace, LookupQuery, SubmissionKind};
use crate::store::work::{Next, Proof, Settled, Sighting, Unproven};

impl<B: Backend> World<B> {
    /// Delivered a second after it was sent, to be read back in ten.
    async fn taken(&self, email: &str) -> DeliveryId {
        let (_, delivery) = self.accept(self.application(email)).await;
        let claim = self.one_claim().await;
        let begun = self.begin(&claim).await;
        self.pass(1);
        let next = Next::Delivered { proof: Proof::due(self.later(10)) };
        assert_eq!(self.settle(self.tried(&claim, begun, Class::Accepted, next)).await, State::Delivered);
        delivery
    }

    async fn unproven(&self) -> Vec<Unproven> {
        self.store.unproven(self.now(), 10).await.unwrap()
    }

    async fn sighted(&self, unproven: &Unproven, sighting: Sighting) -> Result<Settled, StoreError> {
        self.store.record_sighting(unproven, sighting, self.now()).await
    }

    async fn trace(&self, id: DeliveryId) -> DeliveryTrace {
        let query = LookupQuery {
            tenant: self.tenant,
            email: None,
            base_email: false,
            job: None,
            code: None,
            account: Some("acme-ats".to_owned()),
            since: None,
            until: None,
            limit: 100,
        };
        let found = self.store.lookup(&query).await.unwrap().submissions;
        let deliveries = found.into_iter().flat_map(|trace| match trace.kind {
            SubmissionKind::Accepted { deliveries, .. } => deliveries,
            SubmissionKind::Refused { .. } => Vec::new(),
        });
        deliveries.into_iter().find(|delivery| delivery.id == id).unwrap()
    }
}

fn seen(vendor_id: &str) -> Sighting {
    let refs = Refs::from([("candidate_id".to_owned(), "c1".to_owned())]);
    Sighting::Seen { vendor_id: vendor_id.to_owned(), refs }
}

pub(crate) async fn a_delivered_one_is_read_back_when_due<B: Backend>(w: World<B>) {
    let sent_at = w.now();
    let delivery = w.taken("ada@example.org").await;
    let said_yes_at = w.now();
    assert_eq!(w.unproven().await, [], "not before its time");
    assert_eq!(w.trace(delivery).await.proof, Some(Proof::due(w.later(10))));
    w.pass(10);
    let due = w.unproven().await;
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].delivery, due[0].account, due[0].vendor_id.as_deref()), (delivery, w.ats, None));
    assert_eq!((due[0].sent_at, due[0].said_yes_at, due[0].asked, due[0].missed), (sent_at, said_yes_at, 0, 0));
    let item = w.store.load_delivered(&due[0]).await.unwrap();
    // Also when several ask at once, and are answered together.
    let all = futures_util::future::join_all([(); 8].map(|()| w.store.load_delivered(&due[0]))).await;
    assert!(all.iter().all(|one| one.as_ref().is_ok_and(|one| one.code == item.code)));
    assert!(std::str::from_utf8(&item.document).unwrap().contains("ada@example.org"));
    w.store.pause_account(w.ats, Reason::AccountPaused, "test", w.now()).await.unwrap();
    assert_eq!(w.unproven().await, [], "nobody asks while the account is paused");
    w.store.resume_account(w.ats, "test", w.now()).await.unwrap();
    assert_eq!(w.unproven().await.len(), 1);
    assert_eq!(w.claim(10).await, [], "and it is no delivery's turn");
}

pub(crate) async fn a_sighting_proves_and_moves_nothing<B: Backend>(w: World<B>) {
    let delivery = w.taken("ada@example.org").await;
    let delivered_at = w.now();
    w.pass(10);
    let due = w.unproven().await;
    assert_eq!(w.sighted(&due[0], seen("a7")).await.unwrap(), Settled::Done { state: State::Delivered, begun: None });
    let trace = w.trace(delivery).await;
    assert_eq!((trace.state, trace.changed_at, trace.reason), (State::Delivered, delivered_at, None));
    assert_eq!((trace.proof, trace.vendor_id.as_deref()), (Some(Proof::seen(w.now())), Some("a7")));
    assert_eq!(trace.refs["candidate_id"], "c1");
    assert_eq!(w.unproven().await, []);
    let again = w.sighted(&due[0], Sighting::NotVerifiable { why: "late".into() }).await;
    assert!(matches!(again, Err(StoreError::Fenced)), "it was recorded before");
}

pub(crate) async fn a_record_proves_one_delivery<B: Backend>(w: World<B>) {
    let first = w.taken("ada@example.org").await;
    let second = w.taken("bob@example.org").await;
    w.pass(10);
    let due = w.unproven().await;
    assert_eq!(due.iter().map(|due| due.delivery).collect::<Vec<_>>(), [first, second], "longest due first");
    w.sighted(&due[0], seen("a7")).await.unwrap();
    assert_eq!(w.sighted(&due[1], seen("a7")).await.unwrap(), Settled::LinkTaken);
    assert!(w.trace(second).await.vendor_id.is_none());
    assert_eq!(w.unproven().await.len(), 1, "it is still to be read back");
    w.sighted(&due[1], seen("a8")).await.unwrap();
    assert_eq!(w.trace(second).await.vendor_id.as_deref(), Some("a8"));
}

pub(crate) async fn what_is_missed_is_one_case_until_it_is_seen<B: Backend>(w: World<B>) {
    let delivery = w.taken("ada@example.org").await;
    w.pass(10);
    for (missed, case) in [(1, None), (2, Some(Reason::NotSeenAtVendor)), (3, Some(Reason::NotSeenAtVendor))] {
        let due = w.unproven().await;
        assert_eq!((due[0].asked, due[0].missed), (missed - 1, missed - 1));
        w.sighted(&due[0], Sighting::Again { at: w.later(20), missed, case }).await.unwrap();
        assert_eq!(w.unproven().await, []);
        let trace = w.trace(delivery).await;
        assert_eq!((trace.state, trace.reason, trace.case.is_some()), (State::Delivered, case, case.is_some()));
        assert_eq!(trace.proof, Some(Proof::due(w.later(20))));
        w.pass(20);
    }
    let cases = w.store.cases(w.tenant, 10).await.unwrap();
    assert_eq!(cases.len(), 1);
    assert_eq!((cases[0].delivery, cases[0].reason), (Some(delivery), Reason::NotSeenAtVendor));
    w.sighted(&w.unproven().await[0], seen("a7")).await.unwrap();
    let trace = w.trace(delivery).await;
    assert_eq!((trace.reason, trace.case, trace.proof), (None, None, Some(Proof::seen(w.now()))));
    assert!(w.store.cases(w.tenant, 10).await.unwrap().is_empty());
}

pub(crate) async fn a_proof_that_cannot_be_had_says_why<B: Backend>(w: World<B>) {
    let delivery = w.taken("ada@example.org").await;
    w.pass(10);
    let due = w.unproven().await;
    w.sighted(&due[0], Sighting::NotVerifiable { why: "nobody answers".into() }).await.unwrap();
    assert_eq!(w.trace(delivery).await.proof, Some(Proof::not_verifiable("nobody answers")));
    assert_eq!(w.unproven().await, []);
}

pub(crate) async fn what_was_erased_is_not_read_back<B: Backend>(w: World<B>) {
    let delivery = w.taken("ada@example.org").await;
    w.pass(10);
    let due = w.unproven().await;
    let email = causeway_core::email::NormalEmail::parse("ada@example.org").unwrap();
    w.store.erase(w.tenant, &email, "test", w.now()).await.unwrap();
    assert_eq!(w.unproven().await, []);
    assert!(matches!(w.store.load_delivered(&due[0]).await, Err(StoreError::NotFound(_))));
    assert!(matches!(w.sighted(&due[0], seen("a7")).await, Err(StoreError::Fenced)));
    let proof = w.trace(delivery).await.proof.unwrap();
    assert!(proof.not_verifiable.unwrap().contains("erased"));
}

pub(crate) async fn what_stands_beside_the_application_does_not_name_the_delivery<B: Backend>(w: World<B>) {
    w.accept(w.application("ada@example.org")).await;
    let claim = w.one_claim().await;
    let begun = w.begin(&claim).await;
    let mut settlement = w.tried(&claim, begun, Class::Accepted, Next::NextStep { begin: None });
    settlement.outcome.as_mut().unwrap().vendor_id = Some("ticket".into());
    w.settle(settlement).await;
    let begun = w.begin(&claim).await;
    w.settle(w.tried(&claim, begun, Class::Unknown, w.unknown())).await;
    w.pass(30);
    let claim = w.one_claim().await;
    let adopt = |vendor_id: &str| Next::Adopt {
        vendor_id: vendor_id.into(),
        is_application: false,
        refs: Refs::default(),
        possible_duplicate: false,
    };
    w.settle(w.untried(&claim, adopt("note"))).await;
    w.settle(w.untried(&claim, Next::Delivered { proof: Proof::due(w.later(10)) })).await;
    assert_eq!(w.trace(claim.delivery).await.vendor_id.as_deref(), Some("ticket"));

    w.accept(w.application("bob@example.org")).await;
    let claim = w.one_claim().await;
    w.go(&claim, Class::Unknown, w.unknown()).await;
    w.pass(30);
    let other = w.one_claim().await;
    assert_eq!(w.store.settle(w.untried(&other, adopt("note"))).await.unwrap(), Settled::LinkTaken);
}
