//! `causeway doctor`: looks at everything a start-up rests on, and changes nothing.
//!
//! It never opens the store itself: opening may migrate it. What the store and the vendors say is asked of the running
//! gateway. Each finding names the thing and, unless it is well, what to do.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::progress::while_waiting;
use super::{End, out};
use crate::admin::{CheckVerdict, Request, Response, is_refused, socket};
use crate::config::{Config, DEFAULT_FILE, Mistakes};
use crate::telemetry;

/// Below so much free space no application is safe for long.
const DISK_FREE_KIB_MIN: u64 = 1024 * 1024;

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    state: Health,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Well,
    Warning,
    Bad,
}

impl Finding {
    fn new(what: impl Into<String>, state: Health, text: impl Into<String>) -> Self {
        Self { what: what.into(), state, text: text.into() }
    }
}

pub(super) async fn run(file: Option<&Path>, data: Option<PathBuf>, json: bool) -> anyhow::Result<End> {
    let mut findings = Vec::new();
    match Config::load(file) {
        Err(Mistakes(mistakes)) => {
            findings
                .extend(mistakes.iter().map(|mistake| Finding::new("configuration", Health::Bad, mistake.to_string())));
            findings.push(Finding::new("the rest", Health::Warning, "not looked at: it depends on the configuration"));
        }
        Ok(mut config) => {
            if let Some(data) = data {
                config.fixed.data.dir = data;
            }
            findings.push(configuration(file));
            findings.push(log_filter(&config));
            findings.extend(data_dir(&config.fixed.data.dir));
            findings.push(root_key(&config.fixed.data.root_key()));
            findings.push(free_disk(&config.fixed.data.dir).await);
            findings.push(sqlite());
            findings.extend(while_waiting("asking the gateway and the vendors", running(&config)).await);
        }
    }
    let bad = findings.iter().any(|finding| finding.state == Health::Bad);
    if json {
        out::json(&serde_json::json!({ "well": !bad, "findings": findings }))?;
    } else {
        for finding in &findings {
            let mark = match finding.state {
                Health::Well => "ok  ",
                Health::Warning => "warn",
                Health::Bad => "BAD ",
            };
            out::text(&format!("{mark}  {}: {}", finding.what, finding.text))?;
        }
    }
    Ok(if bad { End::No } else { End::Answered })
}

fn configuration(file: Option<&Path>) -> Finding {
    let keys = DEFAULT_FILE.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())).count();
    let from = file.map_or_else(|| "the defaults".to_owned(), |path| path.display().to_string());
    Finding::new("configuration", Health::Well, format!("{from}; {keys} keys known"))
}

fn log_filter(config: &Config) -> Finding {
    match telemetry::check(&config.fixed.log) {
        Ok(()) => Finding::new("log.filter", Health::Well, config.fixed.log.filter.clone()),
        Err(error) => Finding::new("log.filter", Health::Bad, error.to_string()),
    }
}

fn data_dir(dir: &Path) -> Vec<Finding> {
    let shown = dir.display();
    let Ok(found) = std::fs::metadata(dir) else {
        let text = format!("{shown} is not there yet: the first `causeway keys init-root` makes it");
        return vec![Finding::new("data.dir", Health::Warning, text)];
    };
    if !found.is_dir() {
        return vec![Finding::new("data.dir", Health::Bad, format!("{shown} is not a directory: name another"))];
    }
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return vec![Finding::new("data.dir", Health::Well, format!("{shown}, mode {mode:o}"))];
    }
    let text = format!("{shown} is open to other users (mode {mode:o}): run `chmod 700 {shown}`");
    vec![Finding::new("data.dir", Health::Bad, text)]
}

fn root_key(path: &Path) -> Finding {
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(_) => Finding::new(
            "data.root_key_file",
            Health::Bad,
            format!("{shown} is not there: run `causeway keys init-root`, or bring the key back from your copy"),
        ),
        Ok(found) if !found.is_file() || found.size() == 0 => Finding::new(
            "data.root_key_file",
            Health::Bad,
            format!("{shown} holds no key: bring it back from your copy"),
        ),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            let text = format!("{shown} can be read by other users: run `chmod 600 {shown}`");
            Finding::new("data.root_key_file", Health::Bad, text)
        }
        Ok(_) => Finding::new("data.root_key_file", Health::Well, format!("{shown}; keep a copy elsewhere")),
    }
}

/// Asks `df`, which reads what the standard library does not show.
async fn free_disk(dir: &Path) -> Finding {
    let asked = tokio::process::Command::new("df").arg("-Pk").arg("--").arg(nearest(dir)).output().await;
    let free_kib = asked.ok().and_then(|output| {
        let text = String::from_utf8(output.stdout).ok()?;
        text.lines().nth(1)?.split_whitespace().nth(3)?.parse::<u64>().ok()
    });
    match free_kib {
        None => Finding::new("free disk", Health::Warning, "could not be found out"),
        Some(kib) if kib < DISK_FREE_KIB_MIN => Finding::new(
            "free disk",
            Health::Bad,
            format!("{} MiB left: make room before submissions are refused", kib / 1024),
        ),
        Some(kib) => Finding::new("free disk", Health::Well, format!("{} MiB", kib / 1024)),
    }
}

/// The directory itself, or the nearest one above it that exists.
fn nearest(dir: &Path) -> PathBuf {
    let parents = dir.ancestors().find(|path| path.exists() && !path.as_os_str().is_empty());
    parents.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Versions before 3.51.3 can corrupt a database in the mode used here.
fn sqlite() -> Finding {
    let (number, text) = (rusqlite::version_number(), rusqlite::version());
    if number >= 3_051_003 {
        Finding::new("SQLite", Health::Well, text)
    } else {
        Finding::new("SQLite", Health::Bad, format!("{text} can corrupt the database: build with 3.51.3 or later"))
    }
}

/// What only a running gateway knows.
async fn running(config: &Config) -> Vec<Finding> {
    let dir = &config.fixed.data.dir;
    match ask(dir, Request::Ping).await {
        Ok(Some(_)) => {}
        Ok(None) => {
            let text = "not running; start it to have its store and its accounts checked";
            return vec![Finding::new("gateway", Health::Warning, text)];
        }
        Err(text) => return vec![Finding::new("gateway", Health::Bad, text)],
    }
    let mut findings = vec![Finding::new("gateway", Health::Well, "running; its store answers")];
    match ask(dir, Request::Accounts { tenant: None }).await {
        Ok(Some(Response::Accounts(accounts))) => {
            for record in accounts {
                findings.push(credentials(dir, &record.account.name, record.account.tenant.to_string()).await);
                if let Some(paused) = record.paused {
                    let text = format!("paused: {}; mend it, then run `causeway accounts resume`", paused.reason);
                    findings.push(Finding::new(format!("account {}", record.account.name), Health::Warning, text));
                }
            }
        }
        Ok(_) => findings.push(Finding::new("accounts", Health::Bad, "the gateway gave another answer than asked for")),
        Err(text) => findings.push(Finding::new("accounts", Health::Bad, text)),
    }
    findings
}

async fn credentials(dir: &Path, account: &str, tenant: String) -> Finding {
    let what = format!("account {account}");
    match ask(dir, Request::AccountCheck { tenant: Some(tenant), account: account.to_owned() }).await {
        Ok(Some(Response::Checked(checked))) => {
            let refused: Vec<String> = checked
                .iter()
                .filter(|one| one.verdict == CheckVerdict::No)
                .map(|one| format!("{}: {}", one.name, one.text))
                .collect();
            if refused.is_empty() {
                Finding::new(what, Health::Well, format!("{} permissions looked at", checked.len()))
            } else {
                let health = if is_refused(&checked) { Health::Bad } else { Health::Warning };
                Finding::new(what, health, refused.join("; "))
            }
        }
        Ok(_) => Finding::new(what, Health::Bad, "the gateway gave another answer than asked for"),
        Err(text) => Finding::new(what, Health::Bad, text),
    }
}

async fn ask(dir: &Path, request: Request) -> Result<Option<Response>, String> {
    match socket::connect(dir).await {
        Ok(Some(stream)) => socket::ask(stream, &request).await.map(Some).map_err(|fault| fault.text),
        Ok(None) => Ok(None),
        Err(error) => Err(format!("the control socket cannot be used: {}", error.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn keys_and_folders_open_to_others_are_bad() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("root.key");
        assert_eq!(root_key(&key).state, Health::Bad, "absent");
        std::fs::write(&key, "").unwrap();
        with_mode(&key, 0o600);
        assert_eq!(root_key(&key).state, Health::Bad, "empty");
        std::fs::write(&key, "key").unwrap();
        assert_eq!(root_key(&key).state, Health::Well);
        with_mode(&key, 0o640);
        let finding = root_key(&key);
        assert!(finding.state == Health::Bad && finding.text.contains("chmod 600"), "{}", finding.text);
        with_mode(folder.path(), 0o700);
        assert_eq!(data_dir(folder.path())[0].state, Health::Well);
        with_mode(folder.path(), 0o755);
        let finding = &data_dir(folder.path())[0];
        assert!(finding.state == Health::Bad && finding.text.contains("chmod 700"), "{}", finding.text);
        assert_eq!(data_dir(&key)[0].state, Health::Bad);
        assert_eq!(data_dir(&folder.path().join("none"))[0].state, Health::Warning);
    }

    #[test]
    fn this_build_s_sqlite_is_safe() {
        assert_eq!(sqlite().state, Health::Well);
    }

    #[tokio::test]
    async fn free_disk_is_found_out_even_before_the_folder_is_there() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_disk(&folder.path().join("a/b")).await.text.contains("MiB"));
        assert!(running(&Config::default()).await[0].text.contains("not running"));
    }
}
