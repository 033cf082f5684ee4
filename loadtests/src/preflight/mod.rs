//! Preflight beside submit, over every posting of a served board: the same verdict for generated documents, no pass that
//! the vendor then refuses, and each required answer needed by exactly the systems it is tagged with.
//!
//! A career site's view: it reads the board and the forms, fills them by their hints alone, spoils what it filled, asks,
//! sends, and looks at what became of it. Where the vendor enforces less than its form says, that is shown at the vendor.
//! Shared with the end-to-end tests; it needs nothing of its crate but the client.

mod filler;
mod spoil;
mod vendor;
mod verdict;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use data_encoding::BASE64;
use http::Request;
use http_body_util::Full;
use serde::Serialize;
use serde_json::Value;

use crate::client::Client;
use filler::{Draft, Draw, fill, list, text};
use verdict::Said;

/// Requests under way at once.
const SITES: u64 = 8;
/// How long the vendors may take to be done with everything.
const SETTLED_WITHIN: Duration = Duration::from_secs(300);
/// Where nothing changes any more.
const SETTLED: [&str; 6] = ["delivered", "refused", "held", "parked", "cancelled", "erased"];

/// What it is run against.
pub(crate) struct Setting {
    pub(crate) gateway: SocketAddr,
    /// May submit and read.
    pub(crate) key: String,
    /// The ATS's sandbox, and what it gave out: `credentials` and `settings`.
    pub(crate) ats: SocketAddr,
    pub(crate) ats_told: Value,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) documents: u64,
    pub(crate) postings: usize,
    /// Submits answered 202, and with a problem, by code.
    pub(crate) accepted: u64,
    pub(crate) refused: BTreeMap<String, u64>,
    /// Preflight and submit said something else.
    pub(crate) differ: u64,
    /// Of those that seemed to: the world moved between the two, and a preflight after the submit agrees with it.
    pub(crate) moved: u64,
    /// Deliveries that a preflight passed: what became of them.
    pub(crate) passed: BTreeMap<String, u64>,
    /// Passed, and then refused by the vendor.
    pub(crate) false_passes: u64,
    /// Forms filled by their hints that some system does not take.
    pub(crate) filled_not_passing: u64,
    /// Required answers taken out one by one, and how often the failing systems were not the tagged ones.
    pub(crate) removed: u64,
    pub(crate) wrongly_tagged: u64,
    /// The same at the vendor's own door: refused, or taken with less kept; and neither.
    pub(crate) vendor_refuses: u64,
    pub(crate) vendor_keeps_less: u64,
    pub(crate) vendor_otherwise: u64,
    pub(crate) took_s: f64,
    /// The first few of each, in words.
    pub(crate) examples: Vec<String>,
    pub(crate) violations: Vec<String>,
}

/// The whole figure.
pub(crate) async fn run(setting: &Setting, documents: u64, seed: u64) -> Result<Report> {
    let begun = Instant::now();
    let forms = forms(setting).await?;
    let report = Mutex::new(Report { documents, postings: forms.len(), ..Report::default() });
    one_by_one(setting, &forms, &report).await?;
    at_the_vendor(setting, &forms, &report).await?;
    let numbers = AtomicU64::new(0);
    let site = || same_verdict(setting, &forms, documents, seed, &numbers, &report);
    let sites = futures_util::future::join_all((0..SITES).map(|_| site())).await;
    let mut sent = Vec::new();
    for site in sites {
        sent.extend(site?);
    }
    became(setting, &sent, &report).await?;
    let mut report = report.into_inner()?;
    report.took_s = begun.elapsed().as_secs_f64();
    report.violations = violations(&report);
    Ok(report)
}

fn violations(report: &Report) -> Vec<String> {
    let mut found = Vec::new();
    if report.moved * 100 > report.documents {
        found.push(format!("void: the world moved under {} of {} documents", report.moved, report.documents));
    }
    let mut none = |count: u64, what: &str| {
        if count > 0 {
            found.push(format!("{count} {what}"));
        }
    };
    none(report.differ, "documents with another verdict from preflight than from submit");
    none(report.false_passes, "deliveries that passed and were refused by the vendor");
    none(report.filled_not_passing, "filled forms that some system does not take");
    none(report.wrongly_tagged, "required answers needed by other systems than those they are tagged with");
    none(report.vendor_otherwise, "missing answers with which the vendor did neither refuse nor keep less");
    let refused: u64 = report.refused.values().sum();
    for (count, what) in [
        (report.accepted, "accepted"),
        (refused, "refused"),
        (report.removed, "removed"),
        (report.vendor_refuses, "refused by the vendor itself"),
        (report.vendor_keeps_less, "kept less of by the vendor"),
        (report.passed.get("delivered").copied().unwrap_or(0), "delivered"),
    ] {
        if count == 0 {
            found.push(format!("void: nothing was {what}"));
        }
    }
    found
}

/// A caller with a connection of its own.
struct Site<'a> {
    setting: &'a Setting,
    client: Client,
}

impl<'a> Site<'a> {
    fn new(setting: &'a Setting) -> Self {
        Self { setting, client: Client::new(setting.gateway, Duration::from_secs(60)) }
    }

    async fn get(&mut self, path: &str) -> Result<Said> {
        self.client.json("GET", path, Some(&self.setting.key), None).await
    }

    async fn post(&mut self, path: &str, draft: &Draft) -> Result<Said> {
        let (content_type, body) = draft.body();
        let request = Request::post(path)
            .header("host", "127.0.0.1")
            .header("authorization", format!("Bearer {}", self.setting.key))
            .header("content-type", content_type)
            .body(Full::new(body))?;
        let response = self.client.send(request).await?;
        let body = serde_json::from_slice(response.body()).unwrap_or_default();
        Ok((response.status().as_u16(), body))
    }
}

/// The form of every job on the board, once each is there.
async fn forms(setting: &Setting) -> Result<Vec<Value>> {
    let mut site = Site::new(setting);
    let (status, board) = site.get("/v1/jobs").await?;
    ensure!(status == 200, "the board: {status} {board}");
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut again = tokio::time::interval(Duration::from_millis(100));
    let mut forms = Vec::new();
    for job in list(&board, "jobs") {
        let path = format!("/v1/jobs/{}/form", text(job, "id"));
        loop {
            again.tick().await;
            let (status, form) = site.get(&path).await?;
            if status == 200 && form["complete"] == true {
                forms.push(form);
                break;
            }
            ensure!(Instant::now() < deadline, "{path}: {status} {form}");
        }
    }
    Ok(forms)
}

fn note(report: &Mutex<Report>, change: impl FnOnce(&mut Report) -> Option<String>) -> Result<()> {
    let Ok(mut report) = report.lock() else { bail!("a site panicked") };
    let example = change(&mut report);
    if report.examples.len() < 20 {
        report.examples.extend(example);
    }
    Ok(())
}

/// Each form whole, then without one required answer after the other.
async fn one_by_one(setting: &Setting, forms: &[Value], report: &Mutex<Report>) -> Result<()> {
    let mut site = Site::new(setting);
    for (number, form) in forms.iter().enumerate() {
        let whole = fill(form, &format!("whole-{number}@example.org"), &mut Draw(number as u64));
        let (status, told) = site.post("/v1/preflight", &whole).await?;
        note(report, |report| {
            let passes = status == 200 && verdict::all_pass(&told);
            report.filled_not_passing += u64::from(!passes);
            (!passes).then(|| format!("{}: filled, and {told}", text(form, "job")))
        })?;
        for question in list(form, "questions").iter().filter(|question| question["required"] == true) {
            let mut draft = whole.clone();
            draft.remove(question);
            let (status, told) = site.post("/v1/preflight", &draft).await?;
            let (failing, tagged) = (verdict::failing(&told), verdict::tagged(question));
            note(report, |report| {
                let right = status == 200 && failing == tagged;
                report.removed += 1;
                report.wrongly_tagged += u64::from(!right);
                let id = text(question, "id");
                (!right)
                    .then(|| format!("{}: {id} is tagged {tagged:?}, without it {failing:?} fail", text(form, "job")))
            })?;
        }
    }
    Ok(())
}

/// The same at the vendor's door: it refuses, or it takes the rest and says nothing.
async fn at_the_vendor(setting: &Setting, forms: &[Value], report: &Mutex<Report>) -> Result<()> {
    let mut client = Client::new(setting.ats, Duration::from_secs(60));
    let token = setting.ats_told["settings"]["board_token"].as_str().context("a board token")?;
    let key = setting.ats_told["credentials"]["board_api_key"].as_str().context("a board API key")?;
    let basic = format!("Basic {}", BASE64.encode(format!("{key}:").as_bytes()));
    let mut taken = Vec::new();
    for (number, form) in forms.iter().enumerate() {
        for (position, question) in
            list(form, "questions").iter().enumerate().filter(|(_, one)| one["required"] == true)
        {
            let email = format!("direct-{number}-{position}@example.org");
            let body = vendor::body(form, question, &email);
            let request = Request::post(format!("/v1/boards/{token}/jobs/{}", text(form, "job")))
                .header("host", "127.0.0.1")
                .header("authorization", &basic)
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from(body.to_string())))?;
            let status = client.send(request).await?.status();
            match (vendor::enforces(question), status.is_success()) {
                (false, true) => taken.push((email, question)),
                (true, false) => note(report, |report| {
                    report.vendor_refuses += 1;
                    None
                })?,
                (_, _) => note(report, |report| {
                    report.vendor_otherwise += 1;
                    Some(format!(
                        "{} without {}: the vendor answered {status}",
                        text(form, "job"),
                        text(question, "id")
                    ))
                })?,
            }
        }
    }
    let (_, records) = client.json("GET", "/_sandbox/records", None, None).await?;
    for (email, question) in taken {
        let record = list(&records, "applications").iter().find(|one| one["email"] == email.as_str());
        let less = record.is_some_and(|record| vendor::kept_less(record, question));
        note(report, |report| {
            report.vendor_keeps_less += u64::from(less);
            report.vendor_otherwise += u64::from(!less);
            (!less).then(|| format!("{email}, without {}: the vendor kept {record:?}", text(question, "id")))
        })?;
    }
    Ok(())
}

/// An accepted application: its id, and the accounts whose preflight passed.
type Sent = (String, Vec<String>);

async fn same_verdict(
    setting: &Setting,
    forms: &[Value],
    documents: u64,
    seed: u64,
    numbers: &AtomicU64,
    report: &Mutex<Report>,
) -> Result<Vec<Sent>> {
    let mut site = Site::new(setting);
    let mut accepted = Vec::new();
    loop {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        if number >= documents {
            return Ok(accepted);
        }
        let form = usize::try_from(number).ok().and_then(|number| forms.get(number % forms.len().max(1)));
        let form = form.context("no posting is open")?;
        let mut draw = Draw(seed.rotate_left(32) ^ number);
        let mut draft = fill(form, &format!("generated-{seed}-{number}@example.org"), &mut draw);
        let faults = draw.below(4);
        let kinds = spoil::spoil(&mut draft, form, faults, &mut draw);
        let told = site.post("/v1/preflight", &draft).await?;
        let sent = site.post("/v1/applications", &draft).await?;
        let mut differ = verdict::differ(&told, &sent);
        let seemed = differ.is_some();
        if seemed {
            // Whether a job surely does not exist depends on how old the last sync is, and time passes between two calls.
            let again = site.post("/v1/preflight", &draft).await?;
            differ = differ.filter(|_| verdict::differ(&again, &sent).is_some());
        }
        note(report, |report| {
            match sent.0 {
                202 => report.accepted += 1,
                _ => *report.refused.entry(text(&sent.1, "code").to_owned()).or_default() += 1,
            }
            report.differ += u64::from(differ.is_some());
            report.moved += u64::from(seemed && differ.is_none());
            differ.map(|differ| format!("document {number} with faults {kinds:?}: {differ}"))
        })?;
        if sent.0 == 202 {
            let passed = list(&told.1, "targets").iter().filter(|one| one["verdict"] == "pass");
            accepted
                .push((text(&sent.1, "id").to_owned(), passed.map(|one| text(one, "account").to_owned()).collect()));
        }
    }
}

/// Waits until every application is settled, and counts what became of the deliveries that had passed.
async fn became(setting: &Setting, sent: &[Sent], report: &Mutex<Report>) -> Result<()> {
    let mut site = Site::new(setting);
    let deadline = Instant::now() + SETTLED_WITHIN;
    let mut again = tokio::time::interval(Duration::from_millis(50));
    for (id, passed) in sent {
        let view = loop {
            let (status, view) = site.get(&format!("/v1/applications/{id}")).await?;
            let settled = |one: &Value| SETTLED.contains(&text(one, "state"));
            if status == 200 && list(&view, "targets").iter().all(settled) {
                break view;
            }
            ensure!(Instant::now() < deadline, "{id} is not settled: {status} {view}");
            again.tick().await;
        };
        for target in
            list(&view, "targets").iter().filter(|one| passed.iter().any(|name| *name == text(one, "account")))
        {
            note(report, |report| {
                let state = text(target, "state").to_owned();
                let refused = state == "refused";
                *report.passed.entry(state).or_default() += 1;
                report.false_passes += u64::from(refused);
                refused.then(|| format!("{id} passed and was refused: {target}"))
            })?;
        }
    }
    Ok(())
}
