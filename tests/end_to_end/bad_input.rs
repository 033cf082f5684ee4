//! Bad input, and what it gets: a clear problem, bounded memory, nothing stored half. A table through one check, and the
//! cases that take more than one request.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::people::{self, DOCUMENT_PART, file_part, parts, the_end};
use crate::process::until;
use crate::rig::Rig;
use crate::site::{Answer, Site};

const RSS_MB_MAX: f64 = 256.0;
const JSON: (&str, &str) = ("content-type", "application/json");
const EMAIL: &str = "bad@example.org";

/// What is sent, its headers, its body, and what it gets.
type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, Bytes, u16, &'a str);

fn json_cases(job: &str) -> Vec<Case<'static>> {
    let valid = people::document(EMAIL, job).to_string();
    let with = |extra: &str| Bytes::from(valid.replacen('{', &format!("{{{extra},"), 1));
    let deep = format!("\"extensions\":{{\"acme\":{}{}}}", "[".repeat(65), "]".repeat(65));
    let large = format!("\"extensions\":{{\"acme\":\"{}\"}}", "a".repeat(1 << 20));
    let unreadable = (400, "body_unreadable");
    let json = |what, body, (status, code)| (what, vec![JSON], body, status, code);
    let mut cases = vec![
        json("duplicate keys", with("\"job\":\"1\""), unreadable),
        json("a lone surrogate", with(r#""pay":"\ud800""#), unreadable),
        json("NUL", with(r#""pay":"\u0000""#), unreadable),
        json("depth 65", with(&deep), unreadable),
        json("no JSON", Bytes::from_static(b"{"), unreadable),
        json("nothing", Bytes::new(), unreadable),
        json("an unknown member", with("\"favourite_colour\":\"red\""), (422, "application_invalid")),
        json("an oversize document", with(&large), (413, "body_too_large")),
    ];
    let headers = [
        ("no content type", vec![("content-type", "")], 415, "content_type_unsupported"),
        ("XML", vec![("content-type", "application/xml")], 415, "content_type_unsupported"),
        ("gzip", vec![JSON, ("content-encoding", "gzip")], 415, "content_encoding_unsupported"),
        ("no boundary", vec![("content-type", "multipart/form-data")], 400, "multipart_invalid"),
        ("no key", vec![JSON, ("authorization", "")], 401, "key_invalid"),
        ("a bad key", vec![JSON, ("authorization", "Bearer ck_nonsense")], 401, "key_invalid"),
        ("another scheme", vec![JSON, ("authorization", "Basic YTpi")], 401, "key_invalid"),
        ("a browser", vec![JSON, ("origin", "https://example.org")], 403, "secret_key_in_browser"),
        ("an empty idempotency key", vec![JSON, ("idempotency-key", " ")], 400, "idempotency_key_invalid"),
    ];
    cases
        .extend(headers.map(|(what, headers, status, code)| (what, headers, Bytes::from(valid.clone()), status, code)));
    cases
}

fn multipart_cases(job: &str, form: &'static str) -> Vec<Case<'static>> {
    let plain = people::document(EMAIL, job);
    let resume = b"I build bridges\n";
    let announced = people::with_resume(plain.clone(), "cv.txt", resume);
    let (plain, announced) = (plain.to_string(), announced.to_string());
    let cv = file_part("cv", "cv.txt");
    let many: Vec<String> = (0..12).map(|number| file_part(&format!("f{number}"), "a.txt")).collect();
    let mut too_many: Vec<(&str, &[u8])> = vec![(DOCUMENT_PART, plain.as_bytes())];
    too_many.extend(many.iter().map(|head| (head.as_str(), &b"x"[..])));
    let oversize = vec![b'a'; (5 << 20) + 1];
    let form = |what, body, status, code| (what, vec![("content-type", form)], body, status, code);
    vec![
        form("no final boundary", parts(&[(DOCUMENT_PART, plain.as_bytes())], ""), 400, "multipart_invalid"),
        form("too many parts", parts(&too_many, &the_end()), 400, "multipart_invalid"),
        form("no document", parts(&[(&cv, resume)], &the_end()), 400, "multipart_invalid"),
        form(
            "an unannounced part",
            parts(&[(DOCUMENT_PART, plain.as_bytes()), (&cv, resume)], &the_end()),
            422,
            "application_invalid",
        ),
        form(
            "an announced part is missing",
            parts(&[(DOCUMENT_PART, announced.as_bytes())], &the_end()),
            422,
            "application_invalid",
        ),
        form(
            "an oversize file",
            parts(&[(DOCUMENT_PART, announced.as_bytes()), (&cv, &oversize)], &the_end()),
            413,
            "body_too_large",
        ),
    ]
}

#[tokio::test]
async fn each_gets_a_clear_problem_and_leaves_nothing_half() -> Result<()> {
    let mut rig = Rig::new().await?;
    let form: &'static str = people::multipart_type().leak();
    let closed = rig.ats.publish("Night Porter", &people::plain_questions()).await?;
    rig.ask(&["jobs", "sync", "greenhouse"])?;
    rig.ats.live(&closed, false).await?;
    rig.ask(&["jobs", "sync", "greenhouse"])?;
    let mut cases = json_cases(&rig.job);
    cases.extend(multipart_cases(&rig.job, form));
    let to = |job: &str| Bytes::from(people::document(EMAIL, job).to_string());
    cases.push(("an unknown job", vec![JSON], to("999999999"), 404, "posting_unknown"));
    cases.push(("a closed job", vec![JSON], to(&closed), 409, "posting_closed"));
    let mut wrong = Vec::new();
    for round in 0..3 {
        for (what, headers, body, status, code) in &cases {
            let mut answered = rig.site.post(headers, body.clone()).await;
            // What is too large is refused before it was read: whoever is still writing then may see the connection end
            // instead of the answer. Most do not.
            for _ in 0..9 {
                if answered.is_ok() || *status != 413 {
                    break;
                }
                answered = rig.site.post(headers, body.clone()).await;
            }
            let answer = answered.with_context(|| (*what).to_owned())?;
            if (answer.status, answer.code().as_str()) != (*status, *code) {
                wrong.push(format!("{what}, round {round}: {answer}, not {status} {code}"));
            } else if !is_problem(&answer) {
                wrong.push(format!("{what}: no problem document: {answer} {:?}", answer.headers));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    ensure!(rig.runs()? && rig.rss_mb()? < RSS_MB_MAX, "{} MB", rig.rss_mb()?);
    let why = rig.why(EMAIL)?.answer()?;
    let submissions = why["submissions"].as_array().context("what could be read was recorded")?;
    ensure!(submissions.iter().all(|one| one["outcome"] == "refused" && one["deliveries"] == json!([])), "{why}");
    for code in ["posting_unknown", "posting_closed"] {
        ensure!(submissions.iter().any(|one| one["reason"]["code"] == code), "{code} can be looked up: {why}");
    }
    ensure!(rig.ats.ledger("submit").await?.is_empty(), "nothing went out");
    Ok(())
}

fn is_problem(answer: &Answer) -> bool {
    let json = answer.json();
    let typed = answer.headers.get("content-type").is_some_and(|value| value == "application/problem+json");
    typed
        && json["status"] == answer.status
        && ["type", "title", "trace_id"].iter().all(|member| json[member].is_string())
}

#[tokio::test]
async fn an_invalid_one_gets_every_reason_at_once() -> Result<()> {
    let rig = Rig::new().await?;
    let job = rig.ats.publish("Lamplighter", &people::demanding_questions()).await?;
    rig.ask(&["jobs", "sync", "greenhouse"])?;
    rig.form_is_there(&job).await?;
    let mut document = people::document("reasons@example.org", &job);
    document["person"]["emails"][0]["address"] = json!("no address at all");
    document["person"]["name"]["family"] = json!("");
    document["shoe_size"] = json!(44);
    let answer = rig.site.apply("reasons", &document).await?;
    let problem = answer.json();
    ensure!(answer.status == 422 && answer.code() == "application_invalid", "{answer}");
    let errors = problem["errors"].as_array().context("errors")?;
    for error in errors {
        let worded =
            ["message", "fix", "code"].iter().all(|name| error[name].as_str().is_some_and(|text| !text.is_empty()));
        let required_by = error["required_by"].as_array().is_some_and(|list| !list.is_empty());
        ensure!(worded && required_by && error["pointer"].is_string(), "{error}");
    }
    let of = |pointer: &str| {
        errors.iter().filter(|one| one["pointer"].as_str().is_some_and(|p| p.starts_with(pointer))).count()
    };
    for pointer in ["/person/emails/0", "/person/name", "/shoe_size"] {
        ensure!(of(pointer) >= 1, "{pointer} in {problem:#}");
    }
    ensure!(of("/answers") >= 2, "both unanswered questions: {problem:#}");
    ensure!(!answer.to_string().contains("no address at all"), "values are not echoed: {answer}");
    // The applicant corrects it; the key was not used up.
    let mut right = people::document("reasons@example.org", &job);
    right["answers"] = json!([
        { "question": "question_4001", "value": "The view." },
        { "question": "question_4002", "value": "At a lighthouse." },
    ]);
    rig.site.apply("reasons", &right).await?.id()?;
    Ok(())
}

/// A problem without what differs between two answers to the same question.
fn without_trace(answer: &Answer) -> String {
    let mut json = answer.json();
    json["trace_id"] = Value::Null;
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    format!("{} {headers:?} {json}", answer.status)
}

#[tokio::test]
async fn another_tenant_s_id_is_answered_like_one_that_nobody_has() -> Result<()> {
    let rig = Rig::new().await?;
    let id = rig.site.apply("mine", &people::document("mine@example.org", &rig.job)).await?.id()?;
    rig.ask(&["tenants", "create", "other"])?;
    let key = rig.ask(&["keys", "create", "--tenant", "other", "--scope", "submit,read"])?;
    let other = Site { gateway: rig.site.gateway, key: key["text"].as_str().context("a key")?.to_owned() };
    let digit = if id.ends_with('0') { "1" } else { "0" };
    let mut absent = id.clone();
    absent.replace_range(id.len() - 1.., digit);
    let (theirs, nobodys) = (other.view(&id).await?, other.view(&absent).await?);
    ensure!(theirs.status == 404 && theirs.code() == "not_found", "{theirs}");
    ensure!(without_trace(&theirs) == without_trace(&nobodys), "{theirs}\n{nobodys}");
    ensure!(rig.site.view(&id).await?.status == 200, "and its owner sees it");
    Ok(())
}

#[tokio::test]
async fn an_idempotency_key_stands_for_one_request() -> Result<()> {
    let mut rig = Rig::new().await?;
    let document = people::document("twice@example.org", &rig.job);
    let first = rig.site.apply("k-1", &document).await?;
    let again = rig.site.apply("k-1", &document).await?;
    ensure!(first.status == 202 && again.status == 202 && first.bytes == again.bytes, "{first}\n{again}");
    let other = rig.site.apply("k-1", &people::document("other@example.org", &rig.job)).await?;
    ensure!(other.status == 422 && other.code() == "idempotency_key_reused", "{other}");
    let keyless = people::document("keyless@example.org", &rig.job).to_string();
    let (one, two) = (rig.site.post(&[JSON], keyless.clone()).await?, rig.site.post(&[JSON], keyless.clone()).await?);
    ensure!(one.status == 202 && one.bytes == two.bytes, "{one}\n{two}");
    let (status, _) = rig.stop().await?;
    ensure!(status.success(), "{status}");
    rig.start().await?;
    let restarted = rig.site.apply("k-1", &document).await?;
    ensure!(restarted.bytes == first.bytes, "the same bytes after a restart: {first}\n{restarted}");
    ensure!(rig.site.post(&[JSON], keyless).await?.bytes == one.bytes, "without a key too");
    for (email, id) in [("twice@example.org", first.id()?), ("keyless@example.org", one.id()?)] {
        rig.site.all_are(&id, &["delivered"]).await?;
        ensure!(rig.ats.applications_of(email).await? == 1, "{email}: once");
    }
    Ok(())
}

#[tokio::test]
async fn a_body_that_trickles_in_is_told_so() -> Result<()> {
    let rig = Rig::with(&[("CAUSEWAY_LIMITS_BODY_DEADLINE", "2s")]).await?;
    let mut stream = tokio::net::TcpStream::connect(rig.site.gateway).await?;
    let head = format!(
        "POST /v1/applications HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{",
        rig.site.key
    );
    stream.write_all(head.as_bytes()).await?;
    let mut said = Vec::new();
    let read = async {
        while !String::from_utf8_lossy(&said).contains("body_too_slow") {
            let mut more = [0; 4096];
            let count = stream.read(&mut more).await?;
            ensure!(count > 0, "closed after {}", String::from_utf8_lossy(&said));
            said.extend_from_slice(&more[..count]);
        }
        Ok(())
    };
    tokio::time::timeout(Duration::from_secs(20), read).await.context("no answer")??;
    ensure!(said.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&said));
    until("the edge to be counted", Duration::from_secs(10), async || {
        let why = rig.cli(&["why", "--email", "-", "--json"], "slow@example.org\n")?;
        let counted = why.json()?["edge_refused"]["body_too_slow"].as_u64();
        ensure!(why.code == 3 && counted == Some(1), "{why:?}");
        Ok(())
    })
    .await
}
