//! What the program tells of itself: one trace for a submission across processes, metrics of the closed list and no other,
//! and a ledger that adds up; and that a collector which is away, refuses or hangs changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use causeway::telemetry::metrics::{self, Kind, Metric, ShownBy};
use causeway::telemetry::traces::KEYS;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;

use crate::collector::{Collector, Mood, attributes, hex};
use crate::people;
use crate::privacy::{EMAIL, MARK, marked};
use crate::process::{free_port, until};
use crate::rig::Rig;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SITES_SPAN: &str = "b7ad6b7169203331";
const LONG: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(40);

/// A figure of `/metrics`: the sum over its series.
async fn figure(rig: &Rig, series: &str) -> Result<f64> {
    let (_, text) = rig.manage("/metrics").await?;
    let lines = text.lines().filter(|line| line.starts_with(series) && !line.starts_with('#'));
    let values: Vec<f64> = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse().ok()).collect();
    ensure!(!values.is_empty(), "{series} is not shown");
    Ok(values.iter().sum())
}

/// The only span of a name, by its attribute if it has to be told from others.
fn named<'a>(spans: &'a [Span], name: &str, with: Option<(&str, &str)>) -> Result<&'a Span> {
    let mut found = spans.iter().filter(|span| {
        span.name == name && with.is_none_or(|(key, value)| attributes(span).get(key).is_some_and(|text| text == value))
    });
    found.next().with_context(|| format!("no span {name} {with:?} in {:?}", names(spans)))
}

fn names(spans: &[Span]) -> BTreeSet<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

/// Every part of the way has its span, below the one that led to it.
fn hangs_together(spans: &[Span]) -> Result<()> {
    for name in [
        "request",
        "intake",
        "store accept",
        "queue ring",
        "dispatch",
        "dispatch claim",
        "attempt",
        "vendor call",
        "settle",
    ] {
        ensure!(names(spans).contains(name), "{name} is not in {:?}", names(spans));
    }
    let parents: BTreeMap<&str, &str> = [
        ("intake", "request"),
        ("store accept", "intake"),
        ("queue ring", "intake"),
        ("dispatch", "store accept"),
        ("dispatch claim", "dispatch"),
        ("attempt", "dispatch"),
        ("vendor call", "attempt"),
        ("settle", "dispatch"),
    ]
    .into();
    let by_id: BTreeMap<&[u8], &Span> = spans.iter().map(|span| (span.span_id.as_slice(), span)).collect();
    for span in spans {
        let Some(expected) = parents.get(span.name.as_str()) else { continue };
        let parent = by_id.get(span.parent_span_id.as_slice()).map_or("", |parent| parent.name.as_str());
        // A step may ask the vendor whether it is needed, outside an attempt.
        let fits = parent == *expected || (span.name == "vendor call" && matches!(parent, "lookup" | "read back"));
        ensure!(fits, "{} stands below {parent:?}", span.name);
    }
    Ok(())
}

#[tokio::test]
async fn one_submission_is_one_trace_through_processes_to_the_vendors() -> Result<()> {
    let collector = Collector::start(Mood::Takes).await?;
    let mut rig = Rig::with(&[("CAUSEWAY_TELEMETRY_OTLP", &collector.url)]).await?;
    rig.stop().await?;
    // One process takes it in and knows nobody else.
    rig.roles("ingress");
    rig.start().await?;
    let parent = format!("00-{TRACE}-{SITES_SPAN}-01");
    let headers = [("content-type", "application/json"), ("traceparent", &parent), ("baggage", "who=Zyxkanari")];
    let answer = rig.site.post(&headers, marked(&rig.job).to_string()).await?;
    ensure!(answer.headers["x-request-id"] == TRACE, "the answer has the site's trace: {answer}");
    let id = answer.id()?;
    let (status, _) = rig.stop().await?;
    ensure!(status.success(), "{status}");
    ensure!(!names(&collector.spans_of(TRACE)).contains("dispatch"), "nobody delivered it");
    // Another process delivers it, and knows of it only what is stored.
    rig.roles("dispatch,events,schedule,console");
    rig.start().await?;
    let accounts = until("both targets to be delivered", LONG, async || {
        let why = rig.why(EMAIL)?.answer()?;
        let deliveries = why["submissions"][0]["deliveries"].as_array().context("deliveries")?.clone();
        let done = deliveries.iter().filter(|one| one["state"] == "delivered").count();
        if done == 2 { Ok(deliveries) } else { bail!("{why}") }
    })
    .await?;
    let (status, took) = rig.stop().await?;
    ensure!(status.success() && took < STOP_LIMIT, "{status} after {took:?}");

    let spans = collector.spans_of(TRACE);
    hangs_together(&spans)?;
    let request = named(&spans, "request", None)?;
    ensure!(hex(&request.parent_span_id) == SITES_SPAN, "the request goes on what the site began");
    ensure!(attributes(request)["http.response.status_code"] == "202", "{request:?}");
    ensure!(attributes(named(&spans, "store accept", None)?)["causeway.submission"] == id);
    for account in accounts {
        let delivery = account["id"].as_str().context("an id")?;
        let dispatch = named(&spans, "dispatch", Some(("causeway.delivery", delivery)))?;
        ensure!(attributes(dispatch).contains_key("causeway.connector"), "{dispatch:?}");
    }
    // What nobody may see is in none of them, nor in any other span.
    let every = collector.spans();
    ensure!(every.len() > spans.len(), "requests of others were seen too");
    for span in &every {
        let foreign: Vec<String> = attributes(span).into_keys().filter(|key| !KEYS.contains(&key.as_str())).collect();
        ensure!(foreign.is_empty() && span.events.is_empty() && span.links.is_empty(), "{foreign:?} in {span:?}");
    }
    for marker in [MARK, EMAIL, "+49 30 987 61234", "98761", &rig.site.key] {
        ensure!(!collector.holds(marker), "{marker:?} reached the collector");
    }
    Ok(())
}

#[tokio::test]
async fn a_collector_that_is_away_or_hangs_changes_nothing() -> Result<()> {
    let (refuses, hangs) = (Collector::start(Mood::Refuses).await?, Collector::start(Mood::Hangs).await?);
    let nobody = format!("http://127.0.0.1:{}", free_port()?);
    for url in [&refuses.url, &hangs.url, &nobody] {
        let mut rig = Rig::with(&[("CAUSEWAY_TELEMETRY_OTLP", url)]).await?;
        let id = rig.site.apply("traced", &people::document("traced@example.org", &rig.job)).await?.id()?;
        rig.site.all_are(&id, &["delivered"]).await?;
        until("spans to be given up", LONG, async || {
            match figure(&rig, "causeway_trace_spans_total{outcome=\"failed\"}").await? {
                0.0 => bail!("none yet"),
                _some => Ok(()),
            }
        })
        .await?;
        ensure!(rig.manage("/readyz").await?.0 == 200, "a collector is nothing that work needs");
        let (status, took) = rig.stop().await?;
        ensure!(status.success() && took < STOP_LIMIT, "{status} after {took:?}");
    }
    Ok(())
}

/// A sample's name without what a histogram adds, and its labels.
fn sample(line: &str) -> Option<(&'static Metric, BTreeMap<String, String>)> {
    let (series, _) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let metric = metrics::ALL.iter().find(|metric| match metric.kind {
        Kind::Counter | Kind::Gauge => metric.name == name,
        Kind::Histogram => {
            name.strip_prefix(metric.name).is_some_and(|more| ["_bucket", "_sum", "_count"].contains(&more))
        }
    })?;
    let pairs = labels.trim_end_matches('}').split(',').filter(|pair| !pair.is_empty());
    let pairs = pairs.filter_map(|pair| {
        let (label, value) = pair.split_once('=')?;
        Some((label.to_owned(), value.trim_matches('"').to_owned()))
    });
    Some((metric, pairs.collect()))
}

#[tokio::test]
async fn the_page_shows_what_is_listed_and_nothing_else() -> Result<()> {
    let rig = Rig::new().await?;
    let id = rig.site.apply("counted", &people::document("counted@example.org", &rig.job)).await?.id()?;
    let again = rig.site.apply("counted", &people::document("counted@example.org", &rig.job)).await?;
    ensure!(again.status == 202, "{again}");
    let refused = rig.site.apply("refused", &json!({ "job": rig.job })).await?;
    ensure!(refused.status == 422, "{refused}");
    rig.site.all_are(&id, &["delivered"]).await?;
    let text = until("everything that is listed to be shown", LONG, async || {
        let (_, text) = rig.manage("/metrics").await?;
        let shown: BTreeSet<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| sample(line).map(|(metric, _)| metric.name).with_context(|| format!("not listed: {line}")))
            .collect::<Result<_>>()?;
        // Without a broker, a Redis and a collector there is nothing to say of them.
        let here = |metric: &&Metric| match metric.shown_by {
            ShownBy::Every | ShownBy::Ingress | ShownBy::Dispatch | ShownBy::Events | ShownBy::Schedule => true,
            ShownBy::Queue | ShownBy::Redis | ShownBy::Traces => false,
        };
        for metric in metrics::ALL.iter().filter(|metric| metric.always) {
            let expected = here(&metric);
            ensure!(shown.contains(metric.name) == expected, "{} is shown: {}", metric.name, !expected);
        }
        ensure!(text.contains("causeway_deliveries{state=\"delivered\"} 2\n"), "the ledger is older");
        Ok(text)
    })
    .await?;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (metric, labels) = sample(line).with_context(|| format!("not listed: {line}"))?;
        let mut expected: BTreeSet<&str> = metric.labels.iter().map(|(label, _)| *label).collect();
        if line.contains("_bucket{") {
            expected.insert("le");
        }
        ensure!(labels.keys().map(String::as_str).collect::<BTreeSet<_>>() == expected, "{line}");
        for (label, values) in metric.labels {
            ensure!(values.has(&labels[*label]), "{line}: {label}");
        }
    }
    for (line, why) in [
        ("causeway_ledger_targets_total 2\n", "one application to two systems"),
        ("causeway_ledger_difference 0\n", "nothing is lost"),
        ("causeway_submissions_total{outcome=\"accepted\"} 1\n", "the first"),
        ("causeway_submissions_total{outcome=\"repeated\"} 1\n", "the second"),
        ("causeway_submissions_total{outcome=\"application_invalid\"} 1\n", "the third"),
        ("causeway_settlements_total{follows=\"delivered\"} 2\n", "to both"),
        ("causeway_ready 1\n", "it is"),
    ] {
        ensure!(text.contains(line), "{why}: {line} is not in\n{text}");
    }
    Ok(())
}
