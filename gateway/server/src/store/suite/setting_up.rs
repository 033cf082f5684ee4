//! Tenants, accounts, keys, postings, forms, job leases.

use std::collections::BTreeMap;
use std::time::Duration;

use causeway_core::account::Role;
use causeway_core::delivery::HeldCause;
use causeway_core::ids::{AccountId, KeyId};
use causeway_core::pii::Secret;
use causeway_core::posting::Form;
use causeway_core::reason::Reason;

use super::world::{Backend, JOB, World, account, posting};
use crate::store::StoreError;
use crate::store::intake::{Accepted, Decision};
use crate::store::setup::{AccountChanged, AccountRecord, NewAccount, NewKey, NewTenant, Scope, Sync, SyncReport};

pub(crate) async fn names_are_unique_within_their_owner<B: Backend>(w: World<B>) {
    let again = NewTenant { name: "acme".into(), actor: "test".into(), now: w.now() };
    assert!(matches!(w.store.create_tenant(again).await, Err(StoreError::Exists("tenant"))));
    let id = AccountId::new(w.now(), &w.entropy);
    let same = NewAccount {
        account: account(w.tenant, id, "acme-ats", Role::Ats),
        credentials: BTreeMap::new(),
        sandbox: false,
        staged: false,
        expires_at: None,
        actor: "test".into(),
        now: w.now(),
    };
    assert!(matches!(w.store.add_account(same).await, Err(StoreError::Exists("account"))));
    // The same name in another tenant is another account.
    let (other, _) = w.other_tenant().await;
    assert_eq!(w.store.accounts(Some(other)).await.unwrap().len(), 1);
    assert_eq!(w.store.accounts(Some(w.tenant)).await.unwrap().len(), 2);
    assert_eq!(w.store.accounts(None).await.unwrap().len(), 3);
    assert_eq!(w.store.tenants().await.unwrap().len(), 2);
}

pub(crate) async fn credentials_come_back_and_are_replaced<B: Backend>(w: World<B>) {
    assert_eq!(w.store.credentials(w.ats).await.unwrap()["key"].reveal(), "canary-secret");
    let mut record = w.store.account(w.ats).await.unwrap();
    record.account.name = "acme-ats-emea".into();
    w.store.update_account(changed(&w, &record, None)).await.unwrap();
    assert_eq!(w.store.account(w.ats).await.unwrap(), record);
    assert_eq!(w.store.credentials(w.ats).await.unwrap()["key"].reveal(), "canary-secret");
    let fresh = BTreeMap::from([("key".to_owned(), Secret::new("fresh"))]);
    w.store.update_account(changed(&w, &record, Some(fresh))).await.unwrap();
    assert_eq!(w.store.credentials(w.ats).await.unwrap()["key"].reveal(), "fresh");
    let unknown = AccountId::new(w.now(), &w.entropy);
    assert!(matches!(w.store.credentials(unknown).await, Err(StoreError::NotFound("account"))));
}

fn changed<B: Backend>(
    w: &World<B>,
    record: &AccountRecord,
    credentials: Option<BTreeMap<String, Secret>>,
) -> AccountChanged {
    AccountChanged { account: record.account.clone(), credentials, actor: "test".into(), now: w.now() }
}

pub(crate) async fn keys_are_found_by_hash_until_revoked<B: Backend>(w: World<B>) {
    let id = KeyId::new(w.now(), &w.entropy);
    let new = NewKey {
        id,
        tenant: w.tenant,
        name: "site".into(),
        hash: [7; 32],
        scopes: vec![Scope::Submit, Scope::Read],
        origins: None,
        test: false,
        actor: "test".into(),
        now: w.now(),
    };
    let made = w.store.create_key(new).await.unwrap();
    assert_eq!(w.store.key_by_hash([7; 32]).await.unwrap(), Some(made));
    assert_eq!(w.store.key_by_hash([8; 32]).await.unwrap(), None);
    let (other, _) = w.other_tenant().await;
    let foreign = w.store.revoke_key(other, id, "test", w.now()).await;
    assert!(matches!(foreign, Err(StoreError::NotFound("key"))));
    w.store.revoke_key(w.tenant, id, "test", w.now()).await.unwrap();
    w.pass(60);
    w.store.revoke_key(w.tenant, id, "test", w.now()).await.unwrap();
    assert_eq!(w.store.key_by_hash([7; 32]).await.unwrap(), None);
    let revoked_at = w.store.keys(w.tenant).await.unwrap()[0].revoked_at;
    assert_eq!(revoked_at, Some(w.later(-60)));
}

pub(crate) async fn what_setup_changes_raises_the_generation<B: Backend>(w: World<B>) {
    let mut last = w.store.generation();
    let mut grew = |w: &World<B>| {
        let now = w.store.generation();
        let grew = now > last;
        last = now;
        grew
    };
    w.sync(w.ats, true, &[JOB]).await;
    assert!(grew(&w));
    let form = Form { posting_id: JOB.into(), digest: "d1".into(), questions: Vec::new() };
    w.store.put_form(w.ats, &form, w.now()).await.unwrap();
    assert!(grew(&w));
    w.store.pause_account(w.ats, causeway_core::reason::Reason::AccountPaused, "test", w.now()).await.unwrap();
    assert!(grew(&w));
    w.store.resume_account(w.ats, "test", w.now()).await.unwrap();
    assert!(grew(&w));
    w.accept(w.application("ada@example.org")).await;
    assert!(!grew(&w), "an application is no set-up");
}

pub(crate) async fn a_complete_sync_closes_what_it_no_longer_lists<B: Backend>(w: World<B>) {
    let sync = |complete, ids: &[&str]| Sync {
        account: w.ats,
        started_at: w.now(),
        complete,
        postings: ids.iter().map(|id| posting(id)).collect(),
    };
    let report = |listed, opened, changed, closed| SyncReport { listed, opened, changed, closed };
    assert_eq!(w.store.apply_sync(sync(true, &["1", "2", "2"])).await.unwrap(), report(3, 2, 0, 0));
    w.pass(60);
    assert_eq!(w.store.apply_sync(sync(false, &["3"])).await.unwrap(), report(1, 1, 0, 0));
    w.pass(60);
    let mut next = sync(true, &["1", "3"]);
    next.postings[0].title = "Fitter".into();
    assert_eq!(w.store.apply_sync(next).await.unwrap(), report(2, 0, 1, 1));
    let stored = w.store.postings(w.ats).await.unwrap();
    let open: Vec<_> = stored.iter().filter(|posting| posting.closed_at.is_none()).collect();
    assert_eq!(open.iter().map(|found| found.posting.title.as_str()).collect::<Vec<_>>(), ["Fitter", "Welder"]);
    assert_eq!(w.store.account(w.ats).await.unwrap().last_complete_sync, Some(w.now()));
    w.pass(60);
    assert_eq!(w.store.apply_sync(sync(false, &["2"])).await.unwrap(), report(1, 1, 0, 0));
    assert_eq!(w.store.account(w.ats).await.unwrap().last_complete_sync, Some(w.later(-60)));
}

pub(crate) async fn an_older_sync_changes_nothing<B: Backend>(w: World<B>) {
    w.sync(w.ats, true, &["1"]).await;
    let old = Sync { account: w.ats, started_at: w.later(-60), complete: true, postings: vec![posting("2")] };
    assert_eq!(w.store.apply_sync(old).await.unwrap(), SyncReport { listed: 1, ..SyncReport::default() });
    let stored = w.store.postings(w.ats).await.unwrap();
    assert_eq!((stored.len(), stored[0].closed_at), (1, None));
}

pub(crate) async fn forms_keep_their_versions<B: Backend>(w: World<B>) {
    let form = |digest: &str| Form { posting_id: JOB.into(), digest: digest.into(), questions: Vec::new() };
    assert!(matches!(w.store.put_form(w.ats, &form("d1"), w.now()).await, Err(StoreError::NotFound("posting"))));
    w.sync(w.ats, true, &[JOB]).await;
    w.store.put_form(w.ats, &form("d1"), w.now()).await.unwrap();
    let mut application = w.application("ada@example.org");
    application.form_digest = Some("d1".into());
    w.accept(application).await;
    w.store.put_form(w.ats, &form("d2"), w.now()).await.unwrap();
    let view = w.store.posting_view(w.tenant, JOB, false).await.unwrap();
    assert_eq!(view.form, Some((form("d2"), w.now())));
    assert_eq!(view.accounts.len(), 2);
    let (item, _) = w.store.load(&w.one_claim().await, false).await.unwrap();
    assert_eq!(item.form, Some(form("d1")), "the version it was validated against");
}

pub(crate) async fn the_older_account_wins_a_shared_posting_id<B: Backend>(w: World<B>) {
    w.pass(1);
    let newer = AccountId::new(w.now(), &w.entropy);
    w.add_account(w.tenant, newer, "acme-ats-emea", Role::Ats).await;
    w.sync(newer, true, &[JOB]).await;
    assert_eq!(w.store.posting_view(w.tenant, JOB, false).await.unwrap().posting.unwrap().account, newer);
    w.sync(w.ats, true, &[JOB]).await;
    assert_eq!(w.store.posting_view(w.tenant, JOB, false).await.unwrap().posting.unwrap().account, w.ats);
    let (other, _) = w.other_tenant().await;
    assert_eq!(w.store.posting_view(other, JOB, false).await.unwrap().posting, None);
}

pub(crate) async fn publishable_keys_list_their_origins_while_they_live<B: Backend>(w: World<B>) {
    let (other, _) = w.other_tenant().await;
    let key = |tenant, hash, origins: &[&str]| NewKey {
        id: KeyId::new(w.now(), &w.entropy),
        tenant,
        name: "page".into(),
        hash: [hash; 32],
        scopes: Vec::new(),
        origins: Some(origins.iter().map(|text| (*text).to_owned()).collect()),
        test: true,
        actor: "test".into(),
        now: w.now(),
    };
    assert!(w.store.origins().await.unwrap().is_empty());
    let made = w.store.create_key(key(w.tenant, 1, &["https://a.example.org", "https://b.example.org"])).await.unwrap();
    assert_eq!(w.store.key_by_hash([1; 32]).await.unwrap().as_ref(), Some(&made));
    w.store.create_key(key(other, 2, &["https://b.example.org"])).await.unwrap();
    let listed = async || w.store.origins().await.unwrap().into_iter().collect::<Vec<_>>();
    assert_eq!(listed().await, ["https://a.example.org", "https://b.example.org"]);
    w.store.revoke_key(w.tenant, made.id, "test", w.now()).await.unwrap();
    assert_eq!(listed().await, ["https://b.example.org"]);
}

pub(crate) async fn sandbox_accounts_are_a_world_of_their_own<B: Backend>(w: World<B>) {
    let sandbox = AccountId::new(w.now(), &w.entropy);
    let new = NewAccount {
        account: account(w.tenant, sandbox, "acme-ats-test", Role::Ats),
        credentials: BTreeMap::new(),
        sandbox: true,
        staged: false,
        expires_at: None,
        actor: "test".into(),
        now: w.now(),
    };
    assert!(w.store.add_account(new).await.unwrap().sandbox);
    w.sync(sandbox, true, &[JOB]).await;
    let view = async |test| w.store.posting_view(w.tenant, JOB, test).await.unwrap();
    assert_eq!(view(true).await.posting.unwrap().account, sandbox);
    assert_eq!(view(true).await.accounts.len(), 1);
    assert_eq!(view(false).await.posting, None);
    assert_eq!(view(false).await.accounts.len(), 2);
    // Listed by both, each world sees its own.
    w.sync(w.ats, true, &[JOB]).await;
    assert_eq!(view(true).await.posting.unwrap().account, sandbox);
    assert_eq!(view(false).await.posting.unwrap().account, w.ats);

    // The same person, in a test and in life: neither repeats the other.
    let mut tried = w.application("ada@example.org");
    tried.test = true;
    tried.deliveries.truncate(1);
    tried.deliveries[0].account = sandbox;
    let repeat_of = |accepted: Accepted| match accepted {
        Accepted::New { repeat_of, .. } => repeat_of,
        other => panic!("{other:?}"),
    };
    let id = tried.id;
    assert_eq!(repeat_of(w.store.accept(tried).await.unwrap()), None);
    let real = w.application("ada@example.org");
    let real_id = real.id;
    assert_eq!(repeat_of(w.store.accept(real).await.unwrap()), None);
    // Each world reads its own, and the other's as if it were not there.
    for (id, test) in [(id, true), (real_id, false)] {
        assert_eq!(w.store.application(w.tenant, id, test).await.unwrap().test, test);
        assert!(matches!(w.store.application(w.tenant, id, !test).await, Err(StoreError::NotFound("application"))));
    }
}

pub(crate) async fn a_held_test_waits_for_the_sandboxes_posting<B: Backend>(w: World<B>) {
    let sandbox = AccountId::new(w.now(), &w.entropy);
    let new = NewAccount {
        account: account(w.tenant, sandbox, "acme-ats-test", Role::Ats),
        credentials: BTreeMap::new(),
        sandbox: true,
        staged: false,
        expires_at: None,
        actor: "test".into(),
        now: w.now(),
    };
    w.store.add_account(new).await.unwrap();
    let mut held = w.application("ada@example.org");
    held.test = true;
    held.posting_account = None;
    held.deliveries.truncate(1);
    held.deliveries[0].account = sandbox;
    held.deliveries[0].held = Some((HeldCause::PostingUnknown, Reason::PostingNotSyncedYet, Vec::new()));
    w.store.accept(held).await.unwrap();
    w.pass(1);
    // A live account that lists the posting, or surely does not, says nothing about the sandbox.
    w.sync(w.ats, true, &[JOB]).await;
    assert!(w.store.awaiting(10).await.unwrap().is_empty());
    w.sync(sandbox, true, &[JOB]).await;
    let ready = w.store.awaiting(10).await.unwrap();
    assert_eq!(ready.len(), 1);
    assert_eq!(ready[0].view.posting.as_ref().unwrap().account, sandbox);
    w.store.decide_held(w.tenant, ready[0].delivery, Decision::Go { form_digest: None }, w.now()).await.unwrap();
    let (due, _) = w.store.due(w.now()).await.unwrap();
    assert_eq!(due.iter().map(|one| one.account).collect::<Vec<_>>(), [sandbox]);
}

pub(crate) async fn a_job_has_one_leaseholder<B: Backend>(w: World<B>) {
    let lease = async |owner: &str| w.store.lease_job("sync", owner, w.now(), Duration::from_secs(30)).await.unwrap();
    assert_eq!(lease("a").await, Some(1));
    assert_eq!(lease("b").await, None);
    assert_eq!(lease("a").await, Some(1), "renewed");
    w.pass(31);
    assert_eq!(lease("b").await, Some(2), "taken over");
    assert_eq!(lease("a").await, None);
    w.pass(31);
    assert_eq!(lease("b").await, Some(3), "an expired lease is a new one, even for its holder");
}
