//! The order oracle: for each 202, the bytes it acknowledges were synced before the answer left.
//!
//! `kill -9` cannot find a missing sync, because the page cache survives the process. So this watches the system calls:
//! between reading a request and answering it 202 there must be a write to the write-ahead log followed by a successful
//! sync of that same file, and for a request with a file, a successful sync of a blob and of a directory besides.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::accept::{Stage, futures_join};
use crate::client::Client;
use crate::documents;
use crate::rig::{self, GatewayOptions};

/// What was watched.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) accepted: u64,
    pub(crate) accepted_with_file: u64,
    pub(crate) answers_seen: u64,
    pub(crate) log_syncs_seen: u64,
    pub(crate) blob_syncs_seen: u64,
    pub(crate) unsynced_answers: u64,
    pub(crate) violations: Vec<String>,
}

const SEQUENTIAL: u64 = 200;
const PARALLEL_CLIENTS: u64 = 8;
const PARALLEL_EACH: u64 = 25;

/// `broken` names the promise of a control that has to be caught.
pub(crate) async fn run(broken: Option<&str>) -> Result<Report> {
    let stage = Stage::set(3).await?;
    let trace = stage.tenancy.data.join("strace.txt");
    let wrapper = [
        "strace",
        "-f",
        "-y",
        "-s",
        "48",
        "-e",
        "trace=read,recvfrom,write,pwrite64,writev,sendto,sendmsg,fsync,fdatasync",
        "-o",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([trace.display().to_string()])
    .collect();
    let options = GatewayOptions {
        command: rig::gateway_command(broken)?,
        settings: vec![("CAUSEWAY_DISPATCH_ENABLED".to_owned(), "false".to_owned())],
        wrapper,
        ..GatewayOptions::default()
    };
    let gateway = stage.start_with(&options).await?;
    let mut report = Report::default();
    let mut client = Client::new(gateway.public, Duration::from_secs(60));
    for number in 0..SEQUENTIAL {
        let with_file = number % 2 == 0;
        send(&stage, &mut client, "sequential", number, with_file).await?;
        report.accepted += 1;
        report.accepted_with_file += u64::from(with_file);
    }
    let public = gateway.public;
    let parallel = (0..PARALLEL_CLIENTS).map(|worker| {
        let stage = &stage;
        async move {
            let mut client = Client::new(public, Duration::from_secs(60));
            for number in 0..PARALLEL_EACH {
                send(stage, &mut client, "parallel", worker * PARALLEL_EACH + number, number % 2 == 0).await?;
            }
            Ok(())
        }
    });
    futures_join(parallel).await?;
    report.accepted += PARALLEL_CLIENTS * PARALLEL_EACH;
    report.accepted_with_file += PARALLEL_CLIENTS * PARALLEL_EACH.div_ceil(2);
    // strace ends with its child; the gateway is that child.
    rig::signal(child_of(gateway.pid())?, "TERM")?;
    gateway.wait_for_end()?;

    judge(&std::fs::read_to_string(&trace).context("reading the trace")?, &mut report);
    if report.answers_seen < report.accepted {
        report.violations.push(format!("void: {} of {} answers were seen", report.answers_seen, report.accepted));
    }
    if report.unsynced_answers > 0 {
        report
            .violations
            .push(format!("{} answers left before what they acknowledge was synced", report.unsynced_answers));
    }
    Ok(report)
}

async fn send(stage: &Stage, client: &mut Client, run: &str, number: u64, with_file: bool) -> Result<()> {
    let size = if with_file { 20_000 } else { 0 };
    let one = documents::applicant(run, 17, number, &stage.job, &stage.answers, size);
    let response = client.send(stage.request(&one, &format!("{run}-{number}"))?).await?;
    ensure!(response.status() == 202, "{}: {:?}", response.status(), response.body());
    Ok(())
}

fn child_of(pid: u32) -> Result<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = std::fs::read_to_string(Path::new(&path))?;
    Ok(children.split_whitespace().next().context("strace has no child")?.parse()?)
}

/// What has been seen since a request was read on a connection.
#[derive(Default, Clone)]
struct Request {
    has_file: bool,
    log_written: bool,
    log_synced: bool,
    blob_written: bool,
    blob_synced: bool,
}

/// Reads the trace in order. Lines cut in two by another thread are put together at their completion for syncs (a sync
/// counts when it ended) and at their beginning for answers (an answer counts when it could have left).
fn judge(trace: &str, report: &mut Report) {
    let mut open: HashMap<String, Request> = HashMap::new();
    let mut unfinished: HashMap<&str, &str> = HashMap::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some(start) = call.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, start);
            if is_answer(start) {
                answer(start, &mut open, report);
            } else if is_write(start) {
                written(start, &mut open);
            }
            continue;
        }
        if call.starts_with("<... ") {
            let Some(start) = unfinished.remove(thread) else { continue };
            let ended_well = call.contains("= 0") && !call.contains("INJECTED");
            if is_sync(start) && ended_well {
                synced(start, &mut open, report);
            } else if is_read(start) {
                request_read(start, call, &mut open);
            }
            continue;
        }
        if is_answer(call) {
            answer(call, &mut open, report);
        } else if is_write(call) {
            written(call, &mut open);
        } else if is_sync(call) && call.contains("= 0") && !call.contains("INJECTED") {
            synced(call, &mut open, report);
        } else if is_read(call) {
            request_read(call, call, &mut open);
        }
    }
}

fn is_read(call: &str) -> bool {
    (call.starts_with("read(") || call.starts_with("recvfrom(")) && call.contains("<TCP:")
        || (call.starts_with("recvfrom(") && call.contains("<socket:"))
        || (call.starts_with("read(") && call.contains("<socket:"))
}

fn is_answer(call: &str) -> bool {
    ["write(", "writev(", "sendto(", "sendmsg("].iter().any(|name| call.starts_with(name))
        && call.contains("HTTP/1.1 202")
}

fn is_write(call: &str) -> bool {
    (call.starts_with("pwrite64(") || call.starts_with("write("))
        && (call.contains("-wal>") || call.contains("/blobs/"))
}

fn is_sync(call: &str) -> bool {
    call.starts_with("fdatasync(") || call.starts_with("fsync(")
}

/// `recvfrom(12<TCP:[…]>, "POST …` names the connection by its descriptor.
fn descriptor(call: &str) -> String {
    call.split_once('(')
        .and_then(|(_, rest)| rest.split_once('<'))
        .map_or_else(String::new, |(number, _)| number.to_owned())
}

fn request_read(start: &str, data: &str, open: &mut HashMap<String, Request>) {
    if data.contains("\"POST /v1/applications") || start.contains("\"POST /v1/applications") {
        // The headers arrive in the first read. Which blobs are whose cannot be seen; that there is one can.
        let has_file = [start, data].iter().any(|text| text.contains("multipart/form-data"));
        open.insert(descriptor(start), Request { has_file, ..Request::default() });
    }
}

fn written(call: &str, open: &mut HashMap<String, Request>) {
    for request in open.values_mut() {
        if call.contains("-wal>") {
            request.log_written = true;
        } else {
            request.blob_written = true;
        }
    }
}

fn synced(call: &str, open: &mut HashMap<String, Request>, report: &mut Report) {
    let log = call.contains("-wal>");
    let blob = call.contains("/blobs");
    report.log_syncs_seen += u64::from(log);
    report.blob_syncs_seen += u64::from(blob);
    for request in open.values_mut() {
        request.log_synced |= log && request.log_written;
        request.blob_synced |= blob && request.blob_written;
    }
}

fn answer(call: &str, open: &mut HashMap<String, Request>, report: &mut Report) {
    report.answers_seen += 1;
    let request = open.remove(&descriptor(call)).unwrap_or_default();
    let log = request.log_synced;
    let blob = !request.has_file || request.blob_synced;
    report.unsynced_answers += u64::from(!(log && blob));
}

#[cfg(test)]
mod tests {
    use super::{Report, judge};

    const READ: &str = r#"11 recvfrom(9<TCP:[127.0.0.1:8080->127.0.0.1:5000]>, "POST /v1/applications HTTP/1.1\r\n"..., 8192, 0, NULL, NULL) = 900"#;
    const UPLOAD: &str = r#"11 recvfrom(9<TCP:[127.0.0.1:8080->127.0.0.1:5000]>, "POST /v1/applications HTTP/1.1\r\ncontent-type: multipart/form-data"..., 8192, 0, NULL, NULL) = 900"#;
    const LOG: &str = r#"12 pwrite64(5</data/causeway.db-wal>, "\0\0"..., 4096, 32) = 4096"#;
    const LOG_SYNC: &str = r#"12 fdatasync(5</data/causeway.db-wal>) = 0"#;
    const BLOB: &str = r#"13 write(7</data/blobs/aa#1>, "\0\0"..., 4096) = 4096"#;
    const BLOB_SYNC: &str = r#"13 fsync(7</data/blobs/aa#1>) = 0"#;
    const ANSWER: &str =
        r#"11 writev(9<TCP:[127.0.0.1:8080->127.0.0.1:5000]>, [{iov_base="HTTP/1.1 202 Accepted\r\n"...}], 2) = 700"#;

    fn check(lines: &[&str], unsynced: u64) {
        let mut report = Report::default();
        judge(&lines.join("\n"), &mut report);
        assert_eq!((report.answers_seen, report.unsynced_answers), (1, unsynced), "{lines:#?}");
    }

    #[test]
    fn an_answer_follows_the_sync_of_what_it_acknowledges() {
        check(&[READ, LOG, LOG_SYNC, ANSWER], 0);
        check(&[UPLOAD, BLOB, BLOB_SYNC, LOG, LOG_SYNC, ANSWER], 0);
        // A neighbour's blob is no concern of a request without one.
        check(&[READ, BLOB, LOG, LOG_SYNC, ANSWER], 0);
    }

    #[test]
    fn every_way_to_answer_early_is_seen() {
        check(&[READ, LOG, ANSWER], 1);
        check(&[READ, LOG_SYNC, LOG, ANSWER], 1);
        check(&[READ, ANSWER], 1);
        check(&[READ, LOG, &LOG_SYNC.replace("= 0", "= -1 EIO"), ANSWER], 1);
        check(&[READ, LOG, &LOG_SYNC.replace("= 0", "= 0 (INJECTED)"), ANSWER], 1);
        check(&[UPLOAD, BLOB, LOG, LOG_SYNC, ANSWER], 1);
        check(&[UPLOAD, LOG, LOG_SYNC, ANSWER], 1);
    }

    #[test]
    fn a_sync_counts_when_it_has_ended() {
        let begun = "12 fdatasync(5</data/causeway.db-wal> <unfinished ...>";
        let ended = "12 <... fdatasync resumed>) = 0";
        check(&[READ, LOG, begun, ended, ANSWER], 0);
        check(&[READ, LOG, begun, ANSWER, ended], 1);
    }
}
