//! Bringing an account live: overlays and their versions, the checklist, what waits for going live, secrets in rotation.

use std::collections::BTreeMap;

use causeway_core::account::{Role, Which};
use causeway_core::delivery::{HeldCause, State};
use causeway_core::ids::AccountId;
use causeway_core::overlay::{Overlay, VendorField};
use causeway_core::pii::Secret;
use causeway_core::posting::{FieldKind, Form};
use causeway_core::reason::Reason;

use super::world::{Backend, JOB, World, account, delivered};
use crate::store::StoreError;
use crate::store::intake::Decision;
use crate::store::onboard::{NewOverlay, Rotate, Tick};
use crate::store::setup::NewAccount;

fn overlay<B: Backend>(w: &World<B>, base: Option<u32>, notice: &str) -> NewOverlay {
    let text = format!(r#"{{"format":1,"rules":[{{"op":"copy","field":"q1","from":"{notice}"}}]}}"#);
    let field = VendorField {
        name: "q1".into(),
        label: "Notice".into(),
        kind: FieldKind::Text,
        options: Vec::new(),
        required: false,
    };
    NewOverlay {
        account: w.ats,
        base,
        overlay: Overlay::parse(&text).unwrap(),
        fields: vec![field],
        note: "why".into(),
        actor: "test".into(),
        now: w.now(),
    }
}

pub(crate) async fn an_overlay_is_versioned_and_in_force_at_once<B: Backend>(w: World<B>) {
    assert_eq!(w.store.account(w.ats).await.unwrap().mapping, None);
    let before = w.store.generation();
    let first = overlay(&w, None, "/eligibility/notice");
    assert_eq!(w.store.save_overlay(first.clone()).await.unwrap(), 1);
    assert!(w.store.generation() > before, "whoever judges by it reads it again");
    let record = w.store.account(w.ats).await.unwrap();
    let mapping = record.mapping.clone().unwrap();
    assert_eq!((mapping.version, &mapping.overlay, &mapping.fields), (1, &first.overlay, &first.fields));
    assert!(w.store.accounts(Some(w.tenant)).await.unwrap().contains(&record));
    // Two who began from the same version: the second is told, and nothing is lost.
    let stale = w.store.save_overlay(overlay(&w, None, "/source/board")).await;
    assert!(matches!(stale, Err(StoreError::Exists("newer version"))), "{stale:?}");
    assert_eq!(w.store.save_overlay(overlay(&w, Some(1), "/source/board")).await.unwrap(), 2);
    let all = w.store.overlays(w.ats).await.unwrap();
    assert_eq!(all.iter().map(|one| one.mapping.version).collect::<Vec<_>>(), [2, 1]);
    assert_eq!((all[1].note.as_str(), all[1].saved_by.as_str(), all[1].saved_at), ("why", "test", w.now()));
    assert_eq!(w.store.account(w.ats).await.unwrap().mapping.unwrap().version, 2);
    assert!(w.store.overlays(w.crm).await.unwrap().is_empty());
    let unknown = NewOverlay { account: AccountId::new(w.now(), &w.entropy), ..overlay(&w, None, "/source/board") };
    assert!(matches!(w.store.save_overlay(unknown).await, Err(StoreError::NotFound("account"))));
    assert_eq!(w.store.verify_audit(w.tenant).await.unwrap(), None);
}

pub(crate) async fn an_account_s_forms_and_recent_documents_are_read<B: Backend>(w: World<B>) {
    w.sync(w.ats, true, &[JOB, "closed"]).await;
    for (posting, digest) in [(JOB, "d1"), (JOB, "d2"), ("closed", "d3")] {
        let form = Form { posting_id: posting.into(), digest: digest.into(), questions: Vec::new() };
        w.store.put_form(w.ats, &form, w.now()).await.unwrap();
    }
    w.pass(60);
    w.sync(w.ats, true, &[JOB]).await;
    let forms = w.store.forms(w.ats).await.unwrap();
    assert_eq!(
        forms.iter().map(|form| form.digest.as_str()).collect::<Vec<_>>(),
        ["d2"],
        "the newest of open postings"
    );
    for name in ["ada", "bob", "eve"] {
        let mut application = w.application(&format!("{name}@example.org"));
        application.form_digest = Some("d1".into());
        w.accept(application).await;
    }
    let (id, _) = w.accept(w.application("zoe@example.org")).await;
    let erased = causeway_core::email::NormalEmail::parse("eve@example.org").unwrap();
    w.store.erase(w.tenant, &erased, "test", w.now()).await.unwrap();
    let recent = w.store.recent(w.ats, 2).await.unwrap();
    assert_eq!(recent.iter().map(|one| one.submission == id).collect::<Vec<_>>(), [true, false]);
    let all = w.store.recent(w.ats, 10).await.unwrap();
    assert_eq!(all.len(), 3, "what was erased is not there");
    assert!(all.iter().all(|one| !one.document.windows(3).any(|part| part == b"eve")));
    assert_eq!(all[1].form.as_ref().map(|form| form.digest.as_str()), Some("d1"), "the one it was validated against");
    assert!(w.store.recent(w.crm, 10).await.unwrap().is_empty());
}

pub(crate) async fn what_a_vendor_took_is_listed<B: Backend>(w: World<B>) {
    w.accept(w.application("ada@example.org")).await;
    w.accept(w.application("bob@example.org")).await;
    assert!(w.store.taken(w.ats, 10).await.unwrap().is_empty());
    let claim = w.one_claim().await;
    w.go(&claim, causeway_core::outcome::Class::Accepted, delivered()).await;
    let taken = w.store.taken(w.ats, 10).await.unwrap();
    assert_eq!(taken.len(), 1);
    let one = (taken[0].delivery, taken[0].posting_id.as_str(), taken[0].said_yes_at, taken[0].seen_at);
    assert_eq!(one, (claim.delivery, JOB, w.now(), None));
}

pub(crate) async fn a_checklist_keeps_the_last_word<B: Backend>(w: World<B>) {
    let tick = |done, note: &str| Tick {
        item: "retention".into(),
        done,
        note: note.into(),
        at: w.now(),
        actor: "test".into(),
    };
    w.store.tick(w.ats, tick(true, "agreed")).await.unwrap();
    w.pass(60);
    w.store.tick(w.ats, tick(false, "not any more")).await.unwrap();
    assert_eq!(w.store.ticks(w.ats).await.unwrap(), [tick(false, "not any more")]);
    assert!(w.store.ticks(w.crm).await.unwrap().is_empty());
    let unknown = AccountId::new(w.now(), &w.entropy);
    assert!(matches!(w.store.tick(unknown, tick(true, "")).await, Err(StoreError::NotFound("account"))));
}

async fn staged<B: Backend>(w: &World<B>) -> AccountId {
    let id = AccountId::new(w.now(), &w.entropy);
    let new = NewAccount {
        account: account(w.tenant, id, "acme-staged", Role::Ats),
        credentials: BTreeMap::new(),
        sandbox: false,
        staged: true,
        expires_at: None,
        actor: "test".into(),
        now: w.now(),
    };
    assert_eq!(w.store.add_account(new).await.unwrap().live_at, None);
    id
}

pub(crate) async fn an_account_that_is_not_live_holds_until_it_is<B: Backend>(w: World<B>) {
    let staged = staged(&w).await;
    let to_it = |email: &str| {
        let mut application = w.application(email);
        application.deliveries[0].account = staged;
        application
    };
    let (first, one) = w.accept(to_it("ada@example.org")).await;
    let (second, _) = w.accept(to_it("bob@example.org")).await;
    for id in [first, second] {
        assert_eq!((w.state(id).await, w.reason(id).await), (State::Held, Some(Reason::AccountNotLive)));
    }
    let cases = w.store.cases(w.tenant, 10).await.unwrap();
    let cases: Vec<_> = cases.iter().map(|case| (case.account, case.reason, case.deliveries)).collect();
    assert_eq!(cases, [(Some(staged), Reason::AccountNotLive, 2)], "one case is the account's");
    // A pause before it and a pause that ends let nothing out.
    w.store.pause_account(staged, Reason::AccountPaused, "test", w.now()).await.unwrap();
    let (third, _) = w.accept(to_it("eve@example.org")).await;
    assert_eq!(w.store.resume_account(staged, "test", w.now()).await.unwrap(), 0);
    assert_eq!(w.reason(third).await, Some(Reason::AccountNotLive));
    // One is tried: it goes, the others stay.
    assert_eq!(w.store.replay(w.tenant, one, "test", w.now()).await.unwrap().state, State::Queued);
    assert_eq!(w.claim_of(staged, 5).await.iter().map(|claim| claim.delivery).collect::<Vec<_>>(), [one]);
    w.pass(1);
    let go_live = async || w.store.go_live(staged, "test", w.now()).await.unwrap();
    assert_eq!((go_live().await, go_live().await), (2, 0));
    assert_eq!((w.state(second).await, w.reason(second).await), (State::Queued, None));
    assert_eq!(w.store.account(staged).await.unwrap().live_at, Some(w.now()));
    assert!(w.store.cases(w.tenant, 10).await.unwrap().is_empty());
    let (after, _) = w.accept(to_it("zoe@example.org")).await;
    assert_eq!(w.state(after).await, State::Queued);
}

pub(crate) async fn going_live_while_paused_sends_nothing_yet<B: Backend>(w: World<B>) {
    let staged = staged(&w).await;
    let mut application = w.application("ada@example.org");
    application.deliveries[0].account = staged;
    let (id, _) = w.accept(application).await;
    w.store.pause_account(staged, Reason::CredentialsRefused, "test", w.now()).await.unwrap();
    assert_eq!(w.store.go_live(staged, "test", w.now()).await.unwrap(), 0);
    assert_eq!((w.state(id).await, w.reason(id).await), (State::Held, Some(Reason::CredentialsRefused)));
    assert_eq!(w.store.resume_account(staged, "test", w.now()).await.unwrap(), 1);
    assert_eq!(w.state(id).await, State::Queued);
}

pub(crate) async fn what_awaited_its_posting_waits_for_going_live_too<B: Backend>(w: World<B>) {
    let staged = staged(&w).await;
    let mut application = w.application("ada@example.org");
    application.posting_account = None;
    application.deliveries[0].account = staged;
    let waits = (HeldCause::PostingUnknown, Reason::PostingNotSyncedYet, Vec::new());
    application.deliveries[0].held = Some(waits);
    let (id, delivery) = w.accept(application).await;
    w.pass(1);
    w.sync(staged, true, &[JOB]).await;
    w.store.decide_held(w.tenant, delivery, Decision::Go { form_digest: None }, w.now()).await.unwrap();
    assert_eq!((w.state(id).await, w.reason(id).await), (State::Held, Some(Reason::AccountNotLive)));
    assert_eq!(w.store.go_live(staged, "test", w.now()).await.unwrap(), 1);
    assert_eq!(w.state(id).await, State::Queued);
}

pub(crate) async fn two_sets_of_secrets_live_until_one_is_destroyed<B: Backend>(w: World<B>) {
    let newer = |text: &str| Rotate::Begin {
        secrets: BTreeMap::from([("key".to_owned(), Secret::new(text))]),
        expires_at: Some(w.later(86_400)),
    };
    let rotate = async |step| w.store.rotate(w.ats, step, "test", w.now()).await;
    let current = async || w.store.credentials(w.ats).await.unwrap()["key"].reveal().to_owned();
    let next = async || w.store.next_credentials(w.ats).await.unwrap().map(|set| set["key"].reveal().to_owned());
    let known = async || w.store.account(w.ats).await.unwrap().credentials;
    assert_eq!((current().await.as_str(), next().await, known().await.next), ("canary-secret", None, None));
    for step in [Rotate::Finish, Rotate::Abandon] {
        assert!(matches!(rotate(step).await, Err(StoreError::NotFound(_))), "there is nothing to end");
    }
    w.pass(60);
    let before = w.store.generation();
    rotate(newer("second")).await.unwrap();
    assert!(w.store.generation() > before, "whoever uses them reads them again");
    assert_eq!((current().await.as_str(), next().await.as_deref()), ("canary-secret", Some("second")));
    let about = known().await;
    assert_eq!((about.current.since, about.next.unwrap().since), (Some(w.later(-60)), Some(w.now())));
    rotate(Rotate::Abandon).await.unwrap();
    assert_eq!((current().await.as_str(), next().await, known().await.next), ("canary-secret", None, None));
    rotate(newer("third")).await.unwrap();
    w.store.secrets_used(w.ats, Which::Current, false, w.now()).await.unwrap();
    w.pass(60);
    let before = w.store.generation();
    w.store.secrets_used(w.ats, Which::Next, true, w.later(-30)).await.unwrap();
    w.store.secrets_used(w.ats, Which::Next, false, w.now()).await.unwrap();
    assert_eq!(w.store.generation(), before, "use makes nobody read again");
    let about = known().await.next.unwrap();
    assert_eq!((about.used_at, about.refused_at), (Some(w.now()), Some(w.later(-30))));
    rotate(Rotate::Finish).await.unwrap();
    assert_eq!((current().await.as_str(), next().await), ("third", None));
    assert_eq!((known().await.current, known().await.next), (about, None));
    rotate(Rotate::Expires { at: None }).await.unwrap();
    assert_eq!((known().await.current.expires_at, current().await.as_str()), (None, "third"));
    // Of a set that is gone nothing is written down.
    w.store.secrets_used(w.ats, Which::Next, false, w.now()).await.unwrap();
    assert_eq!(known().await.next, None);
}

pub(crate) async fn other_secrets_end_a_rotation<B: Backend>(w: World<B>) {
    let secrets = |text: &str| BTreeMap::from([("key".to_owned(), Secret::new(text))]);
    let begin = Rotate::Begin { secrets: secrets("second"), expires_at: None };
    w.store.rotate(w.ats, begin, "test", w.now()).await.unwrap();
    let record = w.store.account(w.ats).await.unwrap();
    let change = crate::store::setup::AccountChanged {
        account: record.account,
        credentials: Some(secrets("third")),
        actor: "test".into(),
        now: w.now(),
    };
    w.store.update_account(change).await.unwrap();
    assert_eq!(w.store.credentials(w.ats).await.unwrap()["key"].reveal(), "third");
    assert_eq!(w.store.next_credentials(w.ats).await.unwrap(), None);
    assert_eq!(w.store.account(w.ats).await.unwrap().credentials.next, None);
}
