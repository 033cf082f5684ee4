//! The canary run: marked submissions through the built program against both sandboxes, refusals, lookups and vendor
//! errors among them, then a search of everything the gateway wrote. Before erasing: no mark in the open anywhere. After
//! erasing everybody: nothing left that opens. And a mark planted in the open, which the same search has to find.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde::Serialize;
use serde_json::{Value, json};

use crate::accept::{Stage, futures_join};
use crate::client::Client;
use crate::documents::{self, Applicant};
use crate::marks::{MARK, Marked, Search, has_mark, search};
use crate::rig;

const WORKERS: u64 = 8;
const QUIET_MAX: Duration = Duration::from_secs(300);

/// What it came to.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    submissions: u64,
    accepted: u64,
    refused: u64,
    unreadable: u64,
    with_files: u64,
    lookups: u64,
    /// Answers of a vendor that quoted the person, or came to nothing.
    vendor_errors: u64,
    deliveries_done: u64,
    fields_marked: usize,
    fields_that_take_no_mark: Vec<String>,
    /// Lines of the log at its most talkative level.
    trace_lines: usize,
    before: Search,
    backup: Search,
    after: Search,
    erased: u64,
    /// Keys of persons that are left after erasing everybody.
    keys_left: u64,
    attachments_left: u64,
    /// Addresses for which an export still answers a submission.
    still_exported: u64,
    /// Files in which a planted mark was found; has to be 1.
    control_found: usize,
    took_s: f64,
    pub(crate) violations: Vec<String>,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicU64,
    refused: AtomicU64,
    unreadable: AtomicU64,
    with_files: AtomicU64,
    lookups: AtomicU64,
}

pub(crate) async fn run(submissions: u64) -> Result<Report> {
    let began = Instant::now();
    let stage = Stage::set_with(1, &[("visibility_lag_ms", "300")]).await?;
    script_the_vendors(&stage).await?;
    let data = stage.tenancy.data.clone();
    let temporary = data.join("tmp");
    std::fs::create_dir_all(&temporary)?;
    let gateway = stage
        .start(&[
            ("CAUSEWAY_LOG_FILTER", "trace"),
            ("CAUSEWAY_RETRY_SCHEDULE", "100ms,200ms,500ms,1s,1s,2s,2s"),
            ("CAUSEWAY_RETRY_VERIFY_GAP", "300ms"),
            ("TMPDIR", temporary.to_str().context("a path of ours")?),
        ])
        .await?;
    let marked = Marked::new(&stage.job, &marked_answers(&stage.answers))?;
    let counts = Counts::default();
    send_all(&stage, &marked, submissions, gateway.management, &counts).await?;
    eprintln!("sent; waiting until nothing is on its way");
    let deliveries_done = quiet(&data).await?;
    let before = search(&data)?;
    let into = data.with_file_name("backup");
    rig::causeway(&rig::Place::folder(data.clone()), &["backup", "--out", into.to_str().context("a path of ours")?])?;
    let backup = search(&into)?;
    eprintln!("searched; erasing everybody");
    let (erased, still_exported) = erase_all(&stage, gateway.management, submissions).await?;
    gateway.stop()?;
    let after = search(&data)?;
    let (keys_left, attachments_left) = left(&data)?;
    // The backup from before holds keys: that is what its file of its own is for.
    std::fs::write(data.join("planted.txt"), format!("name: {MARK}\n"))?;
    let control = search(&data)?;
    let log = std::fs::read_to_string(data.join("gateway.log"))?;
    let trace_lines = log.lines().filter(|line| line.contains("\"TRACE\"")).count();
    let mut report = Report {
        submissions,
        accepted: counts.accepted.into_inner(),
        refused: counts.refused.into_inner(),
        unreadable: counts.unreadable.into_inner(),
        with_files: counts.with_files.into_inner(),
        lookups: counts.lookups.into_inner(),
        vendor_errors: vendor_errors(&stage).await?,
        deliveries_done,
        fields_marked: marked.fields.len(),
        fields_that_take_no_mark: marked.unmarkable,
        trace_lines,
        control_found: control.hits.len().saturating_sub(after.hits.len()),
        before,
        backup,
        after,
        erased,
        keys_left,
        attachments_left,
        still_exported,
        took_s: began.elapsed().as_secs_f64(),
        violations: Vec::new(),
    };
    report.violations = violations(&report);
    Ok(report)
}

/// Some answers are refusals that quote the person, some are failures, some never come.
async fn script_the_vendors(stage: &Stage) -> Result<()> {
    let quoting = json!({ "error": format!("The phone number of {MARK} is not valid") });
    let rule = |operation: &str, share: f64, what: Value| {
        let mut rule = json!({ "operation": operation, "probability": share });
        if let (Some(rule), Some(what)) = (rule.as_object_mut(), what.as_object()) {
            rule.extend(what.clone());
        }
        rule
    };
    stage
        .ats
        .faults(json!([
            rule("submit", 0.02, json!({ "do": "status", "status": 422, "body": quoting })),
            rule("submit", 0.02, json!({ "do": "status", "status": 503 })),
            rule("submit", 0.02, json!({ "do": "drop_after_commit" })),
        ]))
        .await?;
    let crm = json!({ "status": "error", "category": "VALIDATION_ERROR", "message": format!("{MARK} is not valid") });
    stage
        .crm
        .faults(json!([
            rule("contact_create", 0.02, json!({ "do": "status", "status": 400, "body": crm })),
            rule("contact_create", 0.02, json!({ "do": "drop_after_commit" })),
        ]))
        .await
}

/// Free texts among the answers hold the mark too.
fn marked_answers(answers: &[Value]) -> Vec<Value> {
    let mark = |answer: &Value| {
        let mut answer = answer.clone();
        if answer["value"].is_string() {
            answer["value"] = format!("{MARK}00000").into();
        }
        answer
    };
    answers.iter().map(mark).collect()
}

async fn send_all(
    stage: &Stage,
    marked: &Marked,
    submissions: u64,
    management: std::net::SocketAddr,
    counts: &Counts,
) -> Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let workers = (0..WORKERS).map(|_| {
        let next = Arc::clone(&next);
        async move {
            let mut client = Client::new(stage.public(), Duration::from_secs(60));
            let mut desk = Client::new(management, Duration::from_secs(60));
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= submissions {
                    return Ok(());
                }
                send(stage, marked, number, &mut client, counts).await?;
                if number.is_multiple_of(50) {
                    let question = json!({ "email": Marked::email(number), "base_email": true });
                    let key = Some(stage.tenancy.key.as_str());
                    let (status, _) = desk.json("POST", "/v1/support/lookup", key, Some(&question)).await?;
                    ensure!(status == 200, "a lookup: {status}");
                    counts.lookups.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    });
    futures_join(workers).await.map(drop)
}

/// One submission: most are taken, one in ten is refused, one in a hundred is not JSON, one in eight brings a file.
async fn send(stage: &Stage, marked: &Marked, number: u64, client: &mut Client, counts: &Counts) -> Result<()> {
    let resume = number.is_multiple_of(8).then(|| marked_file(number));
    let mut document = marked.document(number, resume.as_ref().map(Bytes::len))?;
    let refused = number % 10 == 3;
    if refused {
        document[format!("{MARK}member")] = format!("{MARK}{number:05}value").into();
    }
    let unreadable = number % 100 == 7;
    let bytes = if unreadable { Bytes::from(format!("{{\"{MARK}\": \"{MARK}")) } else { document.to_string().into() };
    let one = Applicant {
        email: Marked::email(number),
        given: String::new(),
        family: String::new(),
        document: bytes,
        resume: resume.filter(|_| !unreadable),
    };
    let request: Request<Full<Bytes>> = stage.request(&one, &format!("canary-{number}"))?;
    let answer = client.send(request).await?;
    let (status, counter) = match (unreadable, refused) {
        (true, _) => (400, &counts.unreadable),
        (false, true) => (422, &counts.refused),
        (false, false) => (202, &counts.accepted),
    };
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    ensure!(answer.status().as_u16() == status, "submission {number}: {} {text}", answer.status());
    // A refusal names the member that is not known, as it was sent; a receipt names nothing of the person's.
    ensure!(status != 202 || !has_mark(answer.body()), "the receipt holds a mark: {text}");
    counter.fetch_add(1, Ordering::Relaxed);
    if one.resume.is_some() {
        counts.with_files.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// More than one segment of a blob now and then, with marks all over.
fn marked_file(number: u64) -> Bytes {
    let plain = documents::resume(1, number, if number.is_multiple_of(64) { 150_000 } else { 3_000 });
    let line = format!("\n% {MARK}{number:05} built bridges\n");
    Bytes::from([&plain[..], line.repeat(40).as_bytes(), b"%%EOF\n"].concat())
}

/// Waits until nothing is on its way. How many deliveries there are.
async fn quiet(data: &Path) -> Result<u64> {
    let deadline = Instant::now() + QUIET_MAX;
    let conn = open(data)?;
    let count = |sql: &str| -> Result<u64> {
        let count: i64 = conn.query_row(sql, [], |row| row.get(0))?;
        Ok(u64::try_from(count)?)
    };
    let live = "SELECT count(*) FROM deliveries WHERE state IN ('queued', 'in_flight', 'verifying', 'waiting')";
    loop {
        let left = count(live)?;
        if left == 0 {
            return count("SELECT count(*) FROM deliveries");
        }
        ensure!(Instant::now() < deadline, "{left} deliveries were still on their way after {QUIET_MAX:?}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn open(data: &Path) -> Result<rusqlite::Connection> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    Ok(rusqlite::Connection::open_with_flags(data.join("causeway.db"), flags)?)
}

/// Erases every address and asks for it again. How many were erased, and for how many something is still held.
async fn erase_all(stage: &Stage, management: std::net::SocketAddr, submissions: u64) -> Result<(u64, u64)> {
    let next = Arc::new(AtomicU64::new(0));
    let (erased, held) = (AtomicU64::new(0), AtomicU64::new(0));
    let workers = (0..WORKERS).map(|_| {
        let (next, erased, held) = (Arc::clone(&next), &erased, &held);
        async move {
            let mut desk = Client::new(management, Duration::from_secs(120));
            let key = Some(stage.tenancy.key.as_str());
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= submissions {
                    return Ok(());
                }
                let person = json!({ "email": Marked::email(number) });
                // The log may be read while it is to be cut: then it is asked again.
                let status = loop {
                    let (status, _) = desk.json("POST", "/v1/support/erase", key, Some(&person)).await?;
                    if status != 503 {
                        break status;
                    }
                };
                // What no reader of JSON understood was never kept.
                let kept = number % 100 != 7;
                ensure!(status == if kept { 200 } else { 404 }, "erasing {number}: {status}");
                erased.fetch_add(u64::from(kept), Ordering::Relaxed);
                let (status, answer) = desk.json("POST", "/v1/support/export", key, Some(&person)).await?;
                let nothing = status == 404 || answer["submissions"].as_array().is_some_and(Vec::is_empty);
                held.fetch_add(u64::from(!nothing), Ordering::Relaxed);
            }
        }
    });
    futures_join(workers).await?;
    Ok((erased.into_inner(), held.into_inner()))
}

/// Persons' keys and attachments that are left.
fn left(data: &Path) -> Result<(u64, u64)> {
    let conn = open(data)?;
    let keys: i64 =
        conn.query_row("SELECT count(*) FROM wrapped_keys WHERE kind IN ('submission', 'demographics')", [], |row| {
            row.get(0)
        })?;
    let blobs = if data.join("blobs").is_dir() { search(&data.join("blobs"))?.files } else { 0 };
    Ok((u64::try_from(keys)?, blobs))
}

/// How often a scripted fault fired.
async fn vendor_errors(stage: &Stage) -> Result<u64> {
    let mut fired = 0;
    for sandbox in [&stage.ats, &stage.crm] {
        let rules = sandbox.control("GET", "/_sandbox/faults", None).await?;
        let rules = rules["rules"].as_array().context("rules")?;
        fired += rules.iter().filter_map(|rule| rule["fired"].as_u64()).sum::<u64>();
    }
    Ok(fired)
}

fn violations(report: &Report) -> Vec<String> {
    let mut found = Vec::new();
    let mut must = |holds: bool, told: String| {
        if !holds {
            found.push(told);
        }
    };
    for (name, search) in [("before", &report.before), ("in the backup", &report.backup), ("after", &report.after)] {
        must(search.hits.is_empty(), format!("marks in the open {name} erasing: {:?}", search.hits));
        must(search.files >= 4, format!("only {} files were searched {name}", search.files));
    }
    must(report.keys_left == 0, format!("{} keys of persons are left", report.keys_left));
    must(report.attachments_left == 0, format!("{} attachments are left", report.attachments_left));
    must(report.still_exported == 0, format!("{} persons are still held", report.still_exported));
    must(report.control_found == 1, "the planted mark was not found: the search proves nothing".to_owned());
    // A zero counts only beside its opportunities.
    must(report.accepted > 0 && report.refused > 0 && report.unreadable > 0, "not every kind was sent".to_owned());
    must(report.with_files > 0 && report.lookups > 0, "no files or no lookups".to_owned());
    must(report.vendor_errors > 0, "no vendor ever failed".to_owned());
    must(report.trace_lines > 0, "the log is not one at TRACE".to_owned());
    // The ATS and the CRM each.
    must(report.deliveries_done == 2 * report.accepted, format!("{} deliveries", report.deliveries_done));
    found
}
