//! What shows that a fault had its effect: the gateways' own figures before and after it, and what the engines and the
//! gateways wrote into their logs meanwhile.
//!
//! A figure of a process that is not there, or does not answer, counts as not having grown. Nothing here breaks anything.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::time::sleep;

use super::keeper::Keeper;
use super::world::World;
use crate::client::Client;

const ANSWER_MAX: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(200);

/// One line of a gateway's page of figures.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) labels: String,
    pub(crate) value: f64,
}

/// A gateway's page; nothing when it does not answer.
pub(crate) async fn page(keeper: &Keeper) -> Vec<Figure> {
    let mut client = Client::new(keeper.management_address(), ANSWER_MAX);
    let request = Request::get("/metrics").header("host", "127.0.0.1").body(Full::new(Bytes::new()));
    let Ok(request) = request else { return Vec::new() };
    match client.send(request).await {
        Ok(answer) if answer.status() == 200 => read(&String::from_utf8_lossy(answer.body())),
        Ok(_) | Err(_) => Vec::new(),
    }
}

fn read(text: &str) -> Vec<Figure> {
    let figure = |line: &str| {
        let (what, value) = line.rsplit_once(' ')?;
        let (name, labels) = what.split_once('{').unwrap_or((what, ""));
        let (name, labels) = (name.to_owned(), labels.trim_end_matches('}').to_owned());
        Some(Figure { name, labels, value: value.parse().ok()? })
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(figure).collect()
}

/// A counter, of each gateway, when it was looked at first.
pub(crate) struct Growth<'w> {
    world: &'w World,
    counted: &'static [(&'static str, &'static str)],
    before: Vec<f64>,
}

impl<'w> Growth<'w> {
    /// Of all of these together: the counter's name, and what its labels contain.
    pub(crate) async fn of(world: &'w World, counted: &'static [(&'static str, &'static str)]) -> Self {
        let mut growth = Self { world, counted, before: Vec::new() };
        growth.before = growth.now().await;
        growth
    }

    async fn now(&self) -> Vec<f64> {
        let mut now = Vec::new();
        for keeper in &self.world.keepers {
            let page = page(keeper).await;
            let counts = |figure: &&Figure| {
                self.counted.iter().any(|(name, label)| figure.name == *name && figure.labels.contains(label))
            };
            now.push(page.iter().filter(counts).map(|figure| figure.value).sum());
        }
        now
    }

    /// By how much they have grown since, in all. Whoever was started anew began at nothing.
    pub(crate) async fn so_far(&self) -> u64 {
        let now = self.now().await;
        let grown = now.iter().zip(&self.before).map(|(now, before)| if now < before { *now } else { now - before });
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, and small")]
        let grown = grown.sum::<f64>() as u64;
        grown
    }

    /// Sleeps for `hold`, and longer until it has grown, but for no longer than `most` in all.
    pub(crate) async fn shown_within(&self, hold: Duration, most: Duration) -> u64 {
        let began = Instant::now();
        sleep(hold).await;
        loop {
            let grown = self.so_far().await;
            if grown > 0 || began.elapsed() >= most {
                return grown;
            }
            sleep(LOOK).await;
        }
    }
}

/// A place in a log.
pub(crate) struct Mark {
    log: PathBuf,
    at: u64,
}

impl Mark {
    /// The log's end as it is now.
    pub(crate) fn at_the_end_of(log: &Path) -> Self {
        Self { log: log.to_owned(), at: std::fs::metadata(log).map_or(0, |found| found.len()) }
    }

    /// Lines since that contain one of these.
    pub(crate) fn lines_with(&self, any: &[&str]) -> Result<u64> {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let mut log = std::fs::File::open(&self.log)?;
        log.seek(SeekFrom::Start(self.at))?;
        let mut text = Vec::new();
        log.read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        Ok(text.lines().filter(|line| any.iter().any(|wanted| line.contains(wanted))).count() as u64)
    }
}

/// Whether a process is stopped by a signal.
pub(crate) fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_with_their_labels() {
        let page = read("# HELP a b\na_total 3\nb{state=\"x\",of=\"y\"} 0.5\n");
        let found: Vec<(&str, &str, f64)> =
            page.iter().map(|one| (one.name.as_str(), one.labels.as_str(), one.value)).collect();
        assert_eq!(found, [("a_total", "", 3.0), ("b", "state=\"x\",of=\"y\"", 0.5)]);
    }

    #[test]
    fn only_what_was_written_after_the_mark_counts() -> Result<()> {
        use std::io::Write as _;
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("log");
        std::fs::write(&path, "one 40001\n")?;
        let mark = Mark::at_the_end_of(&path);
        assert_eq!(mark.lines_with(&["40001"])?, 0);
        std::fs::File::options().append(true).open(&path)?.write_all(b"two 40P01\nthree\n")?;
        assert_eq!(mark.lines_with(&["40001", "40P01"])?, 1);
        Ok(())
    }
}
