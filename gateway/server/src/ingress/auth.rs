//! API keys: how they are made, and how a request shows one.
//!
//! A key is `ck_` (secret) or `cp_` (publishable), then `<key id>_<256 random bits>`; only its SHA-256 is stored. A key that
//! was good is remembered for at most a second and only while the store's generation stands still, so a revoked one dies
//! within a second everywhere. A secret key is refused from a browser, a publishable one from anywhere but the pages it is
//! listed for. This file decides who asks; what they may do is asked of the [`Caller`] by the handler.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::constant_time;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use causeway_core::clock::{Clock, Entropy};
use causeway_core::ids::{KeyId, TenantId};
use causeway_core::pii::Secret;
use causeway_core::problem::{Code, Problem};
use data_encoding::BASE32_NOPAD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, ORIGIN};
use jiff::Timestamp;

use super::browser;
use super::request::facts;
use crate::hash::sha256;
use crate::intake::{Refusal, Sender, unavailable};
use crate::store::Store;
use crate::store::setup::{KeyRecord, Scope};

/// How long a key that was good is believed without asking the store.
const REMEMBERED: Duration = Duration::from_secs(1);

/// The kind of key, as its text begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPrefix {
    /// For servers.
    Secret,
    /// For web pages.
    Publishable,
}

impl KeyPrefix {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "ck_",
            Self::Publishable => "cp_",
        }
    }
}

/// A new key. The text is shown once and kept nowhere.
#[derive(Debug)]
pub struct ApiKey {
    /// Its public part, which stands in the text too.
    pub id: KeyId,
    /// What the caller sends.
    pub text: Secret,
    /// What the store keeps.
    pub hash: [u8; 32],
}

impl ApiKey {
    /// Makes a key.
    pub fn generate(prefix: KeyPrefix, now: Timestamp, entropy: &dyn Entropy) -> Self {
        let id = KeyId::new(now, entropy);
        let mut random = [0; 32];
        entropy.fill(&mut random);
        let secret = BASE32_NOPAD.encode(&random).to_ascii_lowercase();
        let text = format!("{}{}_{secret}", prefix.as_str(), id.as_uuid().simple());
        let hash = sha256(text.as_bytes());
        Self { id, text: Secret::new(text), hash }
    }
}

/// Who asks, as far as the key says.
#[derive(Debug, Clone)]
pub struct Caller(Arc<KeyRecord>);

impl Caller {
    /// The caller that this key stands for.
    pub fn new(key: KeyRecord) -> Self {
        Self(Arc::new(key))
    }

    /// Whose data it may see.
    pub fn tenant(&self) -> TenantId {
        self.0.tenant
    }

    /// The key it came with.
    pub fn key(&self) -> KeyId {
        self.0.id
    }

    /// As intake knows it.
    pub fn sender(&self) -> Sender {
        Sender { tenant: self.0.tenant, key: self.0.id, test: self.0.test }
    }

    /// It came with a publishable key.
    pub fn is_publishable(&self) -> bool {
        self.0.origins.is_some()
    }

    /// A test key made before this was refused may still have such a scope: it is no use to it.
    fn may(&self, scope: Scope) -> bool {
        self.0.scopes.contains(&scope) && (!self.0.test || scope.is_for_tests())
    }

    /// Lets the caller go on if its key has one of these scopes, or is publishable. For what web pages do: form,
    /// preflight, submit.
    ///
    /// # Errors
    /// As [`Self::require`].
    pub fn require_or_publishable(&self, any_of: &[Scope]) -> Result<(), Refusal> {
        if self.is_publishable() { Ok(()) } else { self.require(any_of) }
    }

    /// Lets the caller go on if its key is a secret one with one of these scopes.
    ///
    /// # Errors
    /// `scope_missing`, naming the scopes that would do.
    pub fn require(&self, any_of: &[Scope]) -> Result<(), Refusal> {
        if self.is_publishable() {
            let may = "A publishable key may fetch a job's form, preflight and submit, and read nothing back.";
            return Err(Problem::new(Code::ScopeMissing).detail(may).into());
        }
        if any_of.iter().any(|scope| self.may(*scope)) {
            return Ok(());
        }
        let names: Vec<&str> = any_of.iter().map(|scope| scope.as_str()).collect();
        Err(Problem::new(Code::ScopeMissing).detail(format!("This needs the scope {}.", names.join(" or "))).into())
    }
}

/// Knows keys.
pub struct Authenticator {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    known: RwLock<HashMap<[u8; 32], Known>>,
}

struct Known {
    caller: Caller,
    generation: u64,
    at: Timestamp,
}

impl Authenticator {
    /// Knows nobody yet.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, known: RwLock::default() }
    }

    /// Who shows this key.
    ///
    /// # Errors
    /// `key_invalid`, or `store_unavailable` when the store cannot be asked: never a pass.
    pub async fn caller(&self, key: &str) -> Result<Caller, Refusal> {
        if !well_formed(key) {
            return Err(Code::KeyInvalid.into());
        }
        let hash = sha256(key.as_bytes());
        let (generation, now) = (self.store.generation(), self.clock.now());
        if let Some(caller) = self.remembered(&hash, generation, now) {
            return Ok(caller);
        }
        let found = self.store.key_by_hash(hash).await.map_err(|error| unavailable("key_by_hash", &error))?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = found.filter(|record| record.revoked_at.is_none() && !record.suspended) else {
            known.remove(&hash);
            return Err(Code::KeyInvalid.into());
        };
        let caller = Caller::new(record);
        known.insert(hash, Known { caller: caller.clone(), generation, at: now });
        Ok(caller)
    }

    fn remembered(&self, hash: &[u8; 32], generation: u64, now: Timestamp) -> Option<Caller> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (stored, entry) = known.get_key_value(hash)?;
        // A map compares as it likes; what it compares is the hash of 256 random bits, and equality is settled here.
        constant_time::verify_slices_are_equal(stored, hash).ok()?;
        let age = Duration::try_from(now.duration_since(entry.at)).ok()?;
        (entry.generation == generation && age < REMEMBERED).then(|| entry.caller.clone())
    }
}

/// The layer: no key, no handler.
pub(super) async fn authenticate(
    State(known): State<Arc<Authenticator>>,
    mut request: Request,
    next: Next,
) -> Response {
    match admit(&known, request.headers()).await {
        Ok(caller) => {
            if let Some(facts) = facts(&request) {
                facts.sender.get_or_init(|| (caller.tenant(), caller.key()));
            }
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

async fn admit(known: &Authenticator, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let key = bearer(headers).ok_or(Code::KeyInvalid)?;
    if !key.starts_with(KeyPrefix::Publishable.as_str()) {
        if headers.contains_key(ORIGIN) {
            return Err(Code::SecretKeyInBrowser.into());
        }
        return known.caller(key).await;
    }
    let caller = known.caller(key).await?;
    // A record without origins would be a secret one; its text cannot begin like this, and if it did, nothing passes.
    let listed = caller.0.origins.as_deref().unwrap_or_default();
    match browser::origin(headers) {
        Some(origin) if listed.iter().any(|known| known == origin) => Ok(caller),
        Some(_) | None => Err(Code::OriginNotAllowed.into()),
    }
}

/// The one bearer token; two are as good as none.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Cheap, so that noise never reaches the store.
fn well_formed(key: &str) -> bool {
    let kinds = [KeyPrefix::Secret, KeyPrefix::Publishable];
    let rest = kinds.iter().find_map(|kind| key.strip_prefix(kind.as_str()));
    let Some((id, secret)) = rest.and_then(|rest| rest.split_once('_')) else { return false };
    id.len() == 32
        && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        && secret.len() == BASE32_NOPAD.encode_len(32)
        && secret.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
}

#[cfg(test)]
mod tests {
    use super::{ApiKey, KeyPrefix, sha256, well_formed};
    use causeway_core::clock::SeededEntropy;

    #[test]
    fn a_key_is_well_formed_names_its_id_and_never_repeats() {
        let entropy = SeededEntropy::new(5);
        let first = ApiKey::generate(KeyPrefix::Secret, jiff::Timestamp::UNIX_EPOCH, &entropy);
        let second = ApiKey::generate(KeyPrefix::Publishable, jiff::Timestamp::UNIX_EPOCH, &entropy);
        assert!(well_formed(first.text.reveal()), "{}", first.text.reveal());
        assert!(well_formed(second.text.reveal()) && second.text.reveal().starts_with("cp_"));
        assert!(first.text.reveal().contains(&first.id.as_uuid().simple().to_string()));
        assert_eq!(first.hash, sha256(first.text.reveal().as_bytes()));
        assert_ne!(first.hash, second.hash);
        for bad in
            ["", "ck_", "ck_1_2", "cp_00000000000000000000000000000000_aaaa", &first.text.reveal().to_uppercase()]
        {
            assert!(!well_formed(bad), "{bad}");
        }
    }
}
