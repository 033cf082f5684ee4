//! The published contract against its examples and its types, and verdicts over several systems.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use causeway_core::account::{Account, OnInvalid, OnUnknown, Repeats, Role};
use causeway_core::application::Application;
use causeway_core::connector::{Connector, Delivery, Descriptor, FindSupport, Http, Limits, Permission};
use causeway_core::delivery::StepPlan;
use causeway_core::ids::{AccountId, TenantId};
use causeway_core::outcome::Outcome;
use causeway_core::posting::{Form, Question, QuestionField, words};
use causeway_core::problem::FieldError;
use causeway_core::reason::Reason;
use serde_json::{Value, json};

use super::forms::{CAPACITY, Forms};
use super::guard::{self, LONGEST_LIST, MAX_STEPS};
use super::{SchemaError, Schemas, Target};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/canonical").join(name)
}

fn documents(name: &str) -> Vec<(String, Value)> {
    let mut documents: Vec<(String, Value)> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let document = super::strict::parse(&std::fs::read(&path).unwrap()).unwrap();
            (path.file_stem().unwrap().to_string_lossy().into_owned(), document)
        })
        .collect();
    documents.sort_by(|left, right| left.0.cmp(&right.0));
    assert!(!documents.is_empty(), "{name} is empty");
    documents
}

fn canonical_schema() -> Value {
    serde_json::from_slice(&std::fs::read(folder("application.v1.json")).unwrap()).unwrap()
}

fn schemas() -> Schemas {
    Schemas::new(&[]).unwrap()
}

fn told(errors: &[FieldError]) -> Vec<(String, String)> {
    let mut told: Vec<_> = errors.iter().map(|error| (error.pointer.clone(), error.code.clone())).collect();
    told.sort();
    told
}

#[test]
fn valid_documents_pass_and_are_read_back_by_the_types() {
    for (name, document) in documents("valid").into_iter().chain(documents("examples")) {
        assert_eq!(schemas().check(&document, &[]).all_errors(), [], "{name}");
        assert!(schemas().is_canonical(&document), "{name}");
        let bytes = serde_json::to_vec(&document).unwrap();
        let application = Application::parse(&bytes).unwrap();
        assert_eq!(application.job, document["job"].as_str().unwrap(), "{name}");
        assert_eq!(application.primary_email(), document["person"]["emails"][0]["address"].as_str(), "{name}");
    }
}

#[test]
fn invalid_documents_get_exactly_the_complaints_their_file_names() {
    for (name, case) in documents("invalid") {
        let errors = schemas().check(&case["document"], &[]).all_errors();
        let mut expected: Vec<(String, String)> = case["expect"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| (error["pointer"].as_str().unwrap().to_owned(), error["code"].as_str().unwrap().to_owned()))
            .collect();
        expected.sort();
        assert_eq!(told(&errors), expected, "{name}: {errors:#?}");
        for error in errors {
            assert!(error.code.parse::<Reason>().is_ok(), "{name}: {}", error.code);
            assert!(!error.message.is_empty() && !error.fix.is_empty(), "{name}");
            assert_eq!(error.required_by, ["canonical"], "{name}");
        }
    }
}

/// Calls `visit` with the dotted path and the subschema of every member the contract names.
fn members(root: &Value, schema: &Value, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
    let schema = match schema.get("$ref").and_then(Value::as_str) {
        Some(target) => root.pointer(target.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    for (name, member) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}.{name}");
        visit(&path, member);
        members(root, member, &path, visit);
    }
    if let Some(items) = schema.get("items") {
        members(root, items, &format!("{path}[]"), visit);
    }
}

#[test]
fn every_member_is_annotated_described_and_closed() {
    let schema = canonical_schema();
    let mut count = 0;
    members(&schema, &schema, "", &mut |path, member| {
        count += 1;
        for (annotation, values) in [
            ("x-sensitivity", &["none", "personal", "special"][..]),
            ("x-owner", &["applicant", "site"]),
            ("x-retention", &["application", "consent", "survey", "accommodation", "technical"]),
        ] {
            let value = member.get(annotation).and_then(Value::as_str).unwrap_or_default();
            assert!(values.contains(&value), "{path} has no {annotation} from the list");
        }
        assert!(member.get("description").is_some_and(Value::is_string), "{path} has no description");
    });
    assert!(count > 130, "only {count} members were seen");
    bounded(&schema, "");
}

/// Every object is closed, every text and list has an upper bound.
fn bounded(schema: &Value, path: &str) {
    let object = schema.as_object().unwrap();
    let has = |name: &str| object.contains_key(name);
    match object.get("type").and_then(Value::as_str) {
        Some("object") if path.starts_with("/properties/extensions") => assert!(has("maxProperties"), "{path}"),
        Some("object") => assert_eq!(object.get("additionalProperties"), Some(&json!(false)), "{path} is open"),
        Some("array") => assert!(has("maxItems"), "{path} has no bound"),
        Some("string") => {
            let fixed = object.get("pattern").and_then(Value::as_str).is_some_and(|pattern| {
                pattern.starts_with('^')
                    && pattern.ends_with('$')
                    && !pattern.contains(['*'])
                    && !pattern.contains("+$")
            });
            let dated = object.get("format") == Some(&json!("date"));
            assert!(has("maxLength") || fixed || dated, "{path} has no bound");
        }
        _ => {}
    }
    for name in ["properties", "patternProperties", "$defs"] {
        for (key, member) in object.get(name).and_then(Value::as_object).into_iter().flatten() {
            bounded(member, &format!("{path}/{name}/{key}"));
        }
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = object.get(name).filter(|inner| inner.is_object()) {
            bounded(inner, &format!("{path}/{name}"));
        }
    }
}

fn paths(value: &Value, path: &str, seen: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, member) in object {
                let path = format!("{path}.{name}");
                paths(member, &path, seen);
                seen.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, &format!("{path}[]"), seen)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_complete_example_uses_every_member() {
    let (_, complete) = documents("examples").remove(0);
    let mut used = BTreeSet::new();
    paths(&complete, "", &mut used);
    let schema = canonical_schema();
    let mut missing = Vec::new();
    members(&schema, &schema, "", &mut |path, _| {
        if !used.contains(path) {
            missing.push(path.to_owned());
        }
    });
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn each_single_member_set_to_null_is_refused_at_its_pointer() {
    fn nulls(value: &Value, pointer: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => object.iter().for_each(|(name, member)| {
                let pointer = format!("{pointer}/{name}");
                nulls(member, &pointer, found);
                found.push(pointer);
            }),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(index, item)| nulls(item, &format!("{pointer}/{index}"), found));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let schemas = schemas();
    let (_, complete) = documents("examples").remove(0);
    let mut pointers = Vec::new();
    nulls(&complete, "", &mut pointers);
    for pointer in
        pointers.iter().filter(|pointer| pointer.matches('/').count() < 3 || !pointer.starts_with("/extensions"))
    {
        let mut document = complete.clone();
        *document.pointer_mut(pointer).unwrap() = Value::Null;
        let errors = schemas.check(&document, &[]).all_errors();
        assert!(errors.iter().any(|error| &error.pointer == pointer), "{pointer}: {:?}", told(&errors));
    }
}

/// A system made of the schemas it is given.
struct Fake {
    descriptor: &'static Descriptor,
    schema: Option<&'static str>,
    form: fn(&Form) -> Option<Value>,
    forms_built: AtomicUsize,
}

#[async_trait]
impl Connector for Fake {
    fn describe(&self) -> &'static Descriptor {
        self.descriptor
    }
    fn schema(&self) -> Option<&'static str> {
        self.schema
    }
    fn form_schema(&self, form: &Form) -> Option<Value> {
        self.forms_built.fetch_add(1, Ordering::Relaxed);
        (self.form)(form)
    }
    fn plan(&self, _delivery: &Delivery<'_>) -> Vec<StepPlan> {
        unreachable!("nothing is delivered here")
    }
    async fn run(&self, _step: &str, _delivery: &Delivery<'_>, _http: &dyn Http) -> Outcome {
        unreachable!("nothing is delivered here")
    }
    async fn check(&self, _account: &Account, _http: &dyn Http) -> Vec<Permission> {
        Vec::new()
    }
}

macro_rules! descriptor {
    ($name:literal) => {{
        static DESCRIPTOR: Descriptor = Descriptor {
            name: $name,
            title: $name,
            roles: &[Role::Ats],
            credentials: &[],
            settings: &[],
            auth: &[],
            find: FindSupport::None,
            visibility_lag: Duration::ZERO,
            limits: Limits { window: Duration::from_secs(1), calls: 1, concurrency: 1 },
            read_pace: |_| None,
            takes_files: false,
            names_hosts: false,
            docs: &[],
        };
        &DESCRIPTOR
    }};
}

const NEEDS_FAMILY: &str = r#"{"properties":{"person":{"properties":{"name":{
    "required":["family"],"properties":{"family":{"maxLength":5}}}}}}}"#;

fn question_one(_: &Form) -> Option<Value> {
    let mut rule = json!({"required": ["answers"], "properties": {"answers": {"contains": {
        "required": ["question", "value"], "properties": {"question": {"const": "q1"}}}}}});
    rule[words::KEYWORD] =
        words::new(Reason::AnswerMissing, "Question one must be answered.", "Answer question one.", Some("/answers"));
    Some(json!({ "allOf": [rule] }))
}

fn fake(descriptor: &'static Descriptor, schema: Option<&'static str>, form: fn(&Form) -> Option<Value>) -> Arc<Fake> {
    Arc::new(Fake { descriptor, schema, form, forms_built: AtomicUsize::new(0) })
}

fn account(number: u128, name: &str) -> Account {
    Account {
        id: AccountId::from_uuid(uuid::Uuid::from_u128(number)),
        tenant: TenantId::from_uuid(uuid::Uuid::from_u128(1)),
        name: name.to_owned(),
        connector: "fake".to_owned(),
        role: Role::Ats,
        settings: BTreeMap::new(),
        allow_private: false,
        on_invalid: OnInvalid::Reject,
        repeats: Repeats::Deliver,
        on_unknown: OnUnknown::Hold,
    }
}

#[test]
fn complaints_of_several_systems_are_one_list_with_the_names_of_all() {
    let one = fake(descriptor!("one"), Some(NEEDS_FAMILY), |_| None);
    let two = fake(descriptor!("two"), Some(NEEDS_FAMILY), question_one);
    let free = fake(descriptor!("free"), None, |_| None);
    let schemas = Schemas::new(&[one.clone(), two.clone(), free.clone()]).unwrap();
    let (first, second, third) = (account(1, "ats-emea"), account(2, "crm"), account(3, "pool"));
    let form = Form { digest: "d1".to_owned(), questions: vec![Question::default()], ..Form::default() };
    let targets = [
        Target { account: &first, connector: one.as_ref(), form: None },
        Target { account: &second, connector: two.as_ref(), form: Some(&form) },
        Target { account: &third, connector: free.as_ref(), form: Some(&form) },
    ];
    let document = json!({"person": {"name": {"given": "Ada"}, "emails": [{"address": "ada@example.org"}]}});
    let verdict = schemas.check(&document, &targets);
    assert!(!verdict.is_valid());
    let all: Vec<_> = verdict
        .all_errors()
        .into_iter()
        .map(|error| (error.pointer, error.code, error.required_by.join("+")))
        .collect();
    let expect = |pointer: &str, who: &str| (pointer.to_owned(), "answer_missing".to_owned(), who.to_owned());
    assert_eq!(
        all,
        [expect("/job", "canonical"), expect("/person/name/family", "ats-emea+crm"), expect("/answers", "crm")]
    );
    assert_eq!(told(verdict.of(second.id)).len(), 2);
    assert_eq!(verdict.of(third.id), []);

    let document = json!({"job": "1", "person": {"name": {"given": "Ada", "family": "Li"}, "emails": [{"address": "ada@example.org"}]},
        "answers": [{"question": "q1", "value": "yes"}]});
    assert_eq!(schemas.check(&document, &targets), super::Verdict::default());
    assert_eq!(two.forms_built.load(Ordering::Relaxed), 1, "the form was compiled once");
}

#[test]
fn two_missing_answers_of_one_system_stay_two_complaints() {
    let ask = |_: &Form| {
        let rule = |message: &str| json!({"required": ["answers"], "x-words": words::new(Reason::AnswerMissing, message, "Answer.", Some("/answers"))});
        Some(json!({"allOf": [rule("First."), rule("Second.")]}))
    };
    let (one, two) = (fake(descriptor!("one"), None, ask), fake(descriptor!("two"), None, ask));
    let schemas = Schemas::new(&[]).unwrap();
    let (first, second, form) = (account(1, "a"), account(2, "b"), Form::default());
    let targets = [
        Target { account: &first, connector: one.as_ref(), form: Some(&form) },
        Target { account: &second, connector: two.as_ref(), form: Some(&form) },
    ];
    let (_, document) = documents("valid").remove(4);
    let mut document = document;
    document.as_object_mut().unwrap().remove("answers");
    let all: Vec<_> = schemas
        .check(&document, &targets)
        .all_errors()
        .into_iter()
        .map(|error| (error.message, error.required_by.join("+")))
        .collect();
    assert_eq!(all, [("First.".to_owned(), "a+b".to_owned()), ("Second.".to_owned(), "a+b".to_owned())]);
}

#[test]
fn a_form_that_does_not_compile_is_unchecked_and_not_valid_by_silence() {
    let broken = fake(descriptor!("broken"), None, |_| Some(json!({"type": "nothing"})));
    let (account, form) = (account(1, "ats"), Form::default());
    let targets = [Target { account: &account, connector: broken.as_ref(), form: Some(&form) }];
    let (_, document) = documents("valid").remove(0);
    let verdict = schemas().check(&document, &targets);
    assert!(matches!(verdict.unchecked.as_slice(), [(id, SchemaError::NotASchema { .. })] if *id == account.id));
}

#[test]
fn a_connector_schema_that_does_not_compile_is_named() {
    let broken = fake(descriptor!("broken"), Some("{\"$ref\":\"http://127.0.0.1/\"}"), |_| None);
    let error = Schemas::new(&[broken]).unwrap_err();
    assert_eq!(error.to_string(), "the schema of broken is refused: a reference leaves the document");
}

#[test]
fn the_version_names_the_set_of_schemas() {
    let one = fake(descriptor!("one"), Some(NEEDS_FAMILY), |_| None);
    assert_eq!(schemas().version(), schemas().version());
    assert_ne!(schemas().version(), Schemas::new(&[one]).unwrap().version());
}

#[test]
fn forms_are_kept_up_to_the_bound_and_the_oldest_go_first() {
    let connector = fake(descriptor!("many"), None, |_| Some(json!(true)));
    let forms = Forms::default();
    let form = |number: usize| Form { digest: number.to_string(), ..Form::default() };
    let built = || connector.forms_built.load(Ordering::Relaxed);
    for number in 0..CAPACITY {
        assert!(matches!(forms.prepared(connector.as_ref(), &form(number)), Some(Ok(_))));
    }
    forms.prepared(connector.as_ref(), &form(0));
    assert_eq!(built(), CAPACITY, "all are kept");
    forms.prepared(connector.as_ref(), &form(CAPACITY));
    forms.prepared(connector.as_ref(), &form(0));
    assert_eq!(built(), CAPACITY + 1, "the one used last is still there");
    forms.prepared(connector.as_ref(), &form(1));
    assert_eq!(built(), CAPACITY + 2, "the one unused for longest was forgotten");
}

#[test]
fn a_document_out_of_proportion_is_refused_by_the_contract_alone_and_at_once() {
    let demanding = fake(descriptor!("demanding"), None, |_| {
        let rule = |number: usize| json!({"if": {"properties": {"question": {"const": number.to_string()}}}, "then": {"required": ["option"]}});
        Some(json!({"properties": {"answers": {"items": {"allOf": (0..300).map(rule).collect::<Vec<_>>()}}}}))
    });
    let (account, form) = (account(1, "ats"), Form::default());
    let targets = [Target { account: &account, connector: demanding.as_ref(), form: Some(&form) }];
    let (_, mut document) = documents("valid").remove(0);
    let asked = |document: &Value| schemas().check(document, &targets).per_target.len();
    document["answers"] = json!(vec![json!({"question": "1", "value": "x"}); 200]);
    assert_eq!(asked(&document), 1);
    document["answers"] = json!(vec![json!({"question": "1", "value": "x"}); 10_000]);
    assert_eq!(asked(&document), 0);
    let verdict = schemas().check(&document, &targets);
    assert_eq!(told(&verdict.all_errors()), [("/answers".to_owned(), "value_invalid".to_owned())]);
}

#[test]
fn a_prepared_form_is_not_compiled_again() {
    let connector = fake(descriptor!("early"), None, question_one);
    let broken = fake(descriptor!("broken"), None, |_| Some(json!({"type": "nothing"})));
    let (schemas, account, form) = (schemas(), account(1, "ats"), Form::default());
    assert_eq!(schemas.prepare(connector.as_ref(), &form), Ok(()));
    assert!(schemas.prepare(broken.as_ref(), &form).is_err());
    let (_, document) = documents("valid").remove(0);
    schemas.check(&document, &[Target { account: &account, connector: connector.as_ref(), form: Some(&form) }]);
    assert_eq!(connector.forms_built.load(Ordering::Relaxed), 1);
}

/// Every list the contract knows says how long it may be, and none may be longer than what is looked at.
#[test]
fn every_list_of_the_contract_is_bounded() {
    fn lists(value: &Value, at: &str, found: &mut Vec<(String, Option<u64>)>) {
        match value {
            Value::Object(members) => {
                if members.contains_key("items") && members.get("type").is_none_or(|kind| kind == "array") {
                    found.push((at.to_owned(), members.get("maxItems").and_then(Value::as_u64)));
                }
                members.iter().for_each(|(name, member)| lists(member, &format!("{at}/{name}"), found));
            }
            Value::Array(items) => items.iter().for_each(|item| lists(item, at, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    lists(&canonical_schema(), "", &mut found);
    assert!(found.len() > 15, "the contract has lists: {found:?}");
    for (at, most) in found {
        assert!(most.is_some_and(|most| most <= LONGEST_LIST as u64), "{at}: {most:?}");
    }
}

/// What the largest document may cost: counted in steps, since a clock on a busy machine shows something else.
#[test]
fn what_the_contract_costs_is_bounded_with_room_to_spare() {
    let canonical = guard::steps(&canonical_schema()).unwrap();
    assert!(canonical > 1_000 && canonical < MAX_STEPS / 2, "{canonical}");
    for connector in causeway_connectors::all() {
        if let Some(text) = connector.schema() {
            let steps = guard::steps(&serde_json::from_str(text).unwrap()).unwrap();
            assert!(steps < MAX_STEPS / 2, "{}: {steps}", connector.describe().name);
        }
        // A form far larger than any seen: a hundred questions, each a text.
        let questions = (0..100).map(|number| Question {
            label: format!("Question {number}"),
            required: true,
            fields: vec![QuestionField { name: format!("question_{number}"), ..QuestionField::default() }],
            ..Question::default()
        });
        let form = Form { posting_id: "1".to_owned(), digest: String::new(), questions: questions.collect() };
        if let Some(schema) = connector.form_schema(&form) {
            let steps = guard::steps(&schema).unwrap();
            assert!(steps < MAX_STEPS, "{}: {steps}", connector.describe().name);
        }
    }
}

fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(members) => members.values().map(values).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

#[test]
fn the_worst_documents_are_looked_at_only_as_far_as_needed() {
    let mut document = documents("valid").remove(0).1;
    let sound = document.clone();
    let many = |item: Value| Value::Array(vec![item; 10_000]);
    for (place, list) in [
        ("/answers", many(json!({}))),
        ("/attachments", many(json!({"id": "a"}))),
        ("/person/emails", many(json!({"address": "ada@example.org"}))),
        ("/person/phones", many(json!(1))),
        ("/person/links", many(json!({"url": "x"}))),
    ] {
        let (parent, name) = place.rsplit_once('/').unwrap();
        document = sound.clone();
        document.pointer_mut(parent).unwrap()[name] = list;
        let looked_at = super::validator::cut(&document);
        assert!(values(&looked_at) < values(&sound) + 4 * (LONGEST_LIST + 1), "{place}: {}", values(&looked_at));
        let errors = schemas().check(&document, &[]).all_errors();
        assert!(errors.iter().any(|error| error.pointer == place), "{place} is too long: {errors:?}");
        assert!(errors.len() <= 100, "{place}: {}", errors.len());
    }
    // Extensions are nobody's to judge, and a long list there is no fault.
    document = sound.clone();
    document["extensions"] = json!({ "acme": many(json!(1)) });
    assert_eq!(super::validator::cut(&document), document);
}

#[test]
fn the_union_takes_what_every_system_takes_and_nothing_else() {
    const OWN_WORDS: &str = r##"{"$defs": {"listed": {"minItems": 1}}, "properties": {"person": {"required": ["phones"],
        "properties": {"phones": {"$ref": "#/$defs/listed"}}}}}"##;
    let one = fake(descriptor!("one"), Some(NEEDS_FAMILY), question_one);
    let two = fake(descriptor!("two"), Some(OWN_WORDS), |_| None);
    let schemas = Schemas::new(&[one.clone(), two.clone()]).unwrap();
    let (first, second, third) = (account(1, "ats"), account(2, "crm"), account(3, "crm-emea"));
    let form = Form { digest: "d1".to_owned(), questions: vec![Question::default()], ..Form::default() };
    let targets = [
        Target { account: &first, connector: one.as_ref(), form: Some(&form) },
        Target { account: &second, connector: two.as_ref(), form: None },
        Target { account: &third, connector: two.as_ref(), form: None },
    ];
    let union = schemas.union(&targets);
    let format = super::formats::is_email;
    let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012).with_format("email", format);
    // Nothing is fetched for it: it brings along all it refers to.
    let union = options.should_validate_formats(true).offline().build(&union).unwrap();
    let whole = json!({"job": "1", "person": {"name": {"given": "Ada", "family": "Li"}, "phones": [{"raw": "+1"}],
        "emails": [{"address": "ada@example.org"}]}, "answers": [{"question": "q1", "value": "yes"}]});
    assert!(union.is_valid(&whole) && schemas.check(&whole, &targets).is_valid());
    let without = ["/job", "/answers", "/person/name/family", "/person/phones", "/person/emails", "/person/name"];
    for pointer in without {
        let mut document = whole.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        assert!(!union.is_valid(&document) && !schemas.check(&document, &targets).is_valid(), "{pointer}");
    }
    for (pointer, value) in
        [("/person/emails/0/address", json!("ada")), ("/person/phones", json!([])), ("/answers", json!(7))]
    {
        let mut document = whole.clone();
        *document.pointer_mut(pointer).unwrap() = value;
        assert!(!union.is_valid(&document) && !schemas.check(&document, &targets).is_valid(), "{pointer}");
    }
}
