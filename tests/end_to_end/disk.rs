//! A disk that can be filled for one gateway alone, without privileges.
//!
//! In a mount namespace of its own the data directory is a small file system in memory. Where the machine allows no such
//! namespace, the process's files may not grow instead; SQLite takes that for a broken disk, on which it is right to end.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail, ensure};

/// Moves the data directory ($0) to a file system of 24 MiB and runs the rest there.
const MOVE: &str = r#"set -e
cp -a "$0" "$0.before"
mount -t tmpfs -o size=24m,mode=700 none "$0"
cp -a "$0.before/." "$0"
exec "$@""#;

/// A write beyond the limit is an error then, and no signal.
const LIMIT: &str = r#"trap '' XFSZ; exec "$@""#;

/// How the disk is made small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SmallDisk {
    Namespace,
    FileSize,
}

impl SmallDisk {
    /// What this machine allows.
    pub(crate) fn here() -> Result<Self> {
        let mounting = ["-Urm", "mount", "-t", "tmpfs", "none", "/mnt"];
        let tried = Command::new("unshare").args(mounting).stderr(Stdio::null()).status()?;
        Ok(if tried.success() { Self::Namespace } else { Self::FileSize })
    }

    /// SQLite cannot tell a file that may not grow from a broken disk, and then the gateway has to end.
    pub(crate) fn may_end_the_gateway(self) -> bool {
        self == Self::FileSize
    }

    /// What stands before the program.
    pub(crate) fn wrapper(self, data: &Path) -> Vec<String> {
        let data = data.display().to_string();
        match self {
            Self::Namespace => ["unshare", "-Urm", "sh", "-c", MOVE, &data].map(str::to_owned).to_vec(),
            Self::FileSize => ["sh", "-c", LIMIT, "sh"].map(str::to_owned).to_vec(),
        }
    }

    /// Where the process's data directory is for others.
    pub(crate) fn seen_from_outside(self, pid: u32, data: &Path) -> PathBuf {
        match self {
            Self::Namespace => PathBuf::from(format!("/proc/{pid}/root{}", data.display())),
            Self::FileSize => data.to_owned(),
        }
    }

    /// Leaves no room.
    pub(crate) fn fill(self, pid: u32, data: &Path) -> Result<()> {
        match self {
            Self::Namespace => {
                let mut filler = File::create(data.join("filler"))?;
                let block = [0; 4096];
                for _ in 0..10_000 {
                    if filler.write_all(&block).is_err() {
                        return Ok(());
                    }
                }
                bail!("the disk is not small")
            }
            Self::FileSize => limit(pid, &largest(data)?.to_string()),
        }
    }

    /// Makes room again.
    pub(crate) fn empty(self, pid: u32, data: &Path) -> Result<()> {
        match self {
            Self::Namespace => Ok(std::fs::remove_file(data.join("filler"))?),
            Self::FileSize => limit(pid, "unlimited"),
        }
    }
}

fn limit(pid: u32, bytes: &str) -> Result<()> {
    let set =
        Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--fsize={bytes}:unlimited")]).status()?;
    ensure!(set.success(), "prlimit: {set}");
    Ok(())
}

fn largest(folder: &Path) -> Result<u64> {
    let mut largest = 0;
    for entry in std::fs::read_dir(folder)? {
        largest = largest.max(entry?.metadata()?.len());
    }
    Ok(largest)
}
