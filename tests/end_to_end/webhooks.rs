//! Signed webhooks to a career site that verifies them with Node's own cryptography: what it is told, across failures, a
//! changed secret and a killed gateway; and what is refused.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::client::Client;
use crate::people;
use crate::process::{free_port, until};
use crate::rig::Rig;

const RECEIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/end_to_end/webhook_receiver.mjs");
const LONG: Duration = Duration::from_secs(60);

/// The career site: a process of its own.
struct Receiver {
    child: Child,
    folder: PathBuf,
    url: String,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Receiver {
    fn start(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("secret"), "whsec_bm90aGluZyB5ZXQ=")?;
        let port = free_port()?.to_string();
        let text = folder.to_str().context("a path of ours")?;
        let mut child =
            Command::new("node").args([RECEIVER, text, &port]).stdout(Stdio::piped()).spawn().context("node")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its output is piped")?).read_line(&mut line)?;
        ensure!(line.trim() == "listening", "the receiver said {line:?}");
        Ok(Self { child, folder: folder.to_owned(), url: format!("http://127.0.0.1:{port}/hooks") })
    }

    fn secret_is(&self, secret: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.join("secret"), secret)?)
    }

    fn answers(&self, status: Option<u16>) -> Result<()> {
        let path = self.folder.join("answer");
        match status {
            Some(status) => Ok(std::fs::write(path, status.to_string())?),
            None => Ok(std::fs::remove_file(path)?),
        }
    }

    /// What came, oldest first: id, status answered, what was told if its signature was right.
    fn got(&self) -> Result<Vec<Value>> {
        let text = std::fs::read_to_string(self.folder.join("got")).unwrap_or_default();
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Waits until something came that is wished for.
    async fn got_one(&self, what: &str, is: impl Fn(&Value) -> bool) -> Result<Value> {
        until(what, LONG, async || {
            let got = self.got()?;
            got.iter().find(|one| is(one)).cloned().with_context(|| format!("{got:?}"))
        })
        .await
    }
}

/// The webhook that tells this of an application, verified and taken.
fn tells(kind: &str, id: &str, account: Option<&str>) -> impl Fn(&Value) -> bool {
    let (kind, id, account) = (kind.to_owned(), id.to_owned(), account.map(str::to_owned));
    move |one| {
        let told = &one["told"];
        one["status"] == 204
            && told["type"] == kind.as_str()
            && told["data"]["application"] == id.as_str()
            && told["data"]["account"].as_str() == account.as_deref()
    }
}

fn add(rig: &Rig, url: &str, more: &[&str]) -> Result<(String, String)> {
    let line: Vec<&str> = ["webhooks", "add", url, "--allow-private"].iter().chain(more).copied().collect();
    let made = rig.ask(&line)?;
    let text = |value: &Value| value.as_str().map(str::to_owned).with_context(|| format!("{made}"));
    Ok((text(&made["endpoint"]["id"])?, text(&made["secret"])?))
}

#[tokio::test]
async fn a_site_verifies_what_it_is_told_whatever_happens_on_the_way() -> Result<()> {
    let mut rig = Rig::new().await?;
    let site = Receiver::start(&rig.beside().join("site"))?;
    let (endpoint, secret) = add(&rig, &site.url, &[])?;

    // Before the site knows the secret it takes nothing; then it does.
    let refused = rig.cli(&["webhooks", "test", &endpoint], "")?;
    ensure!(refused.code == 1 && refused.stdout.contains("status 401"), "{refused:?}");
    site.secret_is(&secret)?;
    ensure!(rig.ask(&["webhooks", "test", &endpoint])?["taken"] == true, "the test is taken");

    let receipt = rig.site.apply("ada-1", &people::document("ada@example.org", &rig.job)).await?;
    let ada = receipt.id()?;
    for account in ["greenhouse", "hubspot"] {
        let one = site.got_one("both deliveries", tells("application.delivered", &ada, Some(account))).await?;
        let data = &one["told"]["data"];
        ensure!(data["code"] == receipt.json()["code"] && data["state"] == "delivered", "{one}");
        ensure!(data["test"] == false && data["job"] == rig.job.as_str(), "{one}");
    }

    // The site is down, and the gateway is killed while it is: what was to be told is told when both are back.
    site.answers(Some(503))?;
    let bo = rig.site.apply("bo-1", &people::document("bo@example.org", &rig.job)).await?.id()?;
    let missed = site.got_one("a failed try", |one| one["status"] == 503).await?;
    rig.kill()?;
    site.answers(None)?;
    rig.start().await?;
    site.got_one("the same again", |one| one["id"] == missed["id"] && one["status"] == 204).await?;
    site.got_one("the ATS", tells("application.delivered", &bo, Some("greenhouse"))).await?;
    site.got_one("the CRM", tells("application.delivered", &bo, Some("hubspot"))).await?;

    // Both secrets sign while the site changes over.
    let rotated = rig.ask(&["webhooks", "rotate-secret", &endpoint])?;
    ensure!(rig.ask(&["webhooks", "test", &endpoint])?["taken"] == true, "the old secret still verifies");
    site.secret_is(rotated["secret"].as_str().context("a new secret")?)?;
    ensure!(rig.ask(&["webhooks", "test", &endpoint])?["taken"] == true, "and so does the new one");

    // Replayed: the same id a second time.
    let page = rig.ask(&["webhooks", "deliveries", "--endpoint", &endpoint, "--limit", "100"])?;
    let messages = page["messages"].as_array().context("messages")?;
    let told = messages.iter().find(|one| one["about"]["application"] == ada.as_str()).context("ada's")?;
    let id = told["id"].as_str().context("an id")?;
    ensure!(told["status"] == "delivered", "{told}");
    rig.ask(&["webhooks", "replay", id])?;
    until("the replay", LONG, async || {
        let count = site.got()?.iter().filter(|one| one["id"] == id && one["status"] == 204).count();
        if count == 2 { Ok(()) } else { bail!("{count} of {id}") }
    })
    .await?;

    // Erased: the site learns it, without a name.
    let erased = rig.cli(&["erase", "--email", "-", "--yes"], "ada@example.org\n")?;
    ensure!(erased.code == 0, "{erased:?}");
    site.got_one("the erasure", tells("application.erased", &ada, None)).await?;
    let got = std::fs::read_to_string(site.folder.join("got"))?;
    ensure!(!got.contains("example.org") && !got.contains("Musterfrau"), "nothing personal: {got}");
    let log = std::fs::read_to_string(rig.log())?;
    ensure!(!log.contains("whsec_") && !log.contains(&site.url), "neither secret nor URL is logged");
    Ok(())
}

#[tokio::test]
async fn the_page_shows_a_keys_own_world_and_a_private_address_is_refused() -> Result<()> {
    let rig = Rig::new().await?;
    let site = Receiver::start(&rig.beside().join("site"))?;
    let (real, secret) = add(&rig, &site.url, &["--events", "application.delivered"])?;
    let (tests, _) = add(&rig, &site.url, &["--test"])?;
    site.secret_is(&secret)?;
    let id = rig.site.apply("ada-1", &people::document("ada@example.org", &rig.job)).await?.id()?;
    site.got_one("the delivery", tells("application.delivered", &id, Some("greenhouse"))).await?;

    let page = async |key: &str, query: &str| {
        let mut client = Client::new(rig.management, Duration::from_secs(10));
        client.json("GET", &format!("/v1/webhooks/deliveries{query}"), Some(key), None).await
    };
    let (status, shown) = page(&rig.site.key, "?limit=100").await?;
    let messages = shown["messages"].as_array().context("messages")?;
    ensure!(status == 200 && !messages.is_empty(), "{shown}");
    ensure!(
        messages.iter().all(|one| one["endpoint"] == real.as_str()),
        "the tests' endpoint was told nothing: {shown}"
    );
    let of_tests = rig.ask(&["keys", "create", "--name", "tests", "--scope", "read", "--test"])?;
    let (status, shown) = page(of_tests["text"].as_str().context("a key")?, "").await?;
    ensure!(status == 200 && shown["messages"] == json!([]), "{shown}");
    ensure!(page("ck_none", "").await?.0 == 401, "no key, no page");
    let public = rig.site.send("GET", "/v1/webhooks/deliveries", &[], Bytes::new()).await?;
    ensure!(public.status == 404, "not on the public listener: {public}");

    let before = rig.ask(&["webhooks", "list"])?;
    for (url, told) in [
        ("https://10.0.0.7/hooks", "private or reserved"),
        ("https://localhost/hooks", "private or reserved"),
        ("http://jobs.example.org/hooks", ""),
        ("https://ada:secret@127.0.0.1/", "user name"),
    ] {
        let ran = rig.cli(&["webhooks", "add", url], "")?;
        ensure!(ran.code == 1 && ran.stderr.contains("the URL is not taken") && ran.stderr.contains(told), "{ran:?}");
    }
    ensure!(
        rig.ask(&["webhooks", "list"])? == before && before.as_array().is_some_and(|all| all.len() == 2),
        "{before}"
    );
    rig.ask(&["webhooks", "remove", &tests])?;
    ensure!(rig.ask(&["webhooks", "list"])?.as_array().is_some_and(|all| all.len() == 1), "one is left");
    Ok(())
}
