//! What can be done to every server: kill it, start it again, freeze it, look at it.
//!
//! Kept out: what it is and how it is made; each engine's file does that and hands a `Server` the one question that tells
//! whether it answers.
//!
//! Invariant: `start` and `restart` return when the server answers, or with the end of its log.

use crate::keeper::Keeper;
use crate::tools;
use anyhow::{Context, Result, bail};
use std::path::Path;

/// Whether it answers now.
pub(crate) type Ready = Box<dyn Fn() -> bool + Send + Sync>;

/// A running (or killed) private server. It ends with this value, or with the process that owns it.
pub struct Server {
    name: &'static str,
    keeper: Keeper,
    /// The signal that makes it stop in good order.
    stop: &'static str,
    ready: Ready,
}

impl Server {
    pub(crate) fn start(name: &'static str, keeper: Keeper, stop: &'static str, ready: Ready) -> Result<Self> {
        let server = Self { name, keeper, stop, ready };
        server.run()?;
        Ok(server)
    }

    fn run(&self) -> Result<()> {
        self.keeper.run()?;
        self.wait()
    }

    /// Returns when it answers; fails when it has ended.
    pub fn wait(&self) -> Result<()> {
        let waited = tools::until(&format!("{} answers", self.name), || {
            if (self.ready)() {
                return Ok(Some(()));
            }
            if self.keeper.processes()?.is_empty() {
                bail!("{} has ended", self.name);
            }
            Ok(None)
        });
        waited.with_context(|| format!("{} does not start; the end of its log:\n{}", self.name, self.keeper.log_end()))
    }

    /// SIGKILL to all of its processes. Its data stays; its port stays free.
    pub fn kill(&self) -> Result<()> {
        self.keeper.kill()
    }

    /// Stops it in good order.
    pub fn stop(&self) -> Result<()> {
        self.keeper.end(self.stop)
    }

    pub(crate) fn signal(&self, signal: &str) -> Result<()> {
        self.keeper.end(signal)
    }

    /// Starts it again on the same port and data, after stopping it in good order if it runs.
    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        self.run()
    }

    /// Kills it, removes something below its folder, starts it again.
    pub(crate) fn wipe(&self, what: &[&str]) -> Result<()> {
        self.kill()?;
        what.iter().try_for_each(|what| self.keeper.remove(what))?;
        self.run()
    }

    /// SIGSTOP to all of its processes: it hangs with its connections open.
    pub fn freeze(&self) -> Result<()> {
        self.keeper.freeze()
    }

    /// SIGCONT to all of its processes.
    pub fn thaw(&self) -> Result<()> {
        self.keeper.thaw()
    }

    /// Whether it answers now.
    #[must_use]
    pub fn answers(&self) -> bool {
        (self.ready)()
    }

    /// The ids of its processes.
    pub fn processes(&self) -> Result<Vec<u32>> {
        self.keeper.processes()
    }

    /// Where its data and its log are, to be searched.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.keeper.folder()
    }
}
