//! Two processes that share a PostgreSQL, a RabbitMQ and the folder of files, and nothing else: one takes applications, the other delivers them.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use causeway_servers::{Postgres, RabbitMq};
use lapin::options::{BasicGetOptions, BasicNackOptions};
use lapin::{Connection, ConnectionProperties};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;

use crate::client::Client;
use crate::collector::{Collector, Mood, hex};
use crate::privacy::{EMAIL, MARK, holding, marked};
use crate::process::{PROGRAM, free_port, run, signal, until};
use crate::rig::Rig;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PASSWORD: &str = "of-the-gateway";
const LONG: Duration = Duration::from_secs(60);

/// Whoever delivers: a process with a data directory of its own, but for the files.
struct Delivers(Child);

impl Drop for Delivers {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Delivers {
    async fn start(rig: &Rig, settings: &[(&str, &str)]) -> Result<Self> {
        let folder = rig.beside().join("delivers");
        std::fs::create_dir_all(&folder)?;
        std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        // Files are in a folder of both.
        std::fs::create_dir_all(rig.data().join("blobs"))?;
        if !folder.join("blobs").exists() {
            std::os::unix::fs::symlink(rig.data().join("blobs"), folder.join("blobs"))?;
        }
        let log = std::fs::File::options().create(true).append(true).open(rig.beside().join("delivers.log"))?;
        let port = free_port()?;
        let child = Command::new(PROGRAM)
            .args(["serve", "--role", "dispatch,events,schedule"])
            .envs(settings.iter().copied())
            .env("CAUSEWAY_DATA_DIR", &folder)
            .env("CAUSEWAY_DATA_ROOT_KEY_FILE", rig.data().join("root.key"))
            .env("CAUSEWAY_LISTEN_MANAGEMENT", format!("127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut delivers = Self(child);
        let management = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        until("it to be ready", LONG, async || {
            if let Some(status) = delivers.0.try_wait()? {
                return Ok(Err(status));
            }
            let mut client = Client::new(management, Duration::from_secs(1));
            let (status, _) = client.json("GET", "/readyz", None, None).await?;
            if status == 200 { Ok(Ok(())) } else { bail!("{status}") }
        })
        .await?
        .map_err(|status| {
            let log = std::fs::read_to_string(rig.beside().join("delivers.log")).unwrap_or_default();
            anyhow::anyhow!("it ended with {status}: {log}")
        })?;
        Ok(delivers)
    }

    /// SIGTERM, and its end: what it had to tell the collector is told then.
    async fn stop(mut self) -> Result<()> {
        signal(self.0.id(), "TERM")?;
        let status = until("it to stop", LONG, async || self.0.try_wait()?.context("it still runs")).await?;
        ensure!(status.success(), "{status}");
        Ok(())
    }
}

/// The only message of a queue, as bytes and with whatever stands around them; it goes back.
async fn read_raw(url: &str, queue: &str) -> Result<(Vec<u8>, String)> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let got = until("the ring to be there", LONG, async || {
        channel.basic_get(queue.into(), BasicGetOptions::default()).await?.context("nothing yet")
    })
    .await?;
    let another = channel.basic_get(queue.into(), BasicGetOptions::default()).await?;
    ensure!(another.is_none(), "an account rings once");
    let read = (got.delivery.data.clone(), format!("{:?}", got.delivery.properties));
    got.delivery.acker.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await?;
    connection.close(200, "read".into()).await?;
    Ok(read)
}

fn count(spans: &[Span], name: &str) -> usize {
    spans.iter().filter(|span| span.name == name).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_goes_from_the_request_through_the_queue_to_the_vendor_in_another_process() -> Result<()> {
    let (database, broker) = tokio::task::block_in_place(|| anyhow::Ok((Postgres::start()?, RabbitMq::start()?)))?;
    let owner = tokio::task::block_in_place(|| {
        database.psql("postgres", &format!("CREATE ROLE gateway LOGIN PASSWORD '{PASSWORD}'"))?;
        database.database()
    })?;
    let (_, place) = owner.rsplit_once('@').context("a DSN")?;
    let dsn = format!("postgres://gateway:{PASSWORD}@{place}");
    let (collector, url) = (Collector::start(Mood::Takes).await?, broker.url());
    let settings = [
        ("CAUSEWAY_STORE_DSN", dsn.as_str()),
        ("CAUSEWAY_STORE_DIRECT_DSN", owner.as_str()),
        ("CAUSEWAY_QUEUE_URL", url.as_str()),
        ("CAUSEWAY_TELEMETRY_OTLP", collector.url.as_str()),
    ];
    let mut rig = Rig::set_up(&settings).await?;
    let data = rig.data().display().to_string();
    let migrates: Vec<(&str, &str)> = settings.into_iter().chain([("CAUSEWAY_DATA_DIR", data.as_str())]).collect();
    run(&migrates, &["migrate", "--json"], "")?.answer()?;
    rig.roles("ingress,console");
    rig.start().await?;
    // The job's form is fetched by the one that does such work.
    let delivers = Delivers::start(&rig, &settings).await?;
    rig.form_is_there(&rig.job).await?;
    delivers.stop().await?;

    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [("content-type", "application/json"), ("traceparent", &parent)];
    let answer = rig.site.post(&headers, marked(&rig.job).to_string()).await?;
    let id = answer.id()?;
    let (body, around) = read_raw(&url, "causeway.greenhouse.v1").await?;
    let message: Value = serde_json::from_slice(&body)?;
    let members: BTreeSet<&str> = message.as_object().context("an object")?.keys().map(String::as_str).collect();
    ensure!(members == BTreeSet::from(["account", "connector", "rung_at", "traceparent", "v"]), "{message}");
    let within = message["traceparent"].as_str().context("a trace")?;
    let (_, ring) = within.split_once(TRACE).context("of the request's trace")?;
    let ring = ring.trim_matches('-').split('-').next().context("the span that rang")?.to_owned();
    let raw = format!("{}{around}", String::from_utf8(body)?);
    for marker in [MARK, EMAIL, "Zyxkanari", "98761", &id, &rig.site.key] {
        ensure!(!raw.contains(marker), "{marker:?} is in a message: {raw}");
    }

    ensure!(count(&collector.spans_of(TRACE), "vendor call") == 0, "who took it calls nobody");
    let delivers = Delivers::start(&rig, &settings).await?;
    rig.site.all_are(&id, &["delivered"]).await?;
    delivers.stop().await?;
    let before = collector.spans_of(TRACE);
    ensure!(count(&before, "vendor call") >= 2, "the other process called both vendors: {before:?}");
    let rung = before.iter().find(|span| span.name == "queue rung" && hex(&span.parent_span_id) == ring);
    ensure!(rung.is_some(), "no ring came below the span {ring} that the message names: {before:?}");
    ensure!(rig.stop().await?.0.success(), "a clean stop");
    let spans = collector.spans_of(TRACE);
    let rang = spans.iter().find(|span| hex(&span.span_id) == ring).context("the span that the message names")?;
    ensure!(rang.name == "queue ring" && count(&spans, "request") == 1, "{spans:?}");

    let (looked_at, found) = holding(broker.folder())?;
    ensure!(looked_at > 0 && found.is_empty(), "{looked_at} files; personal data in {found:?}");
    Ok(())
}
