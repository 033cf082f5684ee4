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
pub(in crate::store) const MANIFEST: &str = "backup.json";
pub(in crate::store) const DATABASE: &str = "causeway.db";
pub(in crate::store) const KEYS: &str = "keys.db";
pub(in crate::store) const BLOBS: &str = "blobs";

/// The layout this program writes and reads.
pub(in crate::store) const FORMAT: u32 = 1;

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Manifest {
    pub(in crate::store) format: u32,
    pub(in crate::store) program: String,
    pub(in crate::store) taken_at: Timestamp,
    pub(in crate::store) database_sha256: String,
    /// Of `keys.db`. None: an earlier program wrote it.
    #[serde(default)]
    pub(in crate::store) keys_sha256: Option<String>,
}

impl Manifest {
    pub(in crate::store) fn write(&self, folder: &Path) -> io::Result<()> {
        let path = folder.join(MANIFEST);
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
        file.sync_all()?;
        File::open(folder)?.sync_all()
    }

    pub(in crate::store) fn read(folder: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(folder.join(MANIFEST))?)?)
    }
}

/// SHA-256 of a file, in hexadecimal.
pub(in crate::store) fn hash_of(path: &Path) -> io::Result<String> {
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
