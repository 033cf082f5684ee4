//! What a backup says about itself. Written last: a folder without it is no backup.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The backup's files.
pub(super) const MANIFEST: &str = "backup.json";
pub(super) const DATABASE: &str = "causeway.db";
pub(super) const KEYS: &str = "keys.db";
pub(super) const BLOBS: &str = "blobs";

/// The layout this program writes and reads.
pub(super) const FORMAT: u32 = 1;

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: u32,
    pub(super) program: String,
    pub(super) taken_at: Timestamp,
    pub(super) database_sha256: String,
    /// Of `keys.db`. None: an earlier program wrote it.
    #[serde(default)]
    pub(super) keys_sha256: Option<String>,
}

impl Manifest {
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let path = folder.join(MANIFEST);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
        file.sync_all()?;
        File::open(folder)?.sync_all()
    }

    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(folder.join(MANIFEST))?)?)
    }
}

/// SHA-256 of a file, in hexadecimal.
pub(super) fn hash_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(HEXLOWER.encode(context.finish().as_ref())),
            read => context.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}
