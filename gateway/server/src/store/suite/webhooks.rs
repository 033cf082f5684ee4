//! What a career site is told, to which endpoint, and how its messages are leased, settled, shown and sent again.

use std::time::Duration;

use causeway_core::delivery::HeldCause;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{EndpointId, MessageId, TenantId};
use causeway_core::outcome::Class;
use causeway_core::pii::Secret;
use causeway_core::reason::Reason;

use super::world::{Backend, World, delivered, for_ages};
use crate::store::StoreError;
use crate::store::intake::Decision;
use crate::store::trace::Retention;
use crate::store::webhooks::{
    ClaimMessages, ClaimedMessage, Endpoint, EventType, Message, MessageQuery, MessageStatus, NewEndpoint, NewSecret,
    Tried, Which,
};
use crate::store::work::Next;

const LEASE: i64 = 60;

impl<B: Backend> World<B> {
    async fn endpoint(&self, tenant: TenantId, test: bool, events: &[EventType]) -> Endpoint {
        let new = NewEndpoint {
            id: EndpointId::new(self.now(), &self.entropy),
            tenant,
            url: "https://jobs.example.org/hooks".to_owned(),
            events: events.to_vec(),
            test,
            allow_private: false,
            secret: Secret::new("whsec_one"),
            actor: "test".to_owned(),
            now: self.now(),
        };
        self.backend.webhooks().add_endpoint(new).await.unwrap()
    }

    /// An endpoint of the tenant's real world that is told everything.
    pub(crate) async fn one_endpoint(&self) -> Endpoint {
        self.endpoint(self.tenant, false, &[]).await
    }

    async fn messages(&self, query: MessageQuery) -> Vec<Message> {
        let query = MessageQuery { limit: 100, ..query };
        self.backend.webhooks().messages(self.tenant, query).await.unwrap().messages
    }

    /// What the endpoint was told since the last call, oldest first: type and reason.
    pub(crate) async fn told(&self, endpoint: &Endpoint) -> Vec<(EventType, Option<Reason>)> {
        let mut messages = self.claim_webhooks(endpoint, 100).await;
        for claim in &messages {
            let tried = Tried::Delivered { said: "status 200".to_owned() };
            self.backend.webhooks().settle_message(claim, tried, self.now()).await.unwrap();
        }
        messages.sort_by_key(|claim| claim.message.at);
        messages
            .iter()
            .map(|claim| (claim.message.r#type, claim.message.about.as_ref().and_then(|about| about.reason)))
            .collect()
    }

    async fn claim_webhooks(&self, endpoint: &Endpoint, want: usize) -> Vec<ClaimedMessage> {
        let lease = Duration::from_secs(LEASE.unsigned_abs());
        let wish = ClaimMessages { wants: vec![(endpoint.id, want)], lease, now: self.now() };
        self.backend.webhooks().claim_messages(wish).await.unwrap()
    }

    pub(crate) async fn one_webhook(&self, endpoint: &Endpoint) -> ClaimedMessage {
        let mut claims = self.claim_webhooks(endpoint, 1).await;
        assert_eq!(claims.len(), 1);
        claims.remove(0)
    }

    /// An application that is held from the start: a move that is told.
    pub(crate) async fn hold_one(&self, test: bool) {
        let mut application = self.application("ada@example.org");
        application.test = test;
        application.deliveries[0].held = Some((HeldCause::Invalid, Reason::AnswerMissing, Vec::new()));
        self.accept(application).await;
    }

    async fn due(&self) -> Vec<EndpointId> {
        self.backend.webhooks().due_endpoints(self.now()).await.unwrap()
    }
}

pub(crate) async fn a_site_is_told_of_every_settled_delivery<B: Backend>(w: World<B>) {
    let site = w.one_endpoint().await;
    let refuse = |reason| Next::Refuse { reason, fields: Vec::new() };
    let hold = Next::Hold { cause: HeldCause::Operator, reason: Reason::OutcomeCannotBeKnown, fields: Vec::new() };
    for (class, next, told) in [
        (Class::Accepted, delivered(), (EventType::Delivered, None)),
        (Class::Refused, refuse(Reason::VendorRefused), (EventType::Refused, Some(Reason::VendorRefused))),
        (Class::Unknown, hold, (EventType::Held, Some(Reason::OutcomeCannotBeKnown))),
        (
            Class::Unavailable,
            Next::Park { reason: Reason::RetriesExhausted },
            (EventType::Parked, Some(Reason::RetriesExhausted)),
        ),
        (
            Class::Unauthorised,
            Next::PauseAccount { reason: Reason::CredentialsRefused },
            (EventType::Held, Some(Reason::CredentialsRefused)),
        ),
    ] {
        w.pass(1_000);
        let (id, delivery) = w.accept(w.application(&format!("{class:?}@example.org"))).await;
        let claim = w.one_claim().await;
        assert_eq!(w.told(&site).await, [], "what is under way is not told");
        let state = w.go(&claim, class, next).await;
        let message = w.messages(MessageQuery::default()).await.remove(0);
        let about = message.about.as_ref().unwrap();
        assert_eq!(
            (about.application, about.delivery, about.account.as_deref()),
            (id, Some(delivery), Some("acme-ats"))
        );
        assert_eq!((about.state.as_str(), message.at, message.test), (state.as_str(), w.now(), false));
        let code = w.store.application(w.tenant, id, false).await.unwrap().code;
        assert_eq!((about.job.as_str(), &about.code), (super::world::JOB, &code));
        assert_eq!(w.told(&site).await, [told]);
    }
}

pub(crate) async fn a_site_is_told_of_what_moves_many_at_once<B: Backend>(w: World<B>) {
    let site = w.one_endpoint().await;
    let held = |reason| (EventType::Held, Some(reason));
    w.accept(w.application("runs@example.org")).await;
    w.one_claim().await;
    for name in ["waits", "too", "also"] {
        w.accept(w.application(&format!("{name}@example.org"))).await;
    }
    w.store.pause_account(w.ats, Reason::AccountPaused, "test", w.now()).await.unwrap();
    assert_eq!(w.told(&site).await, vec![held(Reason::AccountPaused); 3], "what could go is held at once");
    w.pass(60);
    w.store.expire_leases(w.now()).await.unwrap();
    assert_eq!(w.told(&site).await, [held(Reason::AccountPaused)], "what was leased once its lease ran out");
    w.store.resume_account(w.ats, "test", w.now()).await.unwrap();
    assert_eq!(w.told(&site).await, [], "what goes on is not told");
}

pub(crate) async fn a_site_is_told_of_those_that_are_held_for_failing_alike<B: Backend>(w: World<B>) {
    let site = w.one_endpoint().await;
    w.group().await;
    assert_eq!(w.told(&site).await, vec![(EventType::Held, Some(Reason::FailsAlike)); 3]);
    w.pass(60);
    let probe = w.probe().await;
    assert_eq!(w.told(&site).await, [], "the one that is tried");
    w.store.pause_account(w.ats, Reason::AccountPaused, "test", w.now()).await.unwrap();
    w.go(&probe, Class::Accepted, delivered()).await;
    let told = w.told(&site).await;
    let paused = told.iter().filter(|one| **one == (EventType::Held, Some(Reason::AccountPaused))).count();
    assert_eq!((told.len(), paused), (3, 2), "the others were let go, and wait for their account now: {told:?}");
    assert!(told.contains(&(EventType::Delivered, None)));
}

pub(crate) async fn a_site_is_told_of_decisions_and_of_an_erasure_once<B: Backend>(w: World<B>) {
    let site = w.one_endpoint().await;
    let (_, delivery) = w.accept_held(HeldCause::PostingUnknown, Reason::PostingNotSyncedYet).await;
    assert_eq!(w.told(&site).await, [(EventType::Held, Some(Reason::PostingNotSyncedYet))]);
    w.pass(1);
    w.sync(w.ats, true, &["4001"]).await;
    let (cause, reason) = (HeldCause::Invalid, Reason::DocumentInvalid);
    let invalid = Decision::Hold { cause, reason, fields: Vec::new() };
    w.store.decide_held(w.tenant, delivery, invalid, w.now()).await.unwrap();
    assert_eq!(w.told(&site).await, [(EventType::Held, Some(Reason::DocumentInvalid))], "held for another reason");
    w.store.replay(w.tenant, delivery, "test", w.now()).await.unwrap();
    assert_eq!(w.told(&site).await, []);
    w.store.cancel(w.tenant, delivery, "test", w.now()).await.unwrap();
    assert_eq!(w.told(&site).await, [(EventType::Cancelled, Some(Reason::OperatorDecided))]);
    let email = NormalEmail::parse("ada@example.org").unwrap();
    for _ in 0..2 {
        w.pass(1);
        w.store.erase(w.tenant, &email, "test", w.now()).await.unwrap();
    }
    assert_eq!(w.told(&site).await, [(EventType::Erased, Some(Reason::Erased))]);
    let message = w.messages(MessageQuery::default()).await.remove(0);
    assert_eq!(message.about.unwrap().delivery, None, "it is about the application");
}

pub(crate) async fn an_endpoint_hears_its_own_world_and_what_it_asked_for<B: Backend>(w: World<B>) {
    let (other, _) = w.other_tenant().await;
    let real = w.one_endpoint().await;
    let tests = w.endpoint(w.tenant, true, &[]).await;
    let picky = w.endpoint(w.tenant, false, &[EventType::Delivered, EventType::Refused]).await;
    let theirs = w.endpoint(other, false, &[]).await;
    w.hold_one(false).await;
    assert_eq!(w.due().await, [real.id]);
    assert_eq!(w.told(&real).await.len(), 1);
    w.pass(1_000);
    w.hold_one(true).await;
    assert_eq!(w.due().await, [tests.id]);
    assert_eq!(w.told(&tests).await.len(), 1);
    w.accept(w.application("bob@example.org")).await;
    w.go(&w.one_claim().await, Class::Accepted, delivered()).await;
    for endpoint in [&real, &picky] {
        assert_eq!(w.told(endpoint).await, [(EventType::Delivered, None)]);
    }
    assert_eq!((w.told(&tests).await, w.told(&theirs).await), (Vec::new(), Vec::new()));
    let of = async |test| w.messages(MessageQuery { test, ..MessageQuery::default() }).await.len();
    assert_eq!((of(Some(true)).await, of(Some(false)).await, of(None).await), (1, 3, 4));
}

pub(crate) async fn a_move_that_is_not_made_is_not_told<B: Backend>(w: World<B>) {
    let site = w.one_endpoint().await;
    w.accept(w.application("ada@example.org")).await;
    let claim = w.one_claim().await;
    let begun = w.begin(&claim).await;
    w.pass(60);
    w.store.expire_leases(w.now()).await.unwrap();
    let late = w.store.settle(w.tried(&claim, begun, Class::Accepted, delivered())).await;
    assert!(matches!(late, Err(StoreError::Fenced)));
    assert_eq!(w.told(&site).await, []);
}

pub(crate) async fn a_message_is_leased_once_and_settled_under_its_lease<B: Backend>(w: World<B>) {
    let site = w.one_endpoint().await;
    w.hold_one(false).await;
    let webhooks = w.backend.webhooks();
    let first = w.one_webhook(&site).await;
    assert_eq!((first.message.attempts, first.message.last_at), (1, Some(w.now())));
    assert_eq!((w.claim_webhooks(&site, 1).await.len(), w.due().await), (0, Vec::new()));
    w.pass(LEASE);
    let second = w.one_webhook(&site).await;
    assert_eq!((second.message.id, second.message.attempts), (first.message.id, 2), "its lease ran out");
    let taken = || Tried::Delivered { said: "status 200".to_owned() };
    let late = webhooks.settle_message(&first, taken(), w.now()).await;
    assert!(matches!(late, Err(StoreError::Fenced)));
    let again = Tried::Again { at: w.later(30), said: "status 500".to_owned(), disable: None };
    webhooks.settle_message(&second, again, w.now()).await.unwrap();
    let failed = w.messages(MessageQuery::default()).await.remove(0);
    assert_eq!((failed.status, failed.next_at), (MessageStatus::Waiting, Some(w.later(30))));
    assert_eq!(failed.last_said.as_deref(), Some("status 500"));
    let since = w.now();
    assert_eq!(webhooks.endpoints(Some(w.tenant)).await.unwrap()[0].failing_since, Some(since));
    w.pass(30);
    let third = w.one_webhook(&site).await;
    assert_eq!(third.endpoint.failing_since, Some(since), "since the first failure");
    webhooks.settle_message(&third, taken(), w.now()).await.unwrap();
    w.pass(1_000);
    assert_eq!(w.due().await, []);
    let done = w.messages(MessageQuery::default()).await.remove(0);
    assert_eq!((done.status, done.next_at, done.attempts), (MessageStatus::Delivered, None, 3));
    assert_eq!(webhooks.endpoints(None).await.unwrap()[0].failing_since, None);
}

pub(crate) async fn a_disabled_endpoint_waits_with_a_case<B: Backend>(w: World<B>) {
    let site = w.one_endpoint().await;
    let webhooks = w.backend.webhooks();
    for _ in 0..2 {
        w.pass(1_000);
        w.hold_one(false).await;
    }
    let claims = w.claim_webhooks(&site, 2).await;
    for claim in &claims {
        let gone = Tried::GivenUp { said: "status 410".to_owned(), disable: Some(Reason::WebhookGone) };
        webhooks.settle_message(claim, gone, w.now()).await.unwrap();
    }
    let disabled = webhooks.endpoints(None).await.unwrap()[0].disabled.clone().unwrap();
    assert_eq!((disabled.reason, disabled.since), (Reason::WebhookGone, w.now()));
    let open = async || {
        let cases = w.store.cases(w.tenant, 10).await.unwrap();
        cases.into_iter().filter(|case| case.endpoint.is_some()).collect::<Vec<_>>()
    };
    let cases = open().await;
    assert_eq!(cases.len(), 1, "one case for the endpoint");
    assert_eq!((cases[0].endpoint, cases[0].account, cases[0].reason), (Some(site.id), None, Reason::WebhookGone));
    w.pass(1_000);
    w.hold_one(false).await;
    assert_eq!((w.due().await, w.claim_webhooks(&site, 9).await.len()), (Vec::new(), 0));
    webhooks.enable_endpoint(w.tenant, site.id, "test", w.now()).await.unwrap();
    assert_eq!((open().await.len(), w.due().await), (0, vec![site.id]), "what it missed waited");
    assert_eq!(w.claim_webhooks(&site, 9).await.len(), 1);
    assert_eq!(w.store.verify_audit(w.tenant).await.unwrap(), None);
}

pub(crate) async fn both_secrets_sign_for_a_while<B: Backend>(w: World<B>) {
    let site = w.one_endpoint().await;
    let webhooks = w.backend.webhooks();
    let signs = async || {
        w.pass(1_000);
        w.hold_one(false).await;
        let claim = w.one_webhook(&site).await;
        claim.secrets.iter().map(|secret| secret.reveal().to_owned()).collect::<Vec<_>>()
    };
    let rotate = async |secret: &str| {
        let change = NewSecret {
            secret: Secret::new(secret),
            both_until: w.later(1_500),
            actor: "test".to_owned(),
            now: w.now(),
        };
        webhooks.rotate_secret(w.tenant, site.id, change).await.unwrap();
    };
    assert_eq!(signs().await, ["whsec_one"]);
    rotate("whsec_two").await;
    assert_eq!(signs().await, ["whsec_two", "whsec_one"]);
    rotate("whsec_three").await;
    assert_eq!(signs().await, ["whsec_three", "whsec_two"], "never more than two");
    assert_eq!(signs().await, ["whsec_three"], "the time is over");
}

pub(crate) async fn a_removed_endpoint_gets_nothing_and_stays_on_the_page<B: Backend>(w: World<B>) {
    let site = w.one_endpoint().await;
    let webhooks = w.backend.webhooks();
    w.hold_one(false).await;
    let claim = w.one_webhook(&site).await;
    let (other, _) = w.other_tenant().await;
    let foreign = webhooks.remove_endpoint(other, site.id, "test", w.now()).await;
    assert!(matches!(foreign, Err(StoreError::NotFound(_))));
    webhooks.remove_endpoint(w.tenant, site.id, "test", w.now()).await.unwrap();
    let taken = Tried::Delivered { said: "status 200".to_owned() };
    assert!(matches!(webhooks.settle_message(&claim, taken, w.now()).await, Err(StoreError::Fenced)));
    w.pass(1_000);
    w.hold_one(false).await;
    let page = w.messages(MessageQuery::default()).await;
    assert_eq!((page.len(), page[0].status, page[0].next_at), (1, MessageStatus::GivenUp, None));
    assert_eq!((webhooks.endpoints(None).await.unwrap(), w.due().await), (Vec::new(), Vec::new()));
    for result in [
        webhooks.remove_endpoint(w.tenant, site.id, "test", w.now()).await,
        webhooks.replay_messages(w.tenant, Which::One(page[0].id), "test", w.now()).await.map(|_| ()),
        webhooks.enable_endpoint(w.tenant, site.id, "test", w.now()).await.map(|_| ()),
    ] {
        assert!(matches!(result, Err(StoreError::NotFound(_))), "{result:?}");
    }
}

pub(crate) async fn the_page_is_read_in_pieces<B: Backend>(w: World<B>) {
    let site = w.one_endpoint().await;
    let second = w.endpoint(w.tenant, false, &[]).await;
    for _ in 0..3 {
        w.pass(1_000);
        w.hold_one(false).await;
    }
    w.told(&site).await;
    let webhooks = w.backend.webhooks();
    let mut seen: Vec<MessageId> = Vec::new();
    let mut before = None;
    loop {
        let query = MessageQuery { before, limit: 4, ..MessageQuery::default() };
        let page = webhooks.messages(w.tenant, query).await.unwrap();
        assert!(page.messages.is_sorted_by(|newer, older| newer.at >= older.at), "newest first");
        seen.extend(page.messages.iter().map(|message| message.id));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!((seen.len(), seen.iter().collect::<std::collections::BTreeSet<_>>().len()), (6, 6));
    let count = async |query| w.messages(query).await.len();
    let of = |endpoint: &Endpoint| MessageQuery { endpoint: Some(endpoint.id), ..MessageQuery::default() };
    let stands = |status| MessageQuery { status: Some(status), ..MessageQuery::default() };
    assert_eq!((count(of(&site)).await, count(of(&second)).await), (3, 3));
    assert_eq!((count(stands(MessageStatus::Delivered)).await, count(stands(MessageStatus::Waiting)).await), (3, 3));
    let (other, _) = w.other_tenant().await;
    assert_eq!(webhooks.messages(other, of(&site)).await.unwrap().messages, []);
    let foreign = MessageQuery { before: Some(seen[0]), limit: 1, ..MessageQuery::default() };
    assert!(matches!(webhooks.messages(other, foreign).await, Err(StoreError::NotFound(_))));
}

pub(crate) async fn a_replay_sends_again_under_the_same_id<B: Backend>(w: World<B>) {
    let site = w.one_endpoint().await;
    let webhooks = w.backend.webhooks();
    let begun = w.now();
    for _ in 0..3 {
        w.pass(1_000);
        w.hold_one(false).await;
    }
    assert_eq!(w.told(&site).await.len(), 3);
    let page = w.messages(MessageQuery::default()).await;
    let (newest, oldest) = (page[0].id, page[2].id);
    let (other, _) = w.other_tenant().await;
    let foreign = webhooks.replay_messages(other, Which::One(oldest), "test", w.now()).await;
    assert!(matches!(foreign, Err(StoreError::NotFound(_))));
    let replay = async |which| webhooks.replay_messages(w.tenant, which, "test", w.now()).await.unwrap();
    assert_eq!(replay(Which::One(oldest)).await, 1);
    let claim = w.one_webhook(&site).await;
    assert_eq!((claim.message.id, claim.message.attempts), (oldest, 1));
    // Replayed again while it is on the wire: what that try comes to is not recorded.
    assert_eq!(replay(Which::One(oldest)).await, 1);
    let taken = Tried::Delivered { said: "status 200".to_owned() };
    assert!(matches!(webhooks.settle_message(&claim, taken, w.now()).await, Err(StoreError::Fenced)));
    assert_eq!(w.told(&site).await.len(), 1);
    let range = |since, until| Which::Range { endpoint: site.id, since, until };
    assert_eq!(replay(range(begun, page[0].at)).await, 2, "until is not in it");
    assert_eq!(w.told(&site).await.len(), 2);
    assert_eq!(replay(range(page[0].at, w.later(1))).await, 1);
    assert_eq!(w.one_webhook(&site).await.message.id, newest);
    assert_eq!(w.store.verify_audit(w.tenant).await.unwrap(), None);
}

pub(crate) async fn a_test_goes_to_a_disabled_endpoint_and_is_not_replayed<B: Backend>(w: World<B>) {
    let site = w.one_endpoint().await;
    let webhooks = w.backend.webhooks();
    w.hold_one(false).await;
    let claim = w.one_webhook(&site).await;
    let gone = Tried::GivenUp { said: "status 410".to_owned(), disable: Some(Reason::WebhookGone) };
    webhooks.settle_message(&claim, gone, w.now()).await.unwrap();
    let lease = Duration::from_secs(60);
    let test = webhooks.begin_test(w.tenant, site.id, "test", w.now(), lease).await.unwrap();
    assert_eq!((test.message.r#type, &test.message.about, test.secrets.len()), (EventType::Test, &None, 1));
    assert_eq!(w.claim_webhooks(&site, 9).await.len(), 0, "it is leased already");
    let failed = Tried::GivenUp { said: "status 500".to_owned(), disable: None };
    webhooks.settle_message(&test, failed, w.now()).await.unwrap();
    let replayed = webhooks.replay_messages(w.tenant, Which::One(test.message.id), "test", w.now()).await;
    assert_eq!(replayed.unwrap(), 0);
}

pub(crate) async fn old_messages_go_with_their_time<B: Backend>(w: World<B>) {
    w.one_endpoint().await;
    w.hold_one(false).await;
    w.pass(7_200);
    w.hold_one(false).await;
    let retention = Retention { webhooks: Duration::from_secs(3_600), ..for_ages() };
    let report = w.store.retain(&retention, w.now(), 10).await.unwrap();
    assert_eq!((report.webhooks, report.total()), (1, 1));
    assert_eq!(w.messages(MessageQuery::default()).await.len(), 1);
}
