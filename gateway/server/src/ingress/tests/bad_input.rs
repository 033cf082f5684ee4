//! Bad input, and what it gets.

use serde_json::json;

use super::{Served, exchange, request};
use crate::intake::fake::document;

const JSON: &str = "Content-Type: application/json\r\n";
const FORM: &str = "Content-Type: multipart/form-data; boundary=bo\r\n";

async fn check(served: &Served, what: &str, headers: &str, body: &[u8], status: u16, code: &str) {
    let answer = served.ask("POST", "/v1/applications", headers, body).await;
    assert_eq!(answer.says(), (status, code.to_owned()), "{what}: {}", String::from_utf8_lossy(&answer.body));
}

#[tokio::test]
async fn bodies_and_headers() {
    let served = Served::new().await;
    let valid = document().to_string();
    let deep = format!("{}{}", "[".repeat(70), "]".repeat(70));
    let large = format!("\"{}\"", "a".repeat((1 << 20) + 1));
    let long_key = format!("{JSON}Idempotency-Key: {}\r\n", "k".repeat(256));
    let unreadable = "body_unreadable";
    for (what, headers, body, status, code) in [
        ("empty", JSON, "", 400, unreadable),
        ("not JSON", JSON, "{", 400, unreadable),
        ("duplicate member", JSON, r#"{"job":"1","job":"2"}"#, 400, unreadable),
        ("lone surrogate", JSON, r#"{"job":"\ud800"}"#, 400, unreadable),
        ("NUL", JSON, r#"{"job":"\u0000"}"#, 400, unreadable),
        ("too deep", JSON, &deep, 400, unreadable),
        ("byte order mark", JSON, "\u{feff}{}", 400, unreadable),
        ("over 1 MiB", JSON, &large, 413, "body_too_large"),
        ("unknown member", JSON, &valid.replacen('{', r#"{"x":1,"#, 1), 422, "application_invalid"),
        ("null", JSON, "null", 422, "application_invalid"),
        ("no content type", "", &valid, 415, "content_type_unsupported"),
        ("text", "Content-Type: text/plain\r\n", &valid, 415, "content_type_unsupported"),
        ("latin-1", "Content-Type: application/json; charset=latin1\r\n", &valid, 415, "content_type_unsupported"),
        ("two content types", &format!("{JSON}{FORM}"), &valid, 415, "content_type_unsupported"),
        ("gzip", &format!("{JSON}Content-Encoding: gzip\r\n"), &valid, 415, "content_encoding_unsupported"),
        ("empty key", &format!("{JSON}Idempotency-Key: \r\n"), &valid, 400, "idempotency_key_invalid"),
        ("long key", &long_key, &valid, 400, "idempotency_key_invalid"),
        (
            "two keys",
            &format!("{JSON}Idempotency-Key: a\r\nIdempotency-Key: b\r\n"),
            &valid,
            400,
            "idempotency_key_invalid",
        ),
    ] {
        check(&served, what, headers, body.as_bytes(), status, code).await;
    }
    for fine in ["Content-Type: application/json; charset=UTF-8\r\n", &format!("{JSON}Content-Encoding: identity\r\n")]
    {
        assert_eq!(served.ask("POST", "/v1/applications", fine, valid.as_bytes()).await.status, 202, "{fine}");
    }
    check(&served, "UTF-16", JSON, b"\xff\xfe{\0}\0", 400, unreadable).await;
    check(&served, "not UTF-8", JSON, b"{\"job\":\"\xff\"}", 400, unreadable).await;
}

fn part(disposition: &str, more: &str, content: &str) -> String {
    format!("--bo\r\nContent-Disposition: form-data; {disposition}\r\n{more}\r\n{content}\r\n")
}

#[tokio::test]
async fn multipart_bodies() {
    let served = Served::new().await;
    let app = part("name=application", "Content-Type: application/json\r\n", &document().to_string());
    let file = |id: &str| part(&format!("name={id}; filename=\"{id}.txt\""), "Content-Type: text/plain\r\n", "hello");
    let end = "--bo--\r\n";
    let many: String = (0..11).map(|number| file(&format!("f{number}"))).collect();
    let flood: String = (0..10_000).map(|number| file(&format!("f{number}"))).collect();
    let headers: String = (0..40).map(|number| format!("X-{number}: 1\r\n")).collect();
    let invalid = |body: String| (body, 400, "multipart_invalid");
    for (what, (body, status, code)) in [
        ("empty", invalid(String::new())),
        ("no parts", invalid(end.to_owned())),
        ("preamble", invalid(format!("hello\r\n{app}{end}"))),
        ("other boundary", invalid(format!("{app}{end}").replace("--bo", "--ba"))),
        ("no final boundary", invalid(app.clone())),
        ("cut in a file", invalid(format!("{app}{}", file("cv").trim_end_matches("llo\r\n")))),
        ("epilogue", invalid(format!("{app}{end}hello"))),
        ("no disposition", invalid(format!("{app}--bo\r\nX: 1\r\n\r\nx\r\n{end}"))),
        ("no headers", invalid(format!("{app}--bo\r\n\r\nx\r\n{end}"))),
        ("folded header", invalid(format!("{app}{}{end}", part("name=a;\r\n filename=b", "", "x")))),
        ("bare line feed", invalid(format!("{app}{end}").replace("\r\n", "\n"))),
        ("boundary with a tail", invalid(format!("{app}--box\r\n"))),
        ("file first", invalid(format!("{}{app}{end}", file("cv")))),
        ("document as a file", invalid(format!("{}{end}", part("name=application; filename=a.json", "", "{}")))),
        ("two documents", invalid(format!("{app}{app}{end}"))),
        ("same name twice", invalid(format!("{app}{}{}{end}", file("cv"), file("cv")))),
        ("eleven files", invalid(format!("{app}{many}{end}"))),
        ("ten thousand files", invalid(format!("{app}{flood}{end}"))),
        ("many part headers", invalid(format!("{app}{}{end}", part("name=cv", &headers, "x")))),
        (
            "long part header",
            invalid(format!("{app}{}{end}", part("name=cv", &format!("X: {}\r\n", "a".repeat(9000)), "x"))),
        ),
        (
            "two dispositions",
            invalid(format!("{app}{}{end}", part("name=a", "Content-Disposition: form-data; name=b\r\n", "x"))),
        ),
        (
            "conflicting names",
            invalid(format!("{app}{}{end}", part("name=a; filename=b.pdf; filename*=UTF-8''c.pdf", "", "x"))),
        ),
        ("path in name", invalid(format!("{app}{}{end}", part("name=a; filename=\"../b.pdf\"", "", "x")))),
        (
            "nested",
            invalid(format!("{app}{}{end}", part("name=a", "Content-Type: multipart/mixed; boundary=c\r\n", "x"))),
        ),
        ("base64", invalid(format!("{app}{}{end}", part("name=a", "Content-Transfer-Encoding: base64\r\n", "x")))),
        ("unannounced file", (format!("{app}{}{end}", file("cv")), 422, "application_invalid")),
        (
            "large document",
            (format!("{}{end}", part("name=application", "", &"a".repeat((1 << 20) + 1))), 413, "body_too_large"),
        ),
        (
            "large file",
            (format!("{app}{}{end}", part("name=a", "", &"a".repeat((5 << 20) + 1))), 413, "body_too_large"),
        ),
    ] {
        check(&served, what, FORM, body.as_bytes(), status, code).await;
    }
    for boundary in ["", "; boundary=", "; boundary=\"a{b}\"", &format!("; boundary={}", "b".repeat(71))] {
        let headers = format!("Content-Type: multipart/form-data{boundary}\r\n");
        check(&served, "boundary", &headers, format!("{app}{end}").as_bytes(), 400, "multipart_invalid").await;
    }
    assert!(served.world.store.inside().accepted.is_empty(), "nothing is stored half");
    assert!(served.world.store.inside().refused.len() > 10, "each was readable enough to be found by support");
    assert_eq!(served.ask("POST", "/v1/applications", FORM, format!("{app}{end}").as_bytes()).await.status, 202);
}

#[tokio::test]
async fn files_arrive_whole_and_all_together_may_have_ten_mebibytes() {
    let served = Served::new().await;
    let content = "word ".repeat(1 << 19);
    let file = |id: &str| part(&format!("name={id}; filename={id}.txt"), "Content-Type: text/plain\r\n", &content);
    let submission = |ids: &[&str]| {
        let announced = ids.iter().map(|id| {
            json!({ "id": id, "kind": "other", "name": format!("{id}.txt"), "media_type": "text/plain", "size": content.len() })
        });
        let mut document = document();
        document["attachments"] = announced.collect();
        let files: String = ids.iter().map(|id| file(id)).collect();
        format!("{}{files}--bo--\r\n", part("name=application", "", &document.to_string()))
    };
    let answer = served.ask("POST", "/v1/applications", FORM, submission(&["a", "b", "c"]).as_bytes()).await;
    assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.body));
    let stored = |index: usize| served.world.store.inside().accepted[0].attachments[index].bytes.clone();
    assert!((0..3).all(|index| stored(index) == content.as_bytes()));
    check(&served, "10.5 MiB", FORM, submission(&["a", "b", "c", "d", "e"]).as_bytes(), 413, "body_too_large").await;
}

#[tokio::test]
async fn a_body_without_a_length_is_bounded_too() {
    let served = Served::new().await;
    let head = format!(
        "POST /v1/applications HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
         Authorization: Bearer {}\r\n{JSON}\r\n",
        served.key
    );
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let endless = format!("{head}{}0\r\n\r\n", chunk.repeat(40));
    assert_eq!(exchange(served.public, endless.as_bytes()).await.says(), (413, "body_too_large".to_owned()));
    let body = document().to_string();
    let bytewise: String = body.bytes().map(|byte| format!("1\r\n{}\r\n", char::from(byte))).collect();
    let whole = format!("{head}{bytewise}0\r\n\r\n");
    assert_eq!(exchange(served.public, whole.as_bytes()).await.status, 202);
    let length = request("POST", "/v1/applications", &format!("Authorization: Bearer {}\r\n{JSON}", served.key), b"");
    assert_eq!(exchange(served.public, &length).await.says(), (400, "body_unreadable".to_owned()));
}
