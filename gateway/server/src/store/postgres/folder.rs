//! Whether the folder of attachments is the one that every gateway of the database uses: it holds a mark, and the database
//! knows which.
//!
//! A gateway on another machine with a folder of its own would accept files that the others could not deliver, and say so
//! only when they are. What the folder holds is not looked at. A bucket is everybody's and has no mark.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use causeway_core::clock::Entropy;
use data_encoding::HEXLOWER;

use super::open::OpenError;
use crate::store::StoreError;
use crate::store::sql::conn::Conn;
use crate::store::sql::rows::{execute, params, sql, value};

/// The file, beside the folders of blobs.
const FILE: &str = "mark";
/// The row.
const ROW: &str = "blobs_mark";

/// Marks the folder when the database knows of none; otherwise says whether it is that one.
pub(super) fn recognise(conn: Conn<'_>, folder: &Path, entropy: &dyn Entropy) -> Result<(), OpenError> {
    let file = folder.join(FILE);
    let failed = |source| OpenError::Io { path: file.clone(), source };
    let before = read(&file).map_err(failed)?;
    let proposed = before.clone().unwrap_or_else(|| new_mark(entropy));
    // Of two that are the first, one waits here for the other.
    execute(conn, sql!("meta_init"), params![ROW, proposed])?;
    let known = value::<Vec<u8>>(conn, sql!("meta_get"), params![ROW])?;
    let known = known.ok_or(StoreError::Corrupt("the mark of the attachments"))?;
    if before.is_none() && known == proposed {
        return write(folder, &file, &known).map_err(failed);
    }
    if read(&file).map_err(failed)?.as_ref() == Some(&known) {
        return Ok(());
    }
    Err(OpenError::Refused { what: "attachments".to_owned(), text: refusal(folder, &file, &known) })
}

fn refusal(folder: &Path, file: &Path, known: &[u8]) -> String {
    format!(
        "{} is not the folder in which the other gateways of this database keep theirs. Mount that one here, or keep \
         attachments in a bucket (`blobs.url`). If it is lost for good, write {} into {} and start again: what was in it \
         cannot be delivered",
        folder.display(),
        String::from_utf8_lossy(known),
        file.display()
    )
}

fn read(file: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(file) {
        Ok(mark) => Ok(Some(mark.trim_ascii().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn new_mark(entropy: &dyn Entropy) -> Vec<u8> {
    let mut random = [0; 16];
    entropy.fill(&mut random);
    HEXLOWER.encode(&random).into_bytes()
}

/// Whole and durable before the database knows of it.
fn write(folder: &Path, file: &Path, mark: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let beside = file.with_extension("new");
    let mut made = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    made.write_all(mark)?;
    made.sync_all()?;
    fs::rename(&beside, file)?;
    File::open(folder)?.sync_all()
}
