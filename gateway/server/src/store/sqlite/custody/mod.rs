//! Copying a data directory in use, and making one of a copy before anything opens it.
//!
//! `backup` copies, `restore` brings a copy back and erases again what was erased since, `manifest` says what a copy holds.

mod backup;
mod manifest;
mod restore;

pub(in crate::store) use backup::backup;
pub use restore::{Erasures, RestoreError, RestoreOptions, RestoreReport, restore};
