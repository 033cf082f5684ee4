//! A gateway that rings through RabbitMQ, set up as an operator does it, and the broker killed under it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use causeway_servers::RabbitMq;
use serde_json::Value;

use crate::people;
use crate::privacy::{EMAIL, holding, holding_word, marked};
use crate::process::{Ran, run, until};
use crate::rig::Rig;

const LONG: Duration = Duration::from_secs(60);

/// What `doctor` finds of the queue, and how it stands.
fn doctor(ask: &impl Fn(&[&str]) -> Result<Ran>) -> Result<Vec<(String, String)>> {
    let found = ask(&["doctor", "--json"])?.json()?;
    let all = found["findings"].as_array().context("findings")?;
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let of_the_queue = |what: &str| what.starts_with("queue") || what.starts_with("exchange");
    let found: Vec<_> =
        all.iter().map(|one| (text(one, "what"), format!("{}: {}", one["state"], one["text"]))).collect();
    Ok(found.into_iter().filter(|(what, _)| of_the_queue(what)).collect())
}

fn bad(found: &[(String, String)]) -> Vec<&(String, String)> {
    found.iter().filter(|(_, stands)| stands.starts_with("\"bad\"")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applications_arrive_through_rabbitmq_which_learns_of_nobody() -> Result<()> {
    let broker = tokio::task::block_in_place(RabbitMq::start)?;
    let url = broker.url();
    let mut rig = Rig::set_up(&[("CAUSEWAY_QUEUE_URL", &url), ("CAUSEWAY_LOG_FILTER", "debug")]).await?;
    let data = rig.data();
    let data = data.to_str().context("a path of ours")?;
    let ask = |arguments: &[&str]| run(&[("CAUSEWAY_DATA_DIR", data), ("CAUSEWAY_QUEUE_URL", &url)], arguments, "");

    let before = doctor(&ask)?;
    ensure!(bad(&before).iter().any(|(_, text)| text.contains("causeway migrate")), "{before:?}");
    let migrated = ask(&["migrate", "--json"])?.answer()?;
    ensure!(migrated["queues"].as_u64() >= Some(2), "{migrated}");
    let after = doctor(&ask)?;
    ensure!(after.len() >= 7 && bad(&after).is_empty(), "{after:?}");
    refused_with_a_remedy(data, &url)?;

    rig.start().await?;
    rig.form_is_there(&rig.job).await?;
    let delivered = async |key: &str, document: &Value| {
        let id = rig.site.apply(key, document).await?.id()?;
        rig.site.all_are(&id, &["delivered"]).await
    };
    delivered("first", &marked(&rig.job)).await?;
    ensure!(rig.ats.applications_of(EMAIL).await? == 1, "it is the marked one that arrived");
    tokio::task::block_in_place(|| broker.kill())?;
    delivered("meanwhile", &people::document("meanwhile@example.org", &rig.job)).await?;
    tokio::task::block_in_place(|| broker.restart())?;
    delivered("after", &people::document("after@example.org", &rig.job)).await?;
    until("it listens again, and every ring was taken", LONG, async || {
        let ctl = |words: &[&str]| tokio::task::block_in_place(|| broker.ctl(words));
        let queues = ctl(&["list_queues", "-p", "causeway", "name", "messages", "consumers"])?;
        match queues
            .lines()
            .find(|line| line.starts_with("causeway.greenhouse.v1"))
            .map(|line| line.split('\t').collect::<Vec<_>>())
        {
            Some(line) if line.as_slice() == ["causeway.greenhouse.v1", "0", "1"] => Ok(()),
            line => bail!("{line:?}"),
        }
    })
    .await?;
    ensure!(rig.stop().await?.0.success(), "a clean stop");

    let (looked_at, found) = holding(broker.folder())?;
    ensure!(looked_at > 0 && found.is_empty(), "{looked_at} files; personal data in {found:?}");
    let (_, rings) = holding_word(broker.folder(), "acc_")?;
    ensure!(!rings.is_empty(), "rings went through it");
    Ok(())
}

/// What a person gets wrong is told with what to do, and the gateway does not start.
fn refused_with_a_remedy(data: &str, url: &str) -> Result<()> {
    let password = url.split(':').nth(2).and_then(|rest| rest.split('@').next()).context("a password")?;
    for (url, remedy) in [
        (url.replace(password, "hunter2"), "rabbitmqctl authenticate_user"),
        (format!("{url}-nowhere"), "rabbitmqctl add_vhost"),
        ("mq.example.org".to_owned(), "queue.url does not read"),
    ] {
        let ran = run(&[("CAUSEWAY_DATA_DIR", data), ("CAUSEWAY_QUEUE_URL", &url)], &["serve"], "")?;
        ensure!(ran.code == 1 && ran.stderr.contains(remedy) && !ran.stderr.contains("hunter2"), "{remedy}: {ran:?}");
    }
    Ok(())
}
