//! A folder and the process that watches over it: a small shell script that runs the server, signals all of its processes
//! when told, and ends them and removes the folder when the owner lets go.
//!
//! The script reads from a pipe whose other end only the owner has. The kernel closes that when the owner ends, in whatever
//! way, so a server outlives no test, not even one that was killed. Kept out: what runs in the folder.
//!
//! Invariant: a signal reaches every process of the server or the call does not return.

use crate::tools;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

const SCRIPT: &str = include_str!("keeper.sh");

pub(crate) struct Keeper {
    folder: PathBuf,
    /// The user that the server runs as, when that is not ours.
    user: Option<(String, u32, u32)>,
    talk: Mutex<Talk>,
}

struct Talk {
    script: Child,
    /// None once the owner has let go.
    say: Option<ChildStdin>,
    hear: BufReader<ChildStdout>,
}

impl Keeper {
    /// A new folder. With `as_user` the server runs as that user if we are root: some refuse to be root.
    pub(crate) fn new(name: &str, as_user: Option<&str>) -> Result<Self> {
        let user = match as_user {
            Some(user) if tools::is_root() => Some(tools::user(user)?),
            _ => None,
        };
        let folder = tempfile::Builder::new().prefix(&format!("causeway-{name}-")).tempdir()?.keep();
        let mut script = Command::new("sh");
        script.args(["-c", SCRIPT, "causeway-keeper"]).arg(&folder);
        if let Some((name, _, group)) = &user {
            let (user, group) = (format!("--reuid={name}"), format!("--regid={group}"));
            script.args(["setpriv", &user, &group, "--clear-groups", "--"]);
        }
        script.args(["sh", "./run"]);
        // A group of its own: what ends a test from the keyboard must leave the script time to clean up.
        script.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut script = script.spawn().context("sh")?;
        let say = script.stdin.take();
        let hear = BufReader::new(script.stdout.take().context("the keeper's output")?);
        let keeper = Self { folder, user, talk: Mutex::new(Talk { script, say, hear }) };
        keeper.hand_over(&keeper.folder)?;
        Ok(keeper)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file in the folder that only the server's user reads.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("{}", path.display()))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        self.hand_over(&path)?;
        Ok(path)
    }

    fn hand_over(&self, path: &Path) -> Result<()> {
        if let Some((_, user, group)) = &self.user {
            std::os::unix::fs::chown(path, Some(*user), Some(*group))
                .with_context(|| format!("{}: give it to the server's user", path.display()))?;
        }
        Ok(())
    }

    /// Removes a file or folder below the folder, if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let path = self.folder.join(name);
        let removed = match std::fs::symlink_metadata(&path) {
            Ok(what) if what.is_dir() => std::fs::remove_dir_all(&path),
            Ok(_) => std::fs::remove_file(&path),
            Err(_) => Ok(()),
        };
        removed.with_context(|| format!("remove {}", path.display()))
    }

    /// What the server wrote to its output, the last lines of it.
    pub(crate) fn log_end(&self) -> String {
        let log = std::fs::read(self.folder.join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(30)).copied().collect::<Vec<_>>().join("\n")
    }

    fn tell(&self, words: &str) -> Result<String> {
        let mut talk = self.talk.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(say) = talk.say.as_mut() else { bail!("the server was given up") };
        writeln!(say, "{words}").context("the keeper has ended")?;
        let mut answer = String::new();
        if talk.hear.read_line(&mut answer).context("the keeper has ended")? == 0 {
            bail!("the keeper has ended");
        }
        Ok(answer.trim().to_owned())
    }

    pub(crate) fn run(&self) -> Result<()> {
        self.tell("run").map(drop)
    }

    /// SIGKILL to all of them; returns when they are gone.
    pub(crate) fn kill(&self) -> Result<()> {
        self.tell("kill").map(drop)
    }

    /// A signal to the first process; returns when it has ended, within a minute by force.
    pub(crate) fn end(&self, signal: &str) -> Result<()> {
        self.tell(&format!("end {signal}")).map(drop)
    }

    pub(crate) fn freeze(&self) -> Result<()> {
        self.tell("freeze").map(drop)
    }

    pub(crate) fn thaw(&self) -> Result<()> {
        self.tell("thaw").map(drop)
    }

    /// The processes of the server; none when it has ended.
    pub(crate) fn processes(&self) -> Result<Vec<u32>> {
        self.tell("look")?.split_whitespace().map(|pid| pid.parse().context("a process id")).collect()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let talk = self.talk.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(talk.say.take());
        // Nothing to be done about an error here; the script cleans up by itself.
        drop(talk.script.wait());
    }
}

/// Whether we are root, by the owner of our own process.
pub(crate) fn effective_user() -> u32 {
    std::fs::metadata("/proc/self").map_or(u32::MAX, |own| own.uid())
}
