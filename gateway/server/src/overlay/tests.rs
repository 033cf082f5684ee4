//! Overlays over a connector whose forms take short texts only: who sees what, what may be saved, what is shown.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::account::Account;
use causeway_core::connector::{Delivery, Descriptor, Http, Permission};
use causeway_core::delivery::StepPlan;
use causeway_core::ids::SubmissionId;
use causeway_core::outcome::Outcome;
use jiff::Timestamp;
use serde_json::json;

use super::check::{Ground, faults, unmapped};
use super::preview::{Cell, shown};
use super::*;
use crate::egress::testing::{DESCRIPTOR, record};
use crate::schema::Schemas;
use crate::store::onboard::{Mapping, Recent};

struct Short;

#[async_trait]
impl Connector for Short {
    fn describe(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn form_schema(&self, _form: &Form) -> Option<Value> {
        let words = json!({ "reason": "value_invalid", "message": "Too long.", "fix": "", "pointer": null });
        Some(
            json!({ "properties": { "answers": { "items": { "properties": { "value": { "maxLength": 5, "x-words": words } } } } } }),
        )
    }

    fn plan(&self, _: &Delivery<'_>) -> Vec<StepPlan> {
        Vec::new()
    }

    async fn run(&self, _: &str, _: &Delivery<'_>, _: &dyn Http) -> Outcome {
        unreachable!("nothing is delivered here")
    }

    async fn check(&self, _: &Account, _: &dyn Http) -> Vec<Permission> {
        Vec::new()
    }
}

fn question(name: &str, group: QuestionGroup, kind: FieldKind, required: bool) -> Question {
    let field = QuestionField { name: name.to_owned(), kind, ..QuestionField::default() };
    Question { label: name.to_owned(), description: None, required, group, fields: vec![field] }
}

fn form() -> Form {
    use QuestionGroup::{Application, Consent, Demographic};
    Form {
        posting_id: "7".to_owned(),
        digest: "d".to_owned(),
        questions: vec![
            question("q1", Application, FieldKind::Text, true),
            question("q2", Application, FieldKind::Text, true),
            question("secret", Application, FieldKind::Hidden, true),
            question("consent", Consent, FieldKind::Boolean, true),
            question("gender", Demographic, FieldKind::SingleSelect, false),
        ],
    }
}

fn overlay(rules: &Value) -> Overlay {
    Overlay::parse(&json!({ "format": 1, "rules": rules }).to_string()).unwrap()
}

fn notice() -> Overlay {
    overlay(&json!([{ "op": "copy", "field": "q1", "from": "/eligibility/notice" }]))
}

fn mapped(overlay: Overlay, role: Role) -> AccountRecord {
    let mut record = record("scripted", json!({}));
    record.account.role = role;
    let fields = fields_of_form(&Short, &form());
    record.mapping = Some(Arc::new(Mapping { version: 1, overlay, fields }));
    record
}

#[test]
fn surveys_and_consents_are_no_fields_and_hidden_ones_need_a_rule() {
    let fields = fields_of_form(&Short, &form());
    let known: Vec<_> = fields.iter().map(|field| (field.name.as_str(), field.required)).collect();
    assert_eq!(known, [("q1", false), ("q2", false), ("secret", true)]);
    let open =
        |overlay: Option<&Overlay>| unmapped(&fields, overlay).iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    assert_eq!((open(None), open(Some(&notice()))), (vec!["secret".to_owned()], vec!["secret".to_owned()]));
    let all = overlay(&json!([{ "op": "constant", "field": "secret", "value": "x" }]));
    assert!(open(Some(&all)).is_empty());
}

#[test]
fn an_ats_sees_what_is_filled_among_the_answers() {
    let (record, form) = (mapped(notice(), Role::Ats), form());
    let seen = |document: &Value| as_seen(&record, &Short, Some(&form), document);
    let sent = json!({ "eligibility": { "notice": "3 mo" }, "answers": [{ "question": "q2", "value": "x" }] });
    let filled = seen(&sent).unwrap();
    assert_eq!(filled["answers"][1], json!({ "question": "q1", "value": "3 mo" }));
    assert_eq!(filled["answers"][0], sent["answers"][0]);
    // Without a form nobody knows what is asked; a CRM is asked no questions; without rules nothing is copied.
    assert_eq!(as_seen(&record, &Short, None, &sent), None);
    assert_eq!(as_seen(&mapped(notice(), Role::Crm), &Short, Some(&form), &sent), None);
    assert_eq!(as_seen(&mapped(overlay(&json!([])), Role::Ats), &Short, Some(&form), &sent), None);
}

#[test]
fn what_is_filled_is_asked_of_nobody() {
    let (record, form) = (mapped(notice(), Role::Ats), form());
    let left = left_to_ask(&record, &Short, &form).unwrap();
    let required: Vec<_> = left.questions.iter().map(|question| question.required).collect();
    assert_eq!(required, [false, true, true, true, false]);
    assert_eq!(left_to_ask(&mapped(overlay(&json!([])), Role::Ats), &Short, &form), None);
}

#[test]
fn complaints_are_told_of_the_document_as_it_was_sent() {
    let error = |pointer: &str, code: &str| FieldError {
        pointer: pointer.to_owned(),
        code: code.to_owned(),
        message: String::new(),
        required_by: Vec::new(),
        fix: "Answer it.".to_owned(),
        question: Some("q1".to_owned()),
    };
    let sent = json!({ "answers": [{ "question": "q2" }] });
    let mut errors = [
        error("/answers", "answer_missing"),
        error("/answers/1/value", "value_invalid"),
        error("/answers/0/value", "value_invalid"),
    ];
    told(&notice(), &sent, &mut errors);
    assert_eq!(errors[0].fix, "Answer it. Or send /eligibility/notice, from which it is filled.");
    assert_eq!(errors[1].pointer, "/eligibility/notice");
    assert_eq!(errors[2].pointer, "/answers/0/value", "what was sent is where it was sent");
}

fn recent(document: &Value) -> Recent {
    Recent {
        submission: SubmissionId::new(Timestamp::UNIX_EPOCH, &causeway_core::clock::SeededEntropy::new(3)),
        posting_id: "7".to_owned(),
        received_at: Timestamp::UNIX_EPOCH,
        document: Bytes::from(document.to_string()),
        form: Some(form()),
    }
}

fn person(notice: &str, answers: &Value) -> Value {
    json!({
        "job": "7",
        "person": { "name": { "given": "Ada", "family": "Example" }, "emails": [{ "address": "ada@example.org" }] },
        "eligibility": { "notice": notice },
        "answers": answers,
    })
}

#[test]
fn an_overlay_that_breaks_what_passed_is_not_saved() {
    let connector: Arc<dyn Connector> = Arc::new(Short);
    let schemas = Schemas::new(&[Arc::clone(&connector)]).unwrap();
    let record = record("scripted", json!({}));
    let (forms, fields, questions) = ([form()], fields_of_form(&Short, &form()), BTreeSet::from(["q2".to_owned()]));
    let check = |overlay: &Overlay, recent: &[Recent], told: &[&str]| {
        let ground = Ground {
            record: &record,
            connector: connector.as_ref(),
            fields: &fields,
            forms: &forms,
            questions: &questions,
            recent,
            schemas: &schemas,
        };
        let lines = faults(overlay, &ground);
        assert_eq!(lines.len(), told.len(), "{lines:?}");
        for (line, told) in lines.iter().zip(told) {
            assert!(line.contains(told), "{line}");
            assert!(!line.contains("3 months"), "a value has no place in it: {line}");
        }
    };
    let constant = |text: &str| overlay(&json!([{ "op": "constant", "field": "q1", "value": text }]));
    check(&constant("short"), &[], &[]);
    check(&constant("too long"), &[], &["posting 7 would refuse it: Too long."]);
    check(&overlay(&json!([{ "op": "copy", "field": "q1", "from": "/person/shoe_size" }])), &[], &["no single value"]);
    check(
        &overlay(&json!([{ "op": "copy", "field": "q1", "from": "answer:q9" }])),
        &[],
        &["no posting that was read asks q9"],
    );
    check(&overlay(&json!([{ "op": "copy", "field": "gender", "from": "answer:q2" }])), &[], &["no such field"]);
    let short = recent(&person("3 mo", &json!([])));
    let long = recent(&person("3 months", &json!([])));
    let answered = recent(&person("3 months", &json!([{ "question": "q1", "value": "now" }])));
    let broken = recent(&person("3 months", &json!([{ "question": "q2", "value": "too long" }])));
    check(&notice(), &[short, answered], &[]);
    check(&notice(), &[long], &["passed and would not any more"]);
    check(&notice(), &[broken], &[]);
}

#[test]
fn a_preview_shows_before_and_after() {
    let schemas = Schemas::new(&[Arc::new(Short) as Arc<dyn Connector>]).unwrap();
    let record = mapped(notice(), Role::Ats);
    let candidate = overlay(&json!([
        { "op": "split", "field": "q1", "from": "/eligibility/notice", "by": " ", "part": 0 },
        { "op": "constant", "field": "q2", "value": "x" },
    ]));
    let documents = [recent(&person("3 months", &json!([{ "question": "q2", "value": "mine" }])))];
    let lines = shown(&record, &Short, &schemas, (&candidate, &[]), &documents);
    let text = |text: &str| Cell::Value(causeway_core::pii::Pii::new(text.to_owned()));
    let cells: Vec<_> =
        lines.iter().map(|line| (line.field.as_str(), &line.before, &line.after, line.passes)).collect();
    let none = Cell::Empty("no rule fills it".to_owned());
    assert_eq!(
        cells,
        [("q1", &text("3 months"), &text("3"), Some(true)), ("q2", &none, &Cell::AsAnswered, Some(true))]
    );
    let nothing = shown(&record, &Short, &schemas, (&overlay(&json!([])), &[]), &documents);
    assert_eq!((nothing.len(), &nothing[0].before, &nothing[0].after), (1, &text("3 months"), &none));
}
