//! Intake over a fake store: which accounts become targets, what is refused, what waits, what is answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use causeway_core::account::OnInvalid;
use causeway_core::delivery::HeldCause;
use causeway_core::ids::{DeliveryId, KeyId};
use causeway_core::posting::Question;
use causeway_core::reason::Reason;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::fake::{Bells, Mood, World, document};
use super::{Config, FilePart, Intake, Refusal, Sender, Submission};
use crate::store::intake::{Decision, ReadyDelivery};
use crate::store::setup::Paused;

pub(super) fn sender(world: &World) -> Sender {
    Sender { tenant: world.tenant, key: KeyId::new(jiff::Timestamp::UNIX_EPOCH, world.entropy.as_ref()), test: false }
}

pub(super) async fn submit(
    world: &World,
    intake: &Intake,
    document: &Value,
    key: Option<&str>,
) -> Result<Value, Refusal> {
    let submission = Submission {
        document: document.to_string().into(),
        files: Vec::new(),
        idempotency_key: key.map(str::to_owned),
        trace_id: "t1".to_owned(),
    };
    intake.submit(sender(world), submission).await.map(|receipt| serde_json::from_slice(&receipt).unwrap())
}

fn rung(bells: &Bells) -> Vec<String> {
    std::mem::take(&mut *bells.rung.lock().unwrap())
}

/// Submits to a changed world; says what every target starts as, or which code was answered.
async fn outcome(change: impl FnOnce(&World), document: &Value) -> Vec<String> {
    let world = World::new();
    change(&world);
    let intake = world.intake(Config::default());
    match submit(&world, &intake, document, None).await {
        Ok(receipt) => receipt["targets"].as_array().unwrap().iter().map(target).collect(),
        Err(refusal) => vec![refusal.problem.code.to_owned()],
    }
}

fn target(target: &Value) -> String {
    let text = |name: &str| target[name].as_str().unwrap_or_default().to_owned();
    [text("account"), text("state"), text("reason")].join(" ").trim_end().to_owned()
}

fn with(mut document: Value, pointer: &str, value: Value) -> Value {
    *document.pointer_mut(pointer).unwrap() = value;
    document
}

#[tokio::test]
async fn targets_are_chosen_and_each_starts_where_its_rules_say() {
    let plain = document();
    let nothing = |_: &World| ();
    assert_eq!(outcome(nothing, &plain).await, ["our-ats queued", "our-crm queued"]);

    let refused = with(document(), "/consents/0/given", json!(false));
    assert_eq!(outcome(nothing, &refused).await, ["our-ats queued"], "no basis, no copy in the CRM");

    let closed = |world: &World| {
        let now = Some(jiff::Timestamp::UNIX_EPOCH);
        world.change(|view| {
            if let Some(posting) = &mut view.posting {
                posting.closed_at = now;
            }
        });
    };
    assert_eq!(outcome(closed, &plain).await, ["posting_closed"]);

    let unknown = with(document(), "/job", json!("999"));
    assert_eq!(outcome(nothing, &unknown).await, ["posting_unknown"], "the sync is fresh");
    let later = |world: &World| world.clock.advance(SignedDuration::from_secs(61));
    let held = ["our-ats held posting_not_synced_yet", "our-crm held posting_not_synced_yet"];
    assert_eq!(outcome(later, &unknown).await, held);

    let formless = |world: &World| world.change(|view| view.form = None);
    assert_eq!(outcome(formless, &plain).await, ["our-ats held form_not_fetched_yet", "our-crm queued"]);

    let asks = |world: &World| {
        world.change(|view| {
            view.form.iter_mut().for_each(|(form, _)| {
                form.questions = vec![Question::default()];
                form.digest = "d2".to_owned();
            });
        });
    };
    assert_eq!(outcome(asks, &plain).await, ["application_invalid"]);
    let holds = |world: &World| {
        asks(world);
        world.change(|view| view.accounts.iter_mut().for_each(|a| a.account.on_invalid = OnInvalid::Hold));
    };
    assert_eq!(outcome(holds, &plain).await, ["our-ats held answer_missing", "our-crm queued"]);

    let mut phoneless = document();
    phoneless["person"].as_object_mut().unwrap().remove("phones");
    let never_blocks = ["our-ats queued", "our-crm held answer_missing"];
    assert_eq!(outcome(nothing, &phoneless).await, never_blocks, "a CRM never blocks an ATS");

    let paused = |world: &World| {
        let since = jiff::Timestamp::UNIX_EPOCH;
        let pause = Paused { reason: Reason::AccountPaused, since };
        world.change(|view| view.accounts.iter_mut().for_each(|account| account.paused = Some(pause.clone())));
    };
    assert_eq!(outcome(paused, &plain).await, ["our-ats held account_paused", "our-crm held account_paused"]);
}

#[tokio::test]
async fn a_preflight_tells_what_is_withheld_as_the_receipt_does() {
    for (given, reason) in
        [(Some(true), None), (Some(false), Some("consent_refused")), (None, Some("lawful_basis_missing"))]
    {
        let world = World::new();
        let intake = world.intake(Config::default());
        let mut document = document();
        document["consents"] =
            given.map_or_else(|| json!([]), |given| json!([{ "purpose": "recruiting", "given": given }]));
        let asked = Submission {
            document: document.to_string().into(),
            files: Vec::new(),
            idempotency_key: None,
            trace_id: "t1".to_owned(),
        };
        let told = serde_json::to_value(intake.preflight(sender(&world), &asked).await.unwrap()).unwrap();
        let expected = reason.map(|reason| json!([{ "account": "our-crm", "role": "crm", "reason": reason }]));
        assert_eq!(told.get("withheld"), expected.as_ref());
        let receipt = submit(&world, &intake, &document, None).await.unwrap();
        assert_eq!(receipt.get("withheld"), expected.as_ref());
    }
}

#[tokio::test]
async fn a_refusal_gives_every_reason_at_once_and_is_recorded() {
    let world = World::new();
    let intake = world.intake(Config::default());
    let mut bad = with(document(), "/person/name", json!({ "given": 7 }));
    bad["surprise"] = json!(true);
    let refusal = submit(&world, &intake, &bad, None).await.unwrap_err();
    assert_eq!((refusal.problem.status, refusal.problem.code), (422, "application_invalid"));
    assert!(refusal.problem.errors.len() >= 2, "{:?}", refusal.problem.errors);
    assert!(refusal.recorded);
    let inside = world.store.inside();
    assert_eq!(inside.refused.len(), 1);
    assert_eq!(inside.refused[0].errors, refusal.problem.errors);
    assert_eq!(inside.refused[0].document, Bytes::from(bad.to_string()));
    assert!(inside.accepted.is_empty());
}

#[tokio::test]
async fn what_names_nobody_or_no_job_is_refused_and_not_recorded() {
    let world = World::new();
    let intake = world.intake(Config::default());
    for (pointer, value) in [
        ("/person/emails/0/address", json!("nobody")),
        ("/job", json!("")),
        ("/job", json!(12)),
        ("/person", json!([])),
    ] {
        let refusal = submit(&world, &intake, &with(document(), pointer, value), None).await.unwrap_err();
        assert_eq!(refusal.problem.code, "application_invalid", "{pointer}");
        assert!(!refusal.problem.errors.is_empty() && !refusal.recorded, "{pointer}");
    }
    assert!(world.store.inside().refused.is_empty());
    let unreadable = submit(&world, &intake, &json!("\u{0}"), None).await.unwrap_err();
    assert_eq!(unreadable.problem.code, "body_unreadable");
}

#[tokio::test]
async fn recorded_refusals_are_bounded_and_can_be_turned_off() {
    let world = World::new();
    let few = crate::quota::Rate { per_second: 0.001, burst: 2 };
    let bounded = world.intake(Config { refusals: few, ..Config::default() });
    let off = world.intake(Config { record_refusals: false, ..Config::default() });
    let unknown = with(document(), "/job", json!("999"));
    let mut recorded = Vec::new();
    for intake in [&bounded, &bounded, &bounded, &off] {
        recorded.push(submit(&world, intake, &unknown, None).await.unwrap_err().recorded);
    }
    assert_eq!(recorded, [true, true, false, false]);
}

#[tokio::test]
async fn a_key_stands_for_one_request_and_its_receipt_outlives_the_posting() {
    let world = World::new();
    let intake = world.intake(Config::default());
    let first = submit(&world, &intake, &document(), Some("k")).await.unwrap();
    assert_eq!(submit(&world, &intake, &document(), Some("k")).await.unwrap(), first);
    let other = with(document(), "/person/name/given", json!("Grace"));
    assert_eq!(submit(&world, &intake, &other, Some("k")).await.unwrap_err().problem.code, "idempotency_key_reused");
    world.change(|view| {
        if let Some(posting) = &mut view.posting {
            posting.closed_at = Some(jiff::Timestamp::UNIX_EPOCH);
        }
    });
    assert_eq!(submit(&world, &intake, &document(), Some("k")).await.unwrap(), first, "a lost answer can be fetched");
    assert_eq!(submit(&world, &intake, &document(), Some("new")).await.unwrap_err().problem.code, "posting_closed");
    let inside = world.store.inside();
    assert_eq!(inside.accepted.len(), 1);
    let refused: Vec<&str> = inside.refused.iter().map(|refusal| refusal.code.as_str()).collect();
    assert_eq!(refused, ["idempotency_key_reused", "posting_closed"], "findable, whatever its code");
}

#[tokio::test]
async fn the_same_bytes_without_a_key_get_the_first_receipt_though_the_job_closed_since() {
    let world = World::new();
    let intake = world.intake(Config::default());
    let mut spaced = document();
    spaced["job"] = json!(format!(" {} ", document()["job"].as_str().unwrap()));
    let first = submit(&world, &intake, &spaced, None).await.unwrap();
    assert_eq!(world.store.inside().accepted[0].posting_id, "127817", "spaces are nobody's intent");
    world.change(|view| {
        if let Some(posting) = &mut view.posting {
            posting.closed_at = Some(jiff::Timestamp::UNIX_EPOCH);
        }
    });
    assert_eq!(submit(&world, &intake, &spaced, None).await.unwrap(), first);
    let other = with(document(), "/person/name/given", json!("Grace"));
    assert_eq!(submit(&world, &intake, &other, None).await.unwrap_err().problem.code, "posting_closed");
}

#[tokio::test]
async fn what_is_stored_is_what_came_and_the_bells_ring_after() {
    let world = World::new();
    let intake = world.intake(Config::default());
    let receipt = submit(&world, &intake, &document(), None).await.unwrap();
    let inside = world.store.inside();
    let stored = &inside.accepted[0];
    assert_eq!(stored.document, Bytes::from(document().to_string()));
    assert_eq!(serde_json::from_slice::<Value>(&stored.receipt).unwrap(), receipt);
    assert_eq!(receipt["id"], stored.id.to_string());
    assert_eq!(receipt["code"], stored.code);
    assert!(receipt["receipt"].as_str().unwrap().starts_with("rcp_"));
    assert_eq!(stored.form_digest.as_deref(), Some("d1"));
    assert_eq!(rung(&world.bells), [format!("work {}", world.ats), format!("work {}", world.crm)]);
}

#[tokio::test]
async fn what_is_missing_is_rung_for() {
    let world = World::new();
    let intake = world.intake(Config::default());
    world.clock.advance(SignedDuration::from_secs(61));
    submit(&world, &intake, &with(document(), "/job", json!("999")), None).await.unwrap();
    assert_eq!(rung(&world.bells), [format!("sync {}", world.ats)]);
    world.clock.advance(SignedDuration::from_hours(2));
    submit(&world, &intake, &document(), None).await.unwrap();
    submit(&world, &intake, &document(), None).await.unwrap();
    let forms = rung(&world.bells).into_iter().filter(|ring| ring.starts_with("form")).count();
    assert_eq!(forms, 1, "a stale form is used and asked for once");
    world.change(|view| view.form = None);
    submit(&world, &intake, &document(), None).await.unwrap();
    assert_eq!(rung(&world.bells).last(), Some(&format!("form {} 127817", world.ats)));
}

#[tokio::test]
async fn a_known_posting_is_read_once_per_generation() {
    let world = World::new();
    let intake = world.intake(Config::default());
    for _ in 0..3 {
        submit(&world, &intake, &document(), None).await.unwrap();
    }
    assert_eq!(world.store.inside().view_lookups, 1);
    world.change(|_| ());
    submit(&world, &intake, &document(), None).await.unwrap();
    assert_eq!(world.store.inside().view_lookups, 2);
    world.change(|_| ());
    let document = document();
    let together = (0..8).map(|_| submit(&world, &intake, &document, None));
    futures_util::future::join_all(together).await.into_iter().for_each(|one| drop(one.unwrap()));
    assert_eq!(world.store.inside().view_lookups, 3, "one of those that come together asks");
}

#[tokio::test]
async fn files_have_to_be_announced_and_announced_files_have_to_come() {
    let world = World::new();
    let intake = world.intake(Config::default());
    let mut announced = document();
    announced["attachments"] =
        json!([{ "id": "cv", "kind": "resume", "name": "cv.txt", "media_type": "text/plain", "size": 5 }]);
    let file = |id: &str, bytes: &'static [u8]| {
        FilePart::new(id.to_owned(), None, Some("text/plain".to_owned()), Bytes::from_static(bytes))
    };
    for (document, files, expected) in [
        (&announced, vec![file("cv", b"hello")], None),
        (&announced, vec![], Some("/attachments/0")),
        (&announced, vec![file("cv", b"hell")], Some("/attachments/0/size")),
        (&announced, vec![file("cv", b"hello"), file("other", b"hello")], Some("/attachments")),
        (&document(), vec![file("cv", b"hello")], Some("/attachments")),
    ] {
        let document = document.to_string().into();
        let submission = Submission { document, files, idempotency_key: None, trace_id: String::new() };
        let refused = intake.submit(sender(&world), submission).await.err();
        let pointer = refused.map(|refusal| refusal.problem.errors[0].pointer.clone());
        assert_eq!(pointer.as_deref(), expected);
    }
    assert_eq!(world.store.inside().accepted[0].attachments.len(), 1);
}

#[tokio::test]
async fn a_store_that_cannot_write_or_does_not_answer_acknowledges_nothing() {
    let world = World::new();
    let intake = world.intake(Config { store_deadline: Duration::from_millis(20), ..Config::default() });
    world.store.inside().mood = Mood::Full;
    let full = submit(&world, &intake, &document(), None).await.unwrap_err();
    assert_eq!((full.problem.code, full.problem.retry_after), ("store_unavailable", Some(2)));
    world.store.inside().mood = Mood::Stuck;
    let document = document();
    let (first, second) =
        tokio::join!(submit(&world, &intake, &document, Some("k")), submit(&world, &intake, &document, Some("k")));
    assert_eq!(first.unwrap_err().problem.code, "deadline_exceeded");
    assert_eq!(second.unwrap_err().problem.code, "idempotency_in_progress");
}

#[tokio::test]
async fn deliveries_that_waited_are_decided_when_what_they_waited_for_is_known() {
    let world = World::new();
    let intake = world.intake(Config::default());
    let key = (world.tenant, "127817".to_owned());
    let known = world.store.inside().views[&key].clone();
    let absent = crate::store::intake::PostingView { posting: None, ..known.clone() };
    let formless = crate::store::intake::PostingView { form: None, ..known.clone() };
    let mut closed_formless = formless.clone();
    if let Some(posting) = &mut closed_formless.posting {
        posting.closed_at = Some(jiff::Timestamp::UNIX_EPOCH);
    }
    let mut asks = known.clone();
    if let Some((form, _)) = &mut asks.form {
        form.questions = vec![Question::default()];
        form.digest = "d2".to_owned();
    }
    for (view, expected) in [
        (known, "Go { form_digest: Some(\"d1\") }"),
        (absent, "Refuse { reason: PostingUnknown, fields: [] }"),
        (formless, "AwaitForm"),
        (asks, "Hold { cause: Invalid"),
        (closed_formless, "Refuse { reason: PostingClosed, fields: [] }"),
    ] {
        let id = DeliveryId::new(jiff::Timestamp::UNIX_EPOCH, world.entropy.as_ref());
        let ready = ReadyDelivery {
            delivery: id,
            tenant: world.tenant,
            account: world.ats,
            // A closed posting is told at once to what waited for the posting; here it waited for the form.
            cause: HeldCause::FormUnknown,
            document: document().to_string().into(),
            view,
        };
        world.store.inside().ready.push(ready);
        assert_eq!(intake.settle_awaiting(10).await.unwrap(), 1);
        let decided: (DeliveryId, Decision) = world.store.inside().decided.pop().unwrap();
        assert_eq!(decided.0, id);
        assert!(format!("{:?}", decided.1).starts_with(expected), "{:?}", decided.1);
    }
    assert_eq!(Arc::strong_count(&intake), 1);
}
