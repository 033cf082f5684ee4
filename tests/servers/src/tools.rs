//! What every server here needs: where a program is, a free port, a password, and waiting for a condition.
//!
//! Invariant: every wait has a condition and a bound; none is a guess at how long something takes.

use crate::keeper;
use anyhow::{Context, Result, anyhow, bail};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a server may take for anything; many run at once on few cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn is_root() -> bool {
    keeper::effective_user() == 0
}

/// A user's name, id and group, from the machine's list.
pub(crate) fn user(name: &str) -> Result<(String, u32, u32)> {
    let list = std::fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
    let line = list.lines().find(|line| line.split(':').next() == Some(name));
    let line = line.ok_or_else(|| anyhow!("there is no user {name} here to run the server as"))?;
    let mut ids = line.split(':').skip(2).map(|id| id.parse::<u32>());
    match (ids.next(), ids.next()) {
        (Some(Ok(user)), Some(Ok(group))) => Ok((name.to_owned(), user, group)),
        _ => bail!("/etc/passwd: {name} has no ids"),
    }
}

/// A program of a Debian package: on the path, where root's programs are, or where the package keeps it. Several versions
/// of PostgreSQL can stand side by side; the newest is taken.
pub(crate) fn program(name: &str, package: &str, folders: &str) -> Result<PathBuf> {
    let mut places: Vec<PathBuf> = Vec::new();
    if let Some((before, after)) = folders.split_once('*') {
        let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(before)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .map(|version: u32| (version, PathBuf::from(format!("{before}{version}{after}"))))
            .collect();
        versions.sort_unstable();
        places.extend(versions.into_iter().rev().map(|(_, place)| place));
    } else if !folders.is_empty() {
        places.push(PathBuf::from(folders));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    places.extend(std::env::split_paths(&path));
    places.extend(["/usr/sbin", "/usr/bin"].map(PathBuf::from));
    places.iter().map(|place| place.join(name)).find(|file| file.is_file()).ok_or_else(|| {
        anyhow!(
            "{name} is not installed here: `apt-get install {package}`, or `tests/run tools` as root for all of them"
        )
    })
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

pub(crate) fn password() -> String {
    format!("{:016x}{:016x}", random(), random())
}

/// A port that nothing listens on. Below those that the kernel gives to outgoing connections, so that none of these takes
/// it while its server is down.
pub fn free_port() -> Result<u16> {
    for _ in 0..1_000 {
        let port = 10_240 + u16::try_from(random() % 22_000).unwrap_or(0);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between 10240 and 32239")
}

/// Asks until the answer is there.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if start.elapsed() > PATIENCE {
            bail!("{what}: not within {} s", PATIENCE.as_secs());
        }
        // Between two looks, not instead of one.
        std::thread::park_timeout(Duration::from_millis(25));
    }
}

/// Runs a program to its end and takes its output; its own words when it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = Path::new(command.get_program()).display().to_string();
    let done = command.output().with_context(|| name.clone())?;
    if !done.status.success() {
        let told = [String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr)].concat();
        bail!("{name}: {}: {}", done.status, told.trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned())
}
