//! Signed receipts: proof, for whoever has the document, that this gateway accepted it and when.
//!
//! Accepting signs nothing; a receipt is signed when it is asked for, from what was stored then, and Ed25519 gives the same
//! signature every time. What is signed is a text of lines, so that no two readers can disagree about its bytes:
//!
//! ```text
//! causeway receipt v1
//! tenant ten_…
//! application sub_…
//! world real                    (or: test)
//! received 1764579600123        (milliseconds since 1970, UTC)
//! document …                    (64 hexadecimal digits, see below)
//! files 2
//! file …                        (SHA-256 of each file, sorted)
//! file …
//! ```
//!
//! Each line ends with a line feed, the last one too. The document's digest is the token of the 202 answer without its
//! `rcp_`: SHA-256 over the ASCII text `causeway receipt v1`, the 16 bytes of the application's id, the time in milliseconds
//! as eight bytes big-endian, and the document's bytes as they were sent. `tests/verify_receipt.mjs` does it in Node.

use async_trait::async_trait;
use causeway_core::ids::{ReceiptKeyId, SubmissionId, TenantId};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Result;

/// The first line, and what the token's digest begins with.
pub const FORMAT: &str = "causeway receipt v1";

/// See the module's documentation.
#[async_trait]
pub trait Receipts: Send + Sync {
    /// An application's receipt, signed with the key of its time. Of a test, or of a real one. `NotFound` too once it was
    /// erased: the hashes of its files went with it.
    async fn signed_receipt(&self, tenant: TenantId, id: SubmissionId, test: bool) -> Result<SignedReceipt>;
    /// Every key that ever signed, oldest first.
    async fn receipt_keys(&self) -> Result<Vec<ReceiptKey>>;
    /// Makes a new key, which signs for what comes from now on. The old ones stay. Audited with every tenant.
    async fn rotate_receipt_key(&self, actor: &str, now: Timestamp) -> Result<ReceiptKey>;
}

/// What a receipt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptFacts {
    /// Whose.
    pub tenant: TenantId,
    /// The application.
    pub application: SubmissionId,
    /// It came with a test key.
    pub test: bool,
    /// When it came; milliseconds count.
    pub received_at: Timestamp,
    /// See the module's documentation.
    pub document: [u8; 32],
    /// SHA-256 of each file.
    pub files: Vec<[u8; 32]>,
}

impl ReceiptFacts {
    /// The text that is signed.
    pub fn text(&self) -> String {
        let mut files = self.files.clone();
        files.sort_unstable();
        let world = if self.test { "test" } else { "real" };
        let mut text = format!(
            "{FORMAT}\ntenant {}\napplication {}\nworld {world}\nreceived {}\ndocument {}\nfiles {}\n",
            self.tenant,
            self.application,
            self.received_at.as_millisecond(),
            HEXLOWER.encode(&self.document),
            files.len()
        );
        for file in files {
            text.push_str(&format!("file {}\n", HEXLOWER.encode(&file)));
        }
        text
    }
}

/// A receipt and what proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedReceipt {
    /// What it says.
    pub facts: ReceiptFacts,
    /// What signed it.
    pub key: ReceiptKeyId,
    /// Ed25519 over [`ReceiptFacts::text`].
    pub signature: Vec<u8>,
}

/// A key's public side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptKey {
    /// Its id.
    pub id: ReceiptKeyId,
    /// 32 bytes.
    pub public: Vec<u8>,
    /// It signs for what came since.
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_the_format_says_byte_for_byte() {
        let facts = ReceiptFacts {
            tenant: "ten_00000000000000000000000000000001".parse().unwrap(),
            application: "sub_00000000000000000000000000000002".parse().unwrap(),
            test: true,
            received_at: Timestamp::from_microsecond(1_764_579_600_123_999).unwrap(),
            document: [0xab; 32],
            files: vec![[0xff; 32], [0x01; 32]],
        };
        let expected = format!(
            "causeway receipt v1\ntenant ten_00000000000000000000000000000001\n\
             application sub_00000000000000000000000000000002\nworld test\nreceived 1764579600123\n\
             document {}\nfiles 2\nfile {}\nfile {}\n",
            "ab".repeat(32),
            "01".repeat(32),
            "ff".repeat(32)
        );
        assert_eq!(facts.text(), expected);
        let bare = ReceiptFacts { test: false, files: Vec::new(), ..facts };
        assert!(bare.text().contains("\nworld real\n") && bare.text().ends_with("\nfiles 0\n"));
    }
}
