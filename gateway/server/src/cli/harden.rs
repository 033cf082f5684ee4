//! What this process denies itself before it holds anything worth stealing: a core dump would be its memory on a disk,
//! applicants and keys included.

use anyhow::{Context as _, Result};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// No core dumps, from this process or those it starts; where a dump is handed to a program, the limit alone would not do.
///
/// # Errors
/// The system does not take it: better not to start than to find out from a dump.
pub(super) fn no_core_dumps() -> Result<()> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).context("core dumps could not be limited to nothing")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("core dumps could not be switched off")
}
