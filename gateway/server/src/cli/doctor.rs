//! `causeway doctor`: looks at everything a start-up rests on, and changes nothing.
//!
//! While a gateway runs, it is asked about its store, and it asks the vendors. Without one the store is looked at from
//! here, read-only; the vendors are not asked then. Each finding names the thing and, unless it is well, what to do.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use causeway_core::clock::Clock;
use causeway_core::pii::Secret;

use super::progress::while_waiting;
use super::{End, out, table};
use crate::admin::{CheckVerdict, Request, Response, is_refused, socket};
use crate::clock::{OsEntropy, SystemClock};
use crate::config::{Config, DEFAULT_FILE, Mistakes, StoreAt};
use crate::queue::rabbitmq::Standing;
use crate::setup;
use crate::store::finding::{Finding, Health};
use crate::store::keys::RootKey;
use crate::store::{postgres, sqlite};
use crate::support::redact::for_terminal;

/// Below so much free space no application is safe for long.
const DISK_FREE_KIB_MIN: u64 = 1024 * 1024;

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
            findings.extend(data_dir(&config.fixed.data.dir));
            findings.push(root_key(&config.fixed.data.root_key()));
            findings.push(free_disk(&config.fixed.data.dir).await);
            findings.extend(crate::shared::examine(&config.fixed.redis).await);
            let bucket = crate::bucket::examine(&config.fixed.blobs, &OsEntropy);
            findings.extend(while_waiting("putting an object into the bucket", bucket).await);
            findings.extend(while_waiting("looking at the store and the accounts", store_and_accounts(&config)).await);
            findings.extend(while_waiting("looking at the queue", queue(&config)).await);
        }
    }
    let bad = findings.iter().any(|finding| finding.state == Health::Bad);
    if json {
        out::json(&serde_json::json!({ "well": !bad, "findings": findings }))?;
    } else {
        out::text(&for_terminal(&table::findings(&findings)))?;
    }
    Ok(if bad { End::No } else { End::Answered })
}

fn configuration(file: Option<&Path>) -> Finding {
    let keys = DEFAULT_FILE.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())).count();
    let from = file.map_or_else(|| "the defaults".to_owned(), |path| path.display().to_string());
    Finding::new("configuration", Health::Well, format!("{from}; {keys} keys known"))
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

/// The broker, where there is one.
async fn queue(config: &Config) -> Vec<Finding> {
    let health = |standing| match standing {
        Standing::Well => Health::Well,
        Standing::Warning => Health::Warning,
        Standing::Bad => Health::Bad,
    };
    let notices = crate::gateway::examine_queue(config).await;
    notices.into_iter().map(|notice| Finding::new(notice.what, health(notice.standing), notice.text)).collect()
}

/// The directory itself, or the nearest one above it that exists.
fn nearest(dir: &Path) -> PathBuf {
    let parents = dir.ancestors().find(|path| path.exists() && !path.as_os_str().is_empty());
    parents.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Through the gateway that runs, else from here.
async fn store_and_accounts(config: &Config) -> Vec<Finding> {
    let dir = &config.fixed.data.dir;
    match ask(dir, Request::Ping).await {
        Ok(Some(_)) => {
            let mut findings = vec![Finding::new("gateway", Health::Well, "running; its store answers")];
            findings.extend(running(dir).await);
            findings
        }
        Ok(None) => {
            let text = format!(
                "none runs over {}; the store was looked at from here, and no vendor was asked. One with another folder \
                 is asked with its own configuration",
                dir.display()
            );
            let mut findings = vec![Finding::new("gateway", Health::Warning, text)];
            let (dir, key, at) = (dir.clone(), config.fixed.data.root_key(), config.fixed.store.clone());
            match tokio::task::spawn_blocking(move || stopped(&dir, &key, &at)).await {
                Ok(found) => findings.extend(found),
                Err(_panicked) => findings.push(Finding::new("store", Health::Bad, "looking at it broke off")),
            }
            findings
        }
        Err(text) => vec![Finding::new("gateway", Health::Bad, text)],
    }
}

/// The store that nobody has open. Writes nothing.
fn stopped(dir: &Path, key: &Path, at: &StoreAt) -> Vec<Finding> {
    let root_key = match RootKey::load(key) {
        Ok(root_key) => root_key,
        Err(error) => return vec![Finding::new("store", Health::Bad, format!("not looked at: {error}"))],
    };
    let seen = if at.dsn.is_empty() {
        sqlite::look(dir, &root_key)
    } else {
        postgres::look(&Secret::new(at.dsn.reveal()), at.pooler, &root_key)
    };
    let (mut findings, now) = (seen.findings, SystemClock.now());
    findings.extend(seen.accounts.iter().flat_map(|(record, secrets)| setup::examined(record, secrets.as_ref(), now)));
    findings
}

/// The store as its gateway sees it, and what the vendors say of the credentials.
async fn running(dir: &Path) -> Vec<Finding> {
    let other = "the gateway gave another answer than asked for";
    let mut findings = match ask(dir, Request::Examine).await {
        Ok(Some(Response::Examined(findings))) => findings,
        Ok(_) => vec![Finding::new("store", Health::Bad, other)],
        Err(text) => vec![Finding::new("store", Health::Bad, text)],
    };
    match ask(dir, Request::Accounts { tenant: None }).await {
        Ok(Some(Response::Accounts(accounts))) => {
            for record in accounts {
                findings.push(credentials(dir, &record.account.name, record.account.tenant.to_string()).await);
            }
        }
        Ok(_) => findings.push(Finding::new("accounts", Health::Bad, other)),
        Err(text) => findings.push(Finding::new("accounts", Health::Bad, text)),
    }
    findings
}

async fn credentials(dir: &Path, account: &str, tenant: String) -> Finding {
    let what = format!("credentials of {account}");
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

    #[tokio::test]
    async fn free_disk_is_found_out_even_before_the_folder_is_there() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_disk(&folder.path().join("a/b")).await.text.contains("MiB"));
    }
}
