//! Sealing: authenticated encryption bound to the place a value is stored at, and keyed hashes for what must be found.
//!
//! AES-256-GCM-SIV with a random nonce; the associated data names tenant, table, row and column, so ciphertext moved to
//! another place does not open. Blind indexes are HMAC-SHA256 with a key of the tenant's own and carry the version of
//! the normaliser. This file holds no key longer than the value it belongs to and knows no table.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use causeway_core::clock::Entropy;
use causeway_core::email::{NORMALISER_VERSION, NormalEmail};
use causeway_core::ids::TenantId;

/// The first byte of everything sealed: which cipher and layout follow.
const VERSION: u8 = 1;

/// It does not open: another key, another place, or changed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed value does not open")]
pub(crate) struct DoesNotOpen;

/// Where a sealed value is stored. Opening it at any other place fails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) table: &'static str,
    pub(crate) row: &'a [u8],
    pub(crate) column: &'static str,
}

impl Place<'_> {
    /// Each part with its length before it, so that no two places share their bytes.
    fn associated_data(&self) -> Vec<u8> {
        let tenant = self.tenant.as_uuid();
        let parts: [&[u8]; 4] = [tenant.as_bytes(), self.table.as_bytes(), self.row, self.column.as_bytes()];
        let mut data = Vec::with_capacity(80);
        data.push(VERSION);
        for part in parts {
            data.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }
}

/// A key that seals.
pub(crate) struct SealKey(LessSafeKey);

impl SealKey {
    pub(crate) fn new(bytes: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM_SIV, bytes);
        Self(LessSafeKey::new(key.expect("the key has the cipher's length")))
    }

    /// Version, nonce, ciphertext and tag.
    pub(crate) fn seal(&self, place: &Place<'_>, plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + plain.len() + 16);
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let body = sealed.get_mut(1 + NONCE_LEN..).unwrap_or_default();
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.associated_data()), body)
            .expect("a value in memory is shorter than the cipher's limit");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// What was sealed here.
    pub(crate) fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
        let (version, rest) = sealed.split_first().ok_or(DoesNotOpen)?;
        if *version != VERSION {
            return Err(DoesNotOpen);
        }
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(DoesNotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| DoesNotOpen)?;
        let mut plain = body.to_vec();
        let length =
            self.0.open_in_place(nonce, Aad::from(place.associated_data()), &mut plain).map_err(|_| DoesNotOpen)?.len();
        plain.truncate(length);
        Ok(plain)
    }

    /// One segment of a stream: the nonce is its counter, and the associated data says whether it is the last.
    pub(crate) fn seal_segment(&self, counter: u64, last: bool, segment: &mut Vec<u8>) {
        let tag = self
            .0
            .seal_in_place_separate_tag(segment_nonce(counter), Aad::from([VERSION, u8::from(last)]), segment)
            .expect("a segment is shorter than the cipher's limit");
        segment.extend_from_slice(tag.as_ref());
    }

    /// Opens one segment in place and cuts its tag off.
    pub(crate) fn open_segment(&self, counter: u64, last: bool, segment: &mut Vec<u8>) -> Result<(), DoesNotOpen> {
        let length = self
            .0
            .open_in_place(segment_nonce(counter), Aad::from([VERSION, u8::from(last)]), segment)
            .map_err(|_| DoesNotOpen)?
            .len();
        segment.truncate(length);
        Ok(())
    }
}

fn segment_nonce(counter: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    let (_, tail) = nonce.split_at_mut(NONCE_LEN - 8);
    tail.copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// A key for one use, derived from another.
pub(crate) fn derive(key: &[u8; 32], label: &[u8]) -> [u8; 32] {
    let mut derived = [0; 32];
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"causeway/1")
        .extract(key)
        .expand(&[label], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut derived))
        .expect("the output is as long as the hash");
    derived
}

/// A keyed hash over parts, each with its length before it.
pub(crate) fn keyed_hash(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.sign().as_ref());
    hash
}

/// An address as it can be found without being stored. 128 bits: collisions do not happen, and the index stays small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlindEmail {
    /// Identity rests on this.
    pub(crate) exact: [u8; 16],
    /// The form without the plus-tag; `None` when it is the same.
    pub(crate) base: Option<[u8; 16]>,
    /// The rules both were made by.
    pub(crate) normaliser: u8,
}

impl BlindEmail {
    pub(crate) fn new(key: &hmac::Key, email: &NormalEmail) -> Self {
        let index = |text: &str| first_half(keyed_hash(key, &[&[NORMALISER_VERSION], text.as_bytes()]));
        let base = (email.base() != email.exact()).then(|| index(email.base()));
        Self { exact: index(email.exact()), base, normaliser: NORMALISER_VERSION }
    }

    /// What a search for the base form has to look for, in both columns.
    pub(crate) fn base_or_exact(&self) -> [u8; 16] {
        self.base.unwrap_or(self.exact)
    }
}

/// The leading 128 bits.
pub(crate) fn first_half(hash: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(hash) {
        *to = from;
    }
    half
}

#[cfg(test)]
mod tests {
    use super::{DoesNotOpen, Place, SealKey, derive};
    use causeway_core::clock::SeededEntropy;
    use causeway_core::ids::TenantId;
    use jiff::Timestamp;

    #[test]
    fn a_value_opens_only_where_it_was_sealed() {
        let entropy = SeededEntropy::new(1);
        let [ours, theirs] = [(); 2].map(|()| TenantId::new(Timestamp::UNIX_EPOCH, &entropy));
        let key = SealKey::new(&[7; 32]);
        let home = Place { tenant: ours, table: "submissions", row: b"1", column: "document" };
        let sealed = key.seal(&home, b"Ada", &entropy);
        assert_eq!(key.open(&home, &sealed), Ok(b"Ada".to_vec()));

        let elsewhere = [
            Place { tenant: theirs, ..home },
            Place { table: "attempts", ..home },
            Place { row: b"2", ..home },
            Place { column: "errors", ..home },
            Place { table: "submission", row: b"s1", ..home },
        ];
        for place in elsewhere {
            assert_eq!(key.open(&place, &sealed), Err(DoesNotOpen), "{place:?}");
        }
        assert_eq!(SealKey::new(&[8; 32]).open(&home, &sealed), Err(DoesNotOpen));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(&home, &changed), Err(DoesNotOpen), "byte {at}");
        }
        assert_eq!(key.open(&home, &[]), Err(DoesNotOpen));
    }

    #[test]
    fn keys_for_different_uses_differ() {
        assert_ne!(derive(&[1; 32], b"index"), derive(&[1; 32], b"audit"));
        assert_ne!(derive(&[1; 32], b"index"), derive(&[2; 32], b"index"));
    }
}
