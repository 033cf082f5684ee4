//! Signed receipts of the built program, checked by the verifier that stands in `tests/` and knows nothing of ours: it
//! believes a receipt that is whole, and none that was changed in any way.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::people;
use crate::rig::Rig;

const VERIFIER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/verify_receipt.mjs");
const FIRST: &[u8] = b"I build bridges\n";
const SECOND: &[u8] = b"Dear bridge owners\n";

/// What a verifier is given.
#[derive(Clone)]
struct Case {
    receipt: Value,
    keys: Value,
    document: Vec<u8>,
    files: Vec<Vec<u8>>,
}

impl Case {
    /// Whether it is believed, and what was said.
    fn verify(&self, folder: &Path) -> Result<(bool, String)> {
        let write = |name: &str, bytes: &[u8]| -> Result<String> {
            let path = folder.join(name);
            std::fs::write(&path, bytes)?;
            Ok(path.to_str().context("a path of ours")?.to_owned())
        };
        let mut arguments = vec![
            VERIFIER.to_owned(),
            write("receipt.json", self.receipt.to_string().as_bytes())?,
            write("keys.json", self.keys.to_string().as_bytes())?,
            write("document.json", &self.document)?,
        ];
        for (index, file) in self.files.iter().enumerate() {
            arguments.push(write(&format!("file-{index}"), file)?);
        }
        let output = Command::new("node").args(arguments).output().context("node")?;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(matches!(output.status.code(), Some(0 | 1)), "{said}");
        Ok((output.status.success(), said))
    }
}

async fn get(rig: &Rig, path: &str) -> Result<Value> {
    let answer = rig.site.send("GET", path, &[], Bytes::new()).await?;
    ensure!(answer.status == 200, "{path}: {answer}");
    Ok(answer.json())
}

/// Applies with two files; the case that has to be believed.
async fn applied(rig: &Rig, email: &str) -> Result<(Case, Value)> {
    let mut document = people::document(email, &rig.job);
    document["attachments"] = json!([
        { "id": "cv", "kind": "resume", "name": "cv.txt", "media_type": "text/plain", "size": FIRST.len() },
        { "id": "letter", "kind": "cover_letter", "name": "l.txt", "media_type": "text/plain", "size": SECOND.len() },
    ]);
    let document = serde_json::to_vec_pretty(&document)?;
    let (cv, letter) = (people::file_part("cv", "cv.txt"), people::file_part("letter", "l.txt"));
    let parts: [(&str, &[u8]); 3] = [(people::DOCUMENT_PART, &document), (&letter, SECOND), (&cv, FIRST)];
    let body = people::parts(&parts, &people::the_end());
    let answer = rig.site.post(&[("content-type", &people::multipart_type())], body).await?;
    let id = answer.id()?;
    let receipt = get(rig, &format!("/v1/applications/{id}/receipt")).await?;
    let keys = get(rig, "/.well-known/causeway-receipt-keys").await?;
    Ok((Case { receipt, keys, document, files: vec![FIRST.to_vec(), SECOND.to_vec()] }, answer.json()))
}

#[tokio::test]
async fn a_whole_receipt_is_believed_and_no_changed_one() -> Result<()> {
    let rig = Rig::new().await?;
    let (whole, accepted) = applied(&rig, "ada@example.org").await?;
    let folder = rig.beside();
    let (believed, said) = whole.verify(folder)?;
    ensure!(believed && said.contains(accepted["id"].as_str().unwrap_or("no id")), "{said}");
    let token = format!("rcp_{}", whole.receipt["document"].as_str().context("a digest")?);
    ensure!(accepted["receipt"] == token.as_str(), "the 202 named the same digest: {accepted}");

    let changed = |change: &dyn Fn(&mut Case)| {
        let mut case = whole.clone();
        change(&mut case);
        case
    };
    let set = |name: &'static str, value: Value| move |case: &mut Case| case.receipt[name] = value.clone();
    let other_hex = |text: &str| if text.starts_with('0') { "1" } else { "0" }.to_owned() + text.get(1..).unwrap_or("");
    let text = |name: &str| whole.receipt[name].as_str().unwrap_or_default().to_owned();
    let ms = whole.receipt["received_ms"].as_i64().context("a time")?;
    let other_id = |name: &str| text(name).replace('_', "_0").chars().take(text(name).len()).collect::<String>();
    let attackers = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let cases: Vec<(&str, Case)> = vec![
        ("the document", changed(&|case| case.document.push(b'\n'))),
        ("a file", changed(&|case| case.files[0][0] ^= 1)),
        ("a file left out", changed(&|case| drop(case.files.pop()))),
        ("a file more", changed(&|case| case.files.push(b"three".to_vec()))),
        ("the tenant", changed(&set("tenant", json!(other_id("tenant"))))),
        ("the application", changed(&set("application", json!(other_id("application"))))),
        ("the world", changed(&set("test", json!(true)))),
        ("the time signed", changed(&set("received_ms", json!(ms + 1)))),
        ("the time shown", changed(&set("received_at", json!("2020-01-01T00:00:00Z")))),
        ("the digest", changed(&set("document", json!(other_hex(&text("document")))))),
        ("the files' hashes", changed(&|case| case.receipt["files"] = json!([]))),
        ("the signature", changed(&set("signature", json!("A".repeat(86) + "==")))),
        ("no signature", changed(&set("signature", Value::Null))),
        ("the key's id", changed(&set("key", json!("rck_00000000000000000000000000000000")))),
        ("the format", changed(&set("format", json!("causeway receipt v2")))),
        ("a line more", changed(&set("tenant", json!(format!("{}\nworld real", text("tenant")))))),
        ("another key", changed(&|case| case.keys["keys"][0]["x"] = json!(attackers))),
        ("no keys", changed(&|case| case.keys["keys"] = json!([]))),
    ];
    for (what, case) in cases {
        let (believed, said) = case.verify(folder)?;
        ensure!(!believed && said.starts_with("not proven"), "{what} was changed: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_receipt_outlives_a_key_and_a_kill_and_goes_with_an_erasure() -> Result<()> {
    let mut rig = Rig::new().await?;
    let (before, accepted) = applied(&rig, "ada@example.org").await?;
    rig.ask(&["keys", "rotate-receipts"])?;
    rig.kill()?;
    rig.start().await?;
    let path = format!("/v1/applications/{}/receipt", accepted["id"].as_str().context("an id")?);
    ensure!(get(&rig, &path).await? == before.receipt, "byte for byte the same");
    let (after, _) = applied(&rig, "bo@example.org").await?;
    ensure!(before.receipt["key"] != after.receipt["key"], "a new key signs what comes since");
    let listed = rig.ask(&["keys", "receipts"])?;
    ensure!(listed.as_array().is_some_and(|keys| keys.len() == 2), "{listed}");
    for case in [Case { keys: after.keys.clone(), ..before }, after] {
        let (believed, said) = case.verify(rig.beside())?;
        ensure!(believed, "{said}");
    }
    let test = rig.ask(&["keys", "create", "--name", "tests", "--scope", "read", "--test"])?;
    let bearer = format!("Bearer {}", test["text"].as_str().context("a key")?);
    let foreign = rig.site.send("GET", &path, &[("authorization", &bearer)], Bytes::new()).await?;
    ensure!(foreign.code() == "not_found", "a test key sees no real receipt: {foreign}");
    let erased = rig.cli(&["erase", "--email", "-", "--yes"], "ada@example.org\n")?;
    ensure!(erased.code == 0, "{erased:?}");
    let gone = rig.site.send("GET", &path, &[], Bytes::new()).await?;
    ensure!(gone.code() == "not_found", "{gone}");
    Ok(())
}
