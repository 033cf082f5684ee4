//! What every store owes support and upkeep: lookups, erasure, the audit chain, retention.

use std::time::Duration;

use causeway_core::account::Role;
use causeway_core::delivery::{HeldCause, State};
use causeway_core::email::NormalEmail;
use causeway_core::ids::{AccountId, DeliveryId, SubmissionId};
use causeway_core::outcome::Class;
use causeway_core::reason::Reason;
use jiff::{SignedDuration, Timestamp};

use super::people::{Applied, People, VENDOR_WORDS, at, email};
use super::world::{Backend, World};
use crate::store::StoreError;
use crate::store::intake::{Accepted, EdgeCount};
use crate::store::trace::{DeliveryTrace, LookupQuery, Retention, SubmissionKind, SubmissionTrace};
use crate::store::work::Settlement;

/// Every question support asks, and what it finds; another tenant's data is never among it.
pub(crate) async fn every_combination_finds_what_it_names<B: Backend>(base: World<B>) {
    let people = People::new(&base.store, "north", 1).await;
    let other = People::new(&base.store, "south", 2).await;
    let ada = people.apply("ada@example.org", "4001", at(0)).await;
    let tagged = people.apply("ada+jobs@example.org", "4002", at(60)).await;
    let bo = people.apply("bo@example.com", "5001", at(120)).await;
    let refused = people.refuse("ada@example.org", "4001", at(180)).await;
    let unknown = people.refuse("cy@example.com", "Nowhere-1", at(240)).await;
    let theirs = other.apply("ada@example.org", "4001", at(0)).await;

    let ask = || people.query();
    let mail = |typed: &str| LookupQuery { email: Some(email(typed)), ..ask() };
    let base = |typed: &str| LookupQuery { base_email: true, ..mail(typed) };
    let job = |query: LookupQuery, job: &str| LookupQuery { job: Some(job.to_owned()), ..query };
    let account = |query: LookupQuery, named: &str| LookupQuery { account: Some(named.to_owned()), ..query };
    let code = |typed: String| LookupQuery { code: Some(typed), ..ask() };
    let time = |query: LookupQuery, since: Option<i64>, until: Option<i64>| LookupQuery {
        since: since.map(at),
        until: until.map(at),
        ..query
    };
    let spoken = ada.code.replace('-', "").to_lowercase().replace('0', "o").replace('1', "l");
    let cases: Vec<(&str, LookupQuery, Vec<SubmissionId>)> = vec![
        ("exact address", mail(" ADA@Example.ORG "), vec![refused, ada.id]),
        ("exact tagged address", mail("ada+jobs@example.org"), vec![tagged.id]),
        ("base from the plain address", base("ada@example.org"), vec![refused, tagged.id, ada.id]),
        ("base from a tagged address", base("ada+x@example.org"), vec![refused, tagged.id, ada.id]),
        ("unknown address", mail("dee@example.com"), vec![]),
        ("posting id and its sibling", job(base("ada@example.org"), "4001"), vec![refused, tagged.id, ada.id]),
        ("posting id with the address", job(mail("ada@example.org"), "4001"), vec![refused, ada.id]),
        ("another job", job(mail("ada@example.org"), "5001"), vec![]),
        ("vendor job id", job(base("ada@example.org"), "77"), vec![refused, tagged.id, ada.id]),
        ("requisition code", job(mail("bo@example.com"), "req-10"), vec![bo.id]),
        ("job alone", job(ask(), " REQ-9 "), vec![refused, tagged.id, ada.id]),
        ("an id that never existed", job(ask(), "Nowhere-1"), vec![unknown]),
        ("code", code(ada.code.clone()), vec![ada.id]),
        ("code as heard", code(spoken), vec![ada.id]),
        ("code of another tenant", code(theirs.code.clone()), vec![]),
        (
            "code and wrong address",
            LookupQuery { email: Some(email("bo@example.com")), ..code(ada.code.clone()) },
            vec![],
        ),
        ("code and wrong job", job(code(ada.code.clone()), "5001"), vec![]),
        ("account by name", account(ask(), "acme-ats"), vec![refused, bo.id, tagged.id, ada.id]),
        ("account by id", account(ask(), &people.crm.to_string()), vec![bo.id, tagged.id, ada.id]),
        ("account of another tenant", account(ask(), &other.ats.to_string()), vec![]),
        ("no such account", account(mail("ada@example.org"), "lever"), vec![]),
        ("account and address", account(mail("ada@example.org"), "acme-crm"), vec![ada.id]),
        ("account and job", account(job(ask(), "88"), "acme-crm"), vec![bo.id]),
        ("from", time(ask(), Some(120), None), vec![unknown, refused, bo.id]),
        ("until is not in it", time(ask(), None, Some(120)), vec![tagged.id, ada.id]),
        ("window", time(ask(), Some(60), Some(180)), vec![bo.id, tagged.id]),
        ("account and window", time(account(ask(), "acme-crm"), Some(60), Some(120)), vec![tagged.id]),
        ("account and an empty window", time(account(ask(), "acme-crm"), Some(900), Some(901)), vec![]),
        ("address and window", time(mail("ada@example.org"), Some(1), None), vec![refused]),
        ("code and window", time(code(ada.code.clone()), Some(1), None), vec![]),
    ];
    for (name, query, expected) in cases {
        let found = people.lookup(query).await;
        let ids: Vec<SubmissionId> = found.submissions.iter().map(|trace| trace.id).collect();
        assert_eq!(ids, expected, "{name}");
        assert!(!found.truncated && found.erased_at.is_none(), "{name}");
    }
}

/// Two accounts may list the same posting id for different jobs.
pub(crate) async fn a_requisition_code_means_its_own_accounts_posting<B: Backend>(base: World<B>) {
    let people = People::new(&base.store, "north", 1).await;
    let second = AccountId::new(at(0), &people.entropy);
    people.add_account(second, "lever", Role::Ats).await;
    people.sync(second, &[("5001", "990", "LEV-1", &[])]).await;
    let first = people.apply("ada@example.org", "5001", at(0)).await;
    let (mut application, other) = people.application("bo@example.com", "5001", at(1)).await;
    application.posting_account = Some(second);
    people.store.accept(application).await.unwrap();
    let (mut application, unknown) = people.application("cy@example.com", "5001", at(2)).await;
    application.posting_account = None;
    people.store.accept(application).await.unwrap();
    for (job, expected) in [
        ("REQ-10", vec![unknown.id, first.id]),
        ("LEV-1", vec![unknown.id, other.id]),
        ("5001", vec![unknown.id, other.id, first.id]),
    ] {
        let found = people.lookup(LookupQuery { job: Some(job.to_owned()), ..people.query() }).await;
        assert_eq!(found.submissions.iter().map(|trace| trace.id).collect::<Vec<_>>(), expected, "{job}");
    }
}

/// A site that sends another of a job's names is refused, and support finds that by any of them.
pub(crate) async fn what_was_sent_under_another_name_of_the_job_is_found<B: Backend>(base: World<B>) {
    let people = People::new(&base.store, "north", 1).await;
    let sent = people.refuse("eve@example.com", "Req-10", at(0)).await;
    people.refuse("eve@example.com", "REQ-11", at(1)).await;
    for job in ["5001", "req-10", "REQ-10", " Req-10 "] {
        let query = LookupQuery { email: Some(email("eve@example.com")), job: Some(job.to_owned()), ..people.query() };
        let found = people.lookup(query).await;
        assert_eq!(found.submissions.iter().map(|trace| trace.id).collect::<Vec<_>>(), [sent], "{job}");
    }
}

/// The newest are shown, and that there are more.
pub(crate) async fn a_limit_keeps_the_newest_and_says_so<B: Backend>(base: World<B>) {
    let people = People::new(&base.store, "north", 1).await;
    let mut all = Vec::new();
    for minutes in [30, 10, 20] {
        all.push((minutes, people.apply("ada@example.org", "5001", at(minutes)).await.id));
    }
    all.sort_unstable_by_key(|(minutes, _)| -minutes);
    let ways = [
        LookupQuery { email: Some(email("ada@example.org")), ..people.query() },
        LookupQuery { job: Some("88".to_owned()), ..people.query() },
        LookupQuery { since: Some(at(0)), ..people.query() },
    ];
    for way in ways {
        for limit in 1..=3 {
            let found = people.lookup(LookupQuery { limit, ..way.clone() }).await;
            let ids: Vec<SubmissionId> = found.submissions.iter().map(|trace| trace.id).collect();
            let newest: Vec<SubmissionId> = all.iter().take(limit).map(|(_, id)| *id).collect();
            assert_eq!((ids, found.truncated), (newest, limit < 3), "{way:?}");
        }
    }
}

/// Every field of a trace holds what was recorded.
pub(crate) async fn a_trace_holds_everything_recorded<B: Backend>(base: World<B>) {
    let people = People::new(&base.store, "north", 1).await;
    let applied = people.apply("ada@example.org", "4001", at(0)).await;
    let (claim, begun) = people.begin(applied.ats, people.ats, at(1)).await;
    // What the vendor says is sealed with the key that came with the delivery.
    let (item, _) = people.store.load(&claim, false).await.unwrap();
    assert!(item.words_key.is_some());
    people.settle(Settlement { words_key: item.words_key, ..People::refused(claim, begun, at(2)) }).await;
    let (claim, begun) = people.begin(applied.crm, people.crm, at(3)).await;
    people.settle(People::delivered(claim, begun, at(4), "900")).await;
    let repeat = people.apply("ada@example.org", "4001", at(30)).await;
    people.refuse("ada@example.org", "4001", at(60)).await;

    let found = people.by_code(&applied.code).await;
    let trace = &found.submissions[0];
    assert_eq!((trace.received_at, trace.posting_id.as_str(), trace.trace_id.as_str()), (at(0), "4001", "t1"));
    assert_eq!(trace.posting.as_ref().map(|posting| posting.title.as_str()), Some("Job REQ-9"));
    assert!(!trace.erased && trace.posting_closed_at.is_none());
    let SubmissionKind::Accepted { code, repeat_of, form_digest, .. } = &trace.kind else { panic!("{trace:?}") };
    assert_eq!((code, repeat_of, form_digest.as_deref()), (&applied.code, &None, Some("f0")));

    let ats = delivery(trace, applied.ats);
    assert_eq!((ats.account, ats.account_name.as_str(), ats.connector.as_str()), (people.ats, "acme-ats", "acme-ats"));
    assert_eq!((ats.state, ats.reason, ats.held), (State::Refused, Some(Reason::ValueInvalid), None));
    assert_eq!((&ats.fields, ats.changed_at, ats.next_attempt_at), (&vec![People::field()], at(2), None));
    let attempt = &ats.attempts[0];
    assert_eq!((attempt.number, attempt.step.as_str(), attempt.is_lookup), (1, "submit", false));
    assert_eq!((attempt.began_at, attempt.ended_at), (at(1), Some(at(2))));
    assert_eq!((attempt.took, attempt.class), (Some(Duration::from_millis(250)), Some(Class::Refused)));
    assert_eq!((attempt.reason, attempt.vendor_status), (Some(Reason::ValueInvalid), Some(422)));
    assert_eq!(attempt.vendor_words.as_ref().map(|words| words.reveal().as_str()), Some(VENDOR_WORDS));

    let crm = delivery(trace, applied.crm);
    assert_eq!((crm.state, crm.vendor_id.as_deref()), (State::Delivered, Some("900")));
    assert_eq!(crm.refs.get("application_id").map(String::as_str), Some("900"));
    assert_eq!((crm.sent_at, crm.vendor_said_yes_at), (Some(at(3)), Some(at(4))));
    assert!(crm.proof.as_ref().is_some_and(|proof| proof.seen_at.is_none() && proof.not_verifiable.is_some()));

    let found = people.by_code(&repeat.code).await;
    let SubmissionKind::Accepted { repeat_of, .. } = &found.submissions[0].kind else { panic!() };
    assert_eq!(*repeat_of, Some(applied.id));

    let found = people.lookup(LookupQuery { since: Some(at(60)), ..people.query() }).await;
    let SubmissionKind::Refused { code, errors, count, last_at } = &found.submissions[0].kind else { panic!() };
    assert_eq!((code.as_str(), *count, *last_at), ("application_invalid", 1, at(60)));
    assert_eq!(errors, &vec![People::error()]);
}

/// It did reach us then, whenever it first did.
pub(crate) async fn a_refusal_that_came_again_is_of_both_windows<B: Backend>(base: World<B>) {
    let people = People::new(&base.store, "north", 1).await;
    let first = people.refusal("eve@example.com", "4001", at(0));
    let mut again = people.refusal("eve@example.com", "4001", at(50));
    again.document = first.document.clone();
    let id = first.id;
    people.store.record_refusal(first).await.unwrap();
    people.store.record_refusal(again).await.unwrap();
    people.refuse("dee@example.com", "4001", at(10)).await;
    let (email, job) = (NormalEmail::parse("eve@example.com"), Some("4001".to_owned()));
    for asked in [
        LookupQuery { email: email.clone(), ..people.query() },
        LookupQuery { email: email.clone(), base_email: true, ..people.query() },
        LookupQuery { job: job.clone(), ..people.query() },
        LookupQuery { email, job, ..people.query() },
        people.query(),
    ] {
        let ids = async |since, until| {
            let query = LookupQuery { since: Some(at(since)), until: Some(at(until)), ..asked.clone() };
            people.lookup(query).await.submissions.iter().map(|found| found.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(30, 60).await, [id], "{asked:?}");
        assert!(ids(0, 60).await.contains(&id), "{asked:?}");
        assert!(ids(51, 60).await.is_empty(), "{asked:?}");
    }
}

/// Sums of the tenant's own counters over the minutes that overlap the window.
pub(crate) async fn edge_refusals_are_counted_in_the_window<B: Backend>(base: World<B>) {
    let people = People::new(&base.store, "north", 1).await;
    let other = People::new(&base.store, "south", 2).await;
    let row = |tenant, minutes, code: &str, count| EdgeCount {
        tenant,
        key: None,
        job: None,
        minute: at(minutes),
        code: code.to_owned(),
        count,
    };
    let ours = Some(people.tenant);
    let counts = vec![
        row(ours, 0, "body_unreadable", 1),
        row(ours, 10, "body_unreadable", 2),
        row(ours, 10, "body_too_large", 4),
        row(ours, 20, "body_unreadable", 8),
        row(Some(other.tenant), 10, "body_unreadable", 16),
        row(None, 10, "key_invalid", 32),
    ];
    people.store.count_edge(counts).await.unwrap();
    let half = SignedDuration::from_secs(30);
    let check = async |since: Option<Timestamp>, until: Option<Timestamp>, expected: &[(&str, u64)]| {
        let found = people.lookup(LookupQuery { since, until, ..people.query() }).await;
        let expected = expected.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect();
        assert_eq!(found.edge_refused, expected, "{since:?} {until:?}");
    };
    check(None, None, &[("body_too_large", 4), ("body_unreadable", 11)]).await;
    check(Some(at(10)), Some(at(20)), &[("body_too_large", 4), ("body_unreadable", 2)]).await;
    check(Some(at(10) + half), None, &[("body_too_large", 4), ("body_unreadable", 10)]).await;
    check(Some(at(11)), None, &[("body_unreadable", 8)]).await;
    check(None, Some(at(0) + half), &[("body_unreadable", 1)]).await;
}

/// Erasing reaches everything of one address and nothing else, and can be asked twice.
pub(crate) async fn erasing_leaves_nothing_personal<B: Backend>(base: World<B>) {
    let people = People::new(&base.store, "north", 1).await;
    let ada = email("ada@example.org");
    let delivered = people.apply("ada@example.org", "4001", at(0)).await;
    let (claim, begun) = people.begin(delivered.crm, people.crm, at(1)).await;
    people.settle(People::delivered(claim, begun, at(2), "900")).await;
    let (claim, begun) = people.begin(delivered.ats, people.ats, at(1)).await;
    people.settle(People::refused(claim, begun, at(2))).await;
    let live = people.apply("ada@example.org", "5001", at(3)).await;
    let refusal = people.refuse("ada@example.org", "4001", at(4)).await;
    let tagged = people.apply("ada+jobs@example.org", "4001", at(5)).await;
    let (mut application, held) = people.application("ada@example.org", "4001", at(6)).await;
    for delivery in &mut application.deliveries {
        delivery.held = Some((HeldCause::Invalid, Reason::ValueInvalid, vec![People::field()]));
    }
    let accepted = people.store.accept(application).await.unwrap();
    assert!(matches!(accepted, Accepted::New { repeat_of: Some(first), .. } if first == delivered.id), "{accepted:?}");
    assert_eq!(people.store.cases(people.tenant, 10).await.unwrap().len(), 2);

    let plan = people.store.erasure_plan(people.tenant, &ada).await.unwrap();
    assert_eq!(plan.submissions, vec![delivered.id, live.id, refusal, held.id]);
    assert_eq!((plan.live_deliveries, plan.blobs), (2, 3));
    let copies: Vec<_> = plan.vendor_copies.iter().map(|copy| (&*copy.account, copy.vendor_id.as_deref())).collect();
    assert_eq!(copies, vec![("acme-crm", Some("900"))]);
    let nobody = people.store.erase(people.tenant, &email("nobody@example.org"), "cli", at(9)).await;
    assert!(matches!(nobody, Err(StoreError::NotFound("person"))), "{nobody:?}");
    let never = people.lookup(LookupQuery { email: Some(email("nobody@example.org")), ..people.query() }).await;
    assert_eq!(never.erased_at, None, "nothing was changed");

    let erasure = people.store.erase(people.tenant, &ada, "cli", at(10)).await.unwrap();
    assert_eq!(erasure.erased_at, at(10));
    assert_eq!(erasure.reached.submissions, plan.submissions);
    let again = people.store.erase(people.tenant, &ada, "cli", at(20)).await.unwrap();
    assert_eq!((again.erased_at, again.reached.submissions.len()), (at(10), 0));

    let by_mail = people.lookup(LookupQuery { email: Some(ada.clone()), ..people.query() }).await;
    assert_eq!((by_mail.erased_at, by_mail.submissions.len()), (Some(at(10)), 0));
    let by_base = people.lookup(LookupQuery { email: Some(ada), base_email: true, ..people.query() }).await;
    assert_eq!((by_base.erased_at, by_base.submissions.len()), (Some(at(10)), 1));
    let all = people.lookup(LookupQuery { since: Some(at(0)), ..people.query() }).await;
    for trace in &all.submissions {
        assert_eq!(trace.erased, trace.id != tagged.id);
        match &trace.kind {
            SubmissionKind::Refused { errors, .. } => assert!(errors.is_empty()),
            SubmissionKind::Accepted { deliveries, repeat_of, .. } if trace.erased => {
                assert_eq!(*repeat_of, None);
                let words = deliveries.iter().flat_map(|delivery| &delivery.attempts);
                assert!(words.into_iter().all(|attempt| attempt.vendor_words.is_none()));
                assert!(deliveries.iter().all(|delivery| delivery.fields.is_empty()));
            }
            SubmissionKind::Accepted { deliveries, .. } => assert_eq!(deliveries.len(), 2),
        }
    }
    let replayed = people.store.replay(people.tenant, delivered.crm, "cli", at(21)).await;
    assert!(matches!(replayed, Err(StoreError::IllegalMove { from: State::Erased, .. })), "{replayed:?}");
    for (applied, delivery, state) in [
        (&delivered, delivered.crm, State::Delivered),
        (&delivered, delivered.ats, State::Erased),
        (&live, live.ats, State::Erased),
        (&held, held.ats, State::Erased),
        (&tagged, tagged.ats, State::Queued),
    ] {
        assert_eq!(state_of(&people, applied, delivery).await, state);
    }
    assert_eq!(people.store.cases(people.tenant, 10).await.unwrap().len(), 0);
    assert_eq!(people.store.verify_audit(people.tenant).await.unwrap(), None);
}

/// Whatever comes late finds nothing to bring back; a new application is a new one.
pub(crate) async fn what_was_erased_does_not_come_back<B: Backend>(base: World<B>) {
    let people = People::new(&base.store, "north", 1).await;
    let ada = email("ada@example.org");
    let (application, first) = people.application("ada@example.org", "4001", at(0)).await;
    people.store.accept(application).await.unwrap();
    let (claim, begun) = people.begin(first.ats, people.ats, at(1)).await;
    people.store.pause_account(people.crm, Reason::AccountPaused, "cli", at(1)).await.unwrap();
    people.store.erase(people.tenant, &ada, "cli", at(2)).await.unwrap();
    let cases = people.store.cases(people.tenant, 10).await.unwrap();
    assert_eq!(cases.iter().map(|case| case.deliveries).collect::<Vec<_>>(), vec![0]);

    let late = people.store.settle(People::delivered(claim.clone(), begun, at(3), "900")).await;
    assert!(matches!(late, Err(StoreError::Fenced | StoreError::IllegalMove { .. })), "{late:?}");
    assert!(people.store.begin_attempt(&claim, "submit", at(3)).await.is_err());
    assert!(people.store.release(&claim, at(3)).await.is_err());
    assert_eq!(people.store.resume_account(people.crm, "cli", at(3)).await.unwrap(), 0);
    assert_eq!(people.store.expire_leases(at(600)).await.unwrap(), (0, 0));
    for delivery in [first.ats, first.crm] {
        let replayed = people.store.replay(people.tenant, delivery, "cli", at(4)).await;
        assert!(matches!(replayed, Err(StoreError::IllegalMove { from: State::Erased, .. })), "{replayed:?}");
        assert!(people.store.cancel(people.tenant, delivery, "cli", at(4)).await.is_err());
        assert_eq!(state_of(&people, &first, delivery).await, State::Erased);
    }
    for account in [people.ats, people.crm] {
        assert_eq!(people.claim(account, at(700)).await, vec![]);
    }

    // The same request once more, as a site's retry: its receipt, and nothing stored.
    let (mut retry, _) = people.application("ada@example.org", "4001", at(0)).await;
    retry.idempotency_key = Some(first.id.to_string());
    assert!(matches!(people.store.accept(retry).await.unwrap(), Accepted::Before { .. }));
    // The person applies anew.
    let (anew, second) = people.application("ada@example.org", "4001", at(5)).await;
    let accepted = people.store.accept(anew).await.unwrap();
    assert!(matches!(accepted, Accepted::New { repeat_of: None, .. }), "{accepted:?}");
    let found = people.lookup(LookupQuery { email: Some(ada.clone()), ..people.query() }).await;
    assert_eq!(found.submissions.iter().map(|trace| trace.id).collect::<Vec<_>>(), vec![second.id]);
    assert_eq!(found.erased_at, Some(at(2)));
    // And is erased a second time: it is that date which is told from then on.
    let erasure = people.store.erase(people.tenant, &ada, "cli", at(6)).await.unwrap();
    assert_eq!((erasure.erased_at, erasure.reached.submissions), (at(6), vec![second.id]));
    let found = people.lookup(LookupQuery { email: Some(ada), ..people.query() }).await;
    assert_eq!((found.erased_at, found.submissions.len()), (Some(at(6)), 0));
}

/// Open cases, newest first, of one tenant.
pub(crate) async fn open_cases_are_listed<B: Backend>(base: World<B>) {
    let people = People::new(&base.store, "north", 1).await;
    let other = People::new(&base.store, "south", 2).await;
    people.apply("ada@example.org", "4001", at(0)).await;
    people.apply("bo@example.com", "4001", at(0)).await;
    people.store.pause_account(people.ats, Reason::CredentialsRefused, "cli", at(1)).await.unwrap();
    people.store.pause_account(people.crm, Reason::AccountPaused, "cli", at(2)).await.unwrap();
    let cases = people.store.cases(people.tenant, 10).await.unwrap();
    let shown: Vec<_> = cases.iter().map(|case| (case.account, case.delivery, case.reason, case.deliveries)).collect();
    let expected = vec![
        (Some(people.crm), None, Reason::AccountPaused, 2),
        (Some(people.ats), None, Reason::CredentialsRefused, 2),
    ];
    assert_eq!(shown, expected);
    assert_eq!(people.store.cases(people.tenant, 1).await.unwrap().len(), 1);
    assert_eq!(other.store.cases(other.tenant, 10).await.unwrap().len(), 0);
    people.store.resume_account(people.crm, "cli", at(3)).await.unwrap();
    assert_eq!(people.store.cases(people.tenant, 10).await.unwrap().len(), 1);
}

/// What is past its time goes, a bounded number a call; what is on its way stays.
pub(crate) async fn retention_removes_what_is_past_its_time<B: Backend>(base: World<B>) {
    let people = People::new(&base.store, "north", 1).await;
    let live = people.apply("ada@example.org", "4001", at(0)).await;
    let mut settled = Vec::new();
    for address in ["bo@example.com", "cy@example.com"] {
        let applied = people.apply(address, "5001", at(1)).await;
        for delivery in [applied.ats, applied.crm] {
            people.store.cancel(people.tenant, delivery, "cli", at(2)).await.unwrap();
        }
        settled.push(applied);
    }
    people.refuse("dee@example.com", "4001", at(3)).await;
    // Came again 59 minutes later, and is counted from then.
    let first = people.refusal("eve@example.com", "4001", at(4));
    let mut again = people.refusal("eve@example.com", "4001", at(63));
    again.document = first.document.clone();
    let counted = first.id;
    people.store.record_refusal(first).await.unwrap();
    people.store.record_refusal(again).await.unwrap();
    let young = people.refuse("dee@example.com", "5001", at(90)).await;
    let minute = |minutes| EdgeCount {
        tenant: Some(people.tenant),
        key: None,
        job: None,
        minute: at(minutes),
        code: "body_unreadable".to_owned(),
        count: 1,
    };
    people.store.count_edge(vec![minute(0), minute(90)]).await.unwrap();
    let hour = Duration::from_secs(3_600);
    let ages = Duration::from_secs(86_400);
    let retention = Retention {
        applications: hour,
        refusals: hour,
        idempotency: hour,
        edge_counts: hour,
        demographics: ages,
        attempts: ages,
        audit: ages,
        webhooks: ages,
    };

    let mut removed = (0, 0, 0, 0);
    for call in 0.. {
        let report = people.store.retain(&retention, at(120), 1).await.unwrap();
        assert!(report.total() <= 1, "{report:?}");
        if report.total() == 0 {
            break;
        }
        assert!(call < 20, "it ends");
        removed.0 += report.applications;
        removed.1 += report.refusals;
        removed.2 += report.idempotency;
        removed.3 += report.edge_counts;
    }
    // The keys of the applications that went, went with them.
    assert_eq!(removed, (2, 1, 1, 1));
    let left = people.lookup(LookupQuery { since: Some(at(0)), ..people.query() }).await;
    assert_eq!(left.submissions.iter().map(|trace| trace.id).collect::<Vec<_>>(), vec![young, counted, live.id]);
    for applied in settled {
        assert_eq!(people.by_code(&applied.code).await.submissions.len(), 0);
    }
    assert_eq!(people.store.verify_audit(people.tenant).await.unwrap(), None);
}

async fn state_of(people: &People, applied: &Applied, delivery_id: DeliveryId) -> State {
    let found = people.by_code(&applied.code).await;
    delivery(&found.submissions[0], delivery_id).state
}

fn delivery(trace: &SubmissionTrace, id: DeliveryId) -> &DeliveryTrace {
    let SubmissionKind::Accepted { deliveries, .. } = &trace.kind else { panic!("{trace:?}") };
    deliveries.iter().find(|delivery| delivery.id == id).unwrap()
}
