//! Parsing and validating, hot, on one core: what each costs in units of parsing the same document, and beside it the
//! same schemas and document through ajv, when its packages are installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use causeway::schema::{Schemas, Target};
use causeway_core::account::{Account, OnInvalid, OnUnknown, Repeats, Role};
use causeway_core::clock::SeededEntropy;
use causeway_core::connector::Connector;
use causeway_core::ids::{AccountId, TenantId};
use causeway_core::posting::{FieldKind, Form, Question, QuestionField, QuestionOption};
use serde::Serialize;
use serde_json::Value;

use crate::accept::median;
use crate::documents;

/// Microseconds per document, and the ratios that have bounds.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) document_bytes: usize,
    pub(crate) parse_us: f64,
    pub(crate) strict_parse_us: f64,
    pub(crate) canonical_us: f64,
    pub(crate) all_three_us: f64,
    pub(crate) all_errors_us: f64,
    pub(crate) errors_found: usize,
    pub(crate) canonical_ratio: f64,
    pub(crate) all_three_ratio: f64,
    pub(crate) all_errors_ratio: f64,
    pub(crate) is_valid_per_s: f64,
    /// None when its packages are not installed.
    pub(crate) ajv_per_s: Option<f64>,
    pub(crate) violations: Vec<String>,
}

const CANONICAL: &str = include_str!("../../schemas/canonical/application.v1.json");
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(400);

pub(crate) fn run() -> Result<Report> {
    let connectors = causeway_connectors::all();
    let schemas = Schemas::new(&connectors)?;
    let connector =
        connectors.iter().find(|one| one.describe().roles.contains(&Role::Ats)).context("an ATS connector")?;
    let account = account(connector);
    let form = form();
    let targets = [Target { account: &account, connector: &**connector, form: Some(&form) }];
    let bytes = document();
    let valid = schemas.parse(&bytes)?;
    let broken = broken(&valid);
    ensure!(
        schemas.check(&valid, &targets).is_valid(),
        "the document should pass: {:?}",
        schemas.check(&valid, &targets).all_errors()
    );
    let errors_found = schemas.check(&broken, &targets).all_errors().len();

    let parse_us = per_document(|| serde_json::from_slice::<Value>(&bytes).is_ok());
    let strict_parse_us = per_document(|| schemas.parse(&bytes).is_ok());
    let canonical_us = per_document(|| schemas.is_canonical(&valid));
    let all_three_us = per_document(|| schemas.check(&valid, &targets).is_valid());
    let all_errors_us = per_document(|| schemas.check(&broken, &targets).all_errors().is_empty());
    let mut report = Report {
        document_bytes: bytes.len(),
        parse_us,
        strict_parse_us,
        canonical_us,
        all_three_us,
        all_errors_us,
        errors_found,
        canonical_ratio: canonical_us / parse_us,
        all_three_ratio: all_three_us / parse_us,
        all_errors_ratio: all_errors_us / parse_us,
        is_valid_per_s: 1e6 / all_three_us,
        ajv_per_s: ajv(&bytes, connector, &form)?,
        violations: Vec::new(),
    };
    report.violations = violations(&report);
    Ok(report)
}

fn violations(report: &Report) -> Vec<String> {
    let mut found = Vec::new();
    for (what, ratio, bound) in [
        ("canonical alone", report.canonical_ratio, 1.0),
        ("all three schemas", report.all_three_ratio, 2.0),
        ("all errors with words", report.all_errors_ratio, 4.0),
    ] {
        if ratio > bound {
            found.push(format!("{what}: {ratio:.2} x parsing > {bound:.1} x"));
        }
    }
    if report.errors_found < 5 {
        found.push(format!("void: only {} errors in the broken document", report.errors_found));
    }
    if let Some(ajv) = report.ajv_per_s.filter(|ajv| *ajv > report.is_valid_per_s) {
        found.push(format!("ajv {ajv:.0}/s > {:.0}/s", report.is_valid_per_s));
    }
    found
}

/// The median of several rounds, in microseconds.
fn per_document(mut once: impl FnMut() -> bool) -> f64 {
    median((0..ROUNDS).map(|_| {
        let begun = Instant::now();
        let mut count = 0_u32;
        while begun.elapsed() < ROUND {
            for _ in 0..100 {
                std::hint::black_box(once());
            }
            count += 100;
        }
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(count)
    }))
}

fn document() -> bytes::Bytes {
    let answers = [
        serde_json::json!({ "question": "question_1", "value": "Seven years of it, and gladly more." }),
        serde_json::json!({ "question": "question_2", "option": { "id": "1", "label": "Yes" } }),
        serde_json::json!({ "question": "question_3", "options": [{ "id": "11" }, { "id": "13" }] }),
        serde_json::json!({ "question": "question_4", "value": "2027-01-01" }),
        serde_json::json!({ "question": "question_5", "value": "From a friend" }),
    ];
    documents::applicant("validate", 5, 1, "4000001", &answers, 0).document
}

/// Eight faults in one document: what a careless site sends.
fn broken(valid: &Value) -> Value {
    let mut broken = valid.clone();
    broken["person"]["name"]["given"] = serde_json::json!(7);
    broken["person"]["emails"][0]["address"] = serde_json::json!("not an address");
    broken["person"]["phones"] = serde_json::json!([]);
    broken["answers"] = serde_json::json!([{ "question": "question_2", "option": { "id": "9" } }]);
    broken["consents"][0]["at"] = serde_json::json!("yesterday");
    broken["pay"] = serde_json::json!({ "expectation": { "currency": "euros" } });
    broken["unheard_of"] = serde_json::json!(true);
    broken
}

fn form() -> Form {
    let question = |number: u32, kind: FieldKind, options: &[&str]| Question {
        label: format!("Question {number}"),
        required: true,
        fields: vec![QuestionField {
            name: format!("question_{number}"),
            kind,
            options: options
                .iter()
                .map(|id| QuestionOption { id: (*id).to_owned(), label: format!("Option {id}") })
                .collect(),
            ..QuestionField::default()
        }],
        ..Question::default()
    };
    let questions = vec![
        question(1, FieldKind::LongText, &[]),
        question(2, FieldKind::SingleSelect, &["0", "1"]),
        question(3, FieldKind::MultiSelect, &["11", "12", "13"]),
        question(4, FieldKind::Text, &[]),
        question(5, FieldKind::Text, &[]),
    ];
    let mut form = Form { posting_id: "4000001".to_owned(), questions, ..Form::default() };
    form.digest = causeway::schema::form_digest(&form);
    form
}

fn account(connector: &Arc<dyn Connector>) -> Account {
    let entropy = SeededEntropy::new(1);
    let epoch = jiff::Timestamp::UNIX_EPOCH;
    Account {
        id: AccountId::new(epoch, &entropy),
        tenant: TenantId::new(epoch, &entropy),
        name: "ats".to_owned(),
        connector: connector.describe().name.to_owned(),
        role: Role::Ats,
        settings: std::collections::BTreeMap::new(),
        allow_private: false,
        on_invalid: OnInvalid::Reject,
        repeats: Repeats::Deliver,
        on_unknown: OnUnknown::Hold,
    }
}

/// The same three schemas and the same document through ajv.
fn ajv(bytes: &[u8], connector: &Arc<dyn Connector>, form: &Form) -> Result<Option<f64>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ajv");
    if !folder.join("node_modules").exists() {
        eprintln!("ajv is not installed: npm --prefix loadtests/ajv install");
        return Ok(None);
    }
    let temporary = tempfile::tempdir()?;
    let put = |name: &str, bytes: &[u8]| -> Result<PathBuf> {
        let path = temporary.path().join(name);
        std::fs::write(&path, bytes)?;
        Ok(path)
    };
    let posting = connector.form_schema(form).context("the connector has forms")?;
    let paths = [
        put("document.json", bytes)?,
        put("canonical.json", CANONICAL.as_bytes())?,
        put("ats.json", connector.schema().context("the connector has a schema")?.as_bytes())?,
        put("posting.json", posting.to_string().as_bytes())?,
    ];
    let output = Command::new("node").arg(folder.join("bench.mjs")).args(&paths).output()?;
    ensure!(output.status.success(), "ajv: {}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(answer["valid"] == true, "ajv does not take the document");
    Ok(answer["per_s"].as_f64())
}
