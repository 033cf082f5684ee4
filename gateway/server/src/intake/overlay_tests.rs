//! Intake with an account's overlay, and with one that is not live yet.

use std::sync::Arc;

use causeway_core::overlay::Overlay;
use causeway_core::posting::{Question, QuestionField};
use causeway_core::reason::Reason;
use serde_json::{Value, json};

use super::Config;
use super::fake::{JOB, World, document};
use super::tests::{sender, submit};
use crate::store::onboard::Mapping;

/// The job asks one question, which the ATS's overlay fills from the notice period.
fn mapped() -> World {
    let world = World::new();
    let text = r#"{"format":1,"rules":[{"op":"copy","field":"q1","from":"/eligibility/notice"}]}"#;
    let mapping = Mapping { version: 3, overlay: Overlay::parse(text).unwrap(), fields: Vec::new() };
    let mapping = Some(Arc::new(mapping));
    let ats = world.ats;
    world.change(|view| {
        let ours = view.accounts.iter_mut().filter(|record| record.account.id == ats);
        ours.for_each(|record| record.mapping.clone_from(&mapping));
        if let Some((form, _)) = &mut view.form {
            let field = QuestionField { name: "q1".to_owned(), ..QuestionField::default() };
            form.questions = vec![Question { required: true, fields: vec![field], ..Question::default() }];
            form.digest = "d2".to_owned();
        }
    });
    world
}

#[tokio::test]
async fn a_question_that_is_filled_is_answered_and_what_came_is_stored() {
    let world = mapped();
    let intake = world.intake(Config::default());
    let refused = submit(&world, &intake, &document(), None).await.unwrap_err();
    assert_eq!(refused.problem.code, "application_invalid", "the source is empty");
    let mut with_notice = document();
    with_notice["eligibility"] = json!({ "notice": "3 months" });
    submit(&world, &intake, &with_notice, None).await.unwrap();
    let inside = world.store.inside();
    assert_eq!(inside.accepted[0].document, with_notice.to_string(), "byte for byte as it came");
}

#[tokio::test]
async fn a_form_says_what_is_filled_and_changes_with_the_overlay() {
    let world = mapped();
    let intake = world.intake(Config::default());
    let form = async || intake.form(sender(&world), JOB).await.unwrap();
    let with = form().await;
    let shown: Value = serde_json::from_slice(&with.body).unwrap();
    let question = shown["questions"].as_array().unwrap().iter().find(|one| one["id"] == "q1").unwrap();
    assert_eq!(question["filled"], json!({ "account": "our-ats", "from": "/eligibility/notice" }));
    assert_eq!((&question["required"], &question["required_by"]), (&json!(false), &json!([])));
    world.change(|view| view.accounts.iter_mut().for_each(|record| record.mapping = None));
    let without = form().await;
    assert_ne!(with.tag, without.tag);
    let shown: Value = serde_json::from_slice(&without.body).unwrap();
    let question = shown["questions"].as_array().unwrap().iter().find(|one| one["id"] == "q1").unwrap();
    assert_eq!((&question["required"], question.get("filled")), (&json!(true), None));
}

#[tokio::test]
async fn a_receipt_says_that_an_account_is_not_live_yet() {
    let world = World::new();
    let crm = world.crm;
    world.change(|view| {
        view.accounts.iter_mut().filter(|record| record.account.id == crm).for_each(|record| record.live_at = None);
    });
    let intake = world.intake(Config::default());
    let receipt = submit(&world, &intake, &document(), None).await.unwrap();
    let target = &receipt["targets"][1];
    assert_eq!((&target["state"], &target["reason"]), (&json!("held"), &json!(Reason::AccountNotLive.as_str())));
}
