//! Keys: a root key in a file, a key per tenant wrapped by it, a data key per record wrapped by the tenant's.
//!
//! The root key's file is made once, readable by its owner only, and refused when others can read it. What is derived
//! from a tenant's key (sealing, blind indexes, the audit chain) never leaves memory. Destroying a wrapped key is
//! destroying what it opens; nothing here keeps a copy of a data key.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use aws_lc_rs::hmac;
use causeway_core::clock::Entropy;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{AccountId, EndpointId, SubmissionId, TenantId};
use data_encoding::HEXLOWER;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::code::Codes;
use super::seal::{BlindEmail, DoesNotOpen, Place, SealKey, derive, first_half, keyed_hash};

/// What stands before the key in its file.
const FILE_PREFIX: &str = "causeway-root-key-1:";

/// Why there is no root key.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// It would be overwritten, and everything sealed with it lost.
    #[error("there is already a file at {0}; a root key is never overwritten")]
    Exists(PathBuf),
    /// There is none.
    #[error("there is no root key at {0}; make one with `causeway keys init-root`")]
    Missing(PathBuf),
    /// Somebody else could read it.
    #[error("the root key at {path} can be read by others (mode {mode:o}); make it 0600")]
    Readable {
        /// Where it is.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not a root key.
    #[error("the file at {0} is not a root key")]
    Unreadable(PathBuf),
    /// The file system refused.
    #[error("the root key at {path} cannot be used")]
    Io {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The key that wraps every tenant's key. Wiped from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RootKey([u8; 32]);

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootKey")
    }
}

impl RootKey {
    /// A key that exists only in memory: for a demo and for tests.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// Makes a key and writes it to a new file that only its owner can read, synced.
    ///
    /// # Errors
    /// When the file exists, or cannot be written.
    pub fn init(path: &Path, entropy: &dyn Entropy) -> Result<Self, RootKeyError> {
        let io = |source| RootKeyError::Io { path: path.to_owned(), source };
        let key = Self::generate(entropy);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
            match error.kind() {
                io::ErrorKind::AlreadyExists => RootKeyError::Exists(path.to_owned()),
                _ => io(error),
            }
        })?;
        let text = Zeroizing::new(format!("{FILE_PREFIX}{}\n", HEXLOWER.encode(&key.0)));
        file.write_all(text.as_bytes()).map_err(io)?;
        file.sync_all().map_err(io)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent).and_then(|parent| parent.sync_all()).map_err(io)?;
        }
        Ok(key)
    }

    /// Reads the key from its file.
    ///
    /// # Errors
    /// When it is missing, is not a root key, or others can read it.
    pub fn load(path: &Path) -> Result<Self, RootKeyError> {
        let io = |source| RootKeyError::Io { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => RootKeyError::Missing(path.to_owned()),
            _ => io(error),
        })?;
        let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(RootKeyError::Readable { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::new());
        Read::take(&mut file, 4_096).read_to_string(&mut text).map_err(io)?;
        let decoded = text
            .strip_prefix(FILE_PREFIX)
            .and_then(|hex| HEXLOWER.decode(hex.trim_end().as_bytes()).ok())
            .map(Zeroizing::new);
        let bytes = decoded.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        bytes.map(Self).ok_or_else(|| RootKeyError::Unreadable(path.to_owned()))
    }

    /// A value by which a database recognises its root key without revealing it.
    pub(crate) fn check_value(&self) -> [u8; 32] {
        derive(&self.0, b"key check value")
    }
}

/// What a data key belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owner {
    Submission(SubmissionId),
    Demographics(SubmissionId),
    Account(AccountId),
    Endpoint(EndpointId),
}

impl Owner {
    /// The text of `wrapped_keys.kind`.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Submission(_) => "submission",
            Self::Demographics(_) => "demographics",
            Self::Account(_) => "account",
            Self::Endpoint(_) => "endpoint",
        }
    }

    /// The value of `wrapped_keys.owner`.
    pub(crate) const fn uuid(self) -> Uuid {
        match self {
            Self::Submission(id) | Self::Demographics(id) => id.as_uuid(),
            Self::Account(id) => id.as_uuid(),
            Self::Endpoint(id) => id.as_uuid(),
        }
    }
}

/// A record's own key.
pub(crate) struct DataKey {
    bytes: Zeroizing<[u8; 32]>,
    seal: SealKey,
}

impl DataKey {
    fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        let seal = SealKey::new(&bytes);
        Self { bytes, seal }
    }

    /// Seals a value of the record.
    pub(crate) fn seal(&self, place: &Place<'_>, plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        self.seal.seal(place, plain, entropy)
    }

    /// Opens a value of the record.
    pub(crate) fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
        self.seal.open(place, sealed)
    }

    /// The key of one blob of the record: segments count from zero, so each blob needs a key of its own.
    pub(crate) fn for_blob(&self, tenant: TenantId, blob: Uuid) -> SealKey {
        let mut label = b"blob".to_vec();
        label.extend_from_slice(tenant.as_uuid().as_bytes());
        label.extend_from_slice(blob.as_bytes());
        SealKey::new(&Zeroizing::new(derive(&self.bytes, &label)))
    }
}

/// Everything derived from one tenant's key.
pub(crate) struct TenantKeys {
    tenant: TenantId,
    wrap: SealKey,
    records: SealKey,
    index: hmac::Key,
    serial: hmac::Key,
    fingerprint: hmac::Key,
    idempotency: hmac::Key,
    audit: hmac::Key,
}

impl TenantKeys {
    fn new(tenant: TenantId, key: &[u8; 32]) -> Self {
        let seal = |label: &[u8]| SealKey::new(&Zeroizing::new(derive(key, label)));
        let mac = |label: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, &*Zeroizing::new(derive(key, label)));
        Self {
            tenant,
            wrap: seal(b"wrap data keys"),
            records: seal(b"records"),
            index: mac(b"e-mail index"),
            serial: mac(b"serial"),
            fingerprint: mac(b"fingerprint"),
            idempotency: mac(b"idempotency key"),
            audit: mac(b"audit chain"),
        }
    }

    /// A new data key and its wrapped form.
    pub(crate) fn new_data_key(&self, owner: Owner, entropy: &dyn Entropy) -> (DataKey, Vec<u8>) {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        let wrapped = self.wrap.seal(&self.key_place(&owner, owner.uuid().as_bytes()), &*bytes, entropy);
        (DataKey::new(bytes), wrapped)
    }

    /// The data key that was wrapped.
    pub(crate) fn open_data_key(&self, owner: Owner, wrapped: &[u8]) -> Result<DataKey, DoesNotOpen> {
        let plain = self.wrap.open(&self.key_place(&owner, owner.uuid().as_bytes()), wrapped).map(Zeroizing::new)?;
        <[u8; 32]>::try_from(plain.as_slice()).map(Zeroizing::new).map(DataKey::new).map_err(|_| DoesNotOpen)
    }

    fn key_place<'a>(&self, owner: &Owner, row: &'a [u8]) -> Place<'a> {
        Place { tenant: self.tenant, table: "wrapped_keys", row, column: owner.kind() }
    }

    /// Seals what belongs to the tenant and to no person's record, such as a posting.
    pub(crate) fn records(&self) -> &SealKey {
        &self.records
    }

    /// The blind index of an address.
    pub(crate) fn blind(&self, email: &NormalEmail) -> BlindEmail {
        BlindEmail::new(&self.index, email)
    }

    /// What deliveries of the same person and posting share.
    pub(crate) fn serial(&self, email: &NormalEmail, posting_id: &str) -> [u8; 16] {
        first_half(keyed_hash(&self.serial, &[email.exact().as_bytes(), posting_id.as_bytes()]))
    }

    /// What equal requests share.
    pub(crate) fn fingerprint(&self, bytes: &[u8]) -> [u8; 32] {
        keyed_hash(&self.fingerprint, &[bytes])
    }

    /// The caller's idempotency key as it is stored.
    pub(crate) fn idempotency(&self, key: &str) -> [u8; 32] {
        keyed_hash(&self.idempotency, &[key.as_bytes()])
    }

    /// A link of the audit chain.
    pub(crate) fn audit_mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        keyed_hash(&self.audit, parts)
    }
}

/// The root key and the tenants' keys it opened.
pub(crate) struct Keyring {
    root: SealKey,
    installation: SealKey,
    anchor: hmac::Key,
    codes: Codes,
    check: [u8; 32],
    tenants: RwLock<HashMap<TenantId, Arc<TenantKeys>>>,
    on_miss: OnceLock<OnMiss>,
}

/// Reads the keys of tenants that another process made. Blocks for as long as that takes, and not for ever.
pub(crate) type OnMiss = Box<dyn Fn() + Send + Sync>;

impl Keyring {
    pub(crate) fn new(root: &RootKey) -> Self {
        let wrap = SealKey::new(&Zeroizing::new(derive(&root.0, b"wrap tenant keys")));
        let anchor = hmac::Key::new(hmac::HMAC_SHA256, &*Zeroizing::new(derive(&root.0, b"audit anchor")));
        let installation = SealKey::new(&Zeroizing::new(derive(&root.0, b"installation")));
        let codes = Codes::new(&Zeroizing::new(derive(&root.0, b"receipt codes")));
        let (check, tenants) = (root.check_value(), RwLock::new(HashMap::new()));
        Self { root: wrap, installation, anchor, codes, check, tenants, on_miss: OnceLock::new() }
    }

    /// See [`RootKey::check_value`].
    pub(crate) fn check_value(&self) -> [u8; 32] {
        self.check
    }

    /// What spells receipts' codes.
    pub(crate) fn codes(&self) -> &Codes {
        &self.codes
    }

    /// The signature of a line outside the database. Not a tenant's: it must be readable when the tenant is gone.
    pub(crate) fn anchor_mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        keyed_hash(&self.anchor, parts)
    }

    /// Seals what belongs to the installation and to no tenant.
    pub(crate) fn installation(&self) -> &SealKey {
        &self.installation
    }

    /// A key for a new tenant, wrapped. It is known here after [`Keyring::install`].
    pub(crate) fn new_tenant_key(&self, tenant: TenantId, entropy: &dyn Entropy) -> Vec<u8> {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes);
        self.root.seal(&tenant_key_place(tenant, tenant.as_uuid().as_bytes()), &*bytes, entropy)
    }

    /// Opens a stored tenant key and keeps it.
    pub(crate) fn install(&self, tenant: TenantId, wrapped: &[u8]) -> Result<Arc<TenantKeys>, DoesNotOpen> {
        let plain = self.root.open(&tenant_key_place(tenant, tenant.as_uuid().as_bytes()), wrapped)?;
        let plain = Zeroizing::new(plain);
        let bytes = Zeroizing::new(<[u8; 32]>::try_from(plain.as_slice()).map_err(|_| DoesNotOpen)?);
        let keys = Arc::new(TenantKeys::new(tenant, &bytes));
        self.tenants.write().unwrap_or_else(PoisonError::into_inner).insert(tenant, Arc::clone(&keys));
        Ok(keys)
    }

    /// What is done before a tenant is said to be unknown. The first that is given stays.
    pub(crate) fn on_miss(&self, read: OnMiss) {
        drop(self.on_miss.set(read));
    }

    /// A tenant's keys, if there is such a tenant.
    pub(crate) fn tenant(&self, tenant: TenantId) -> Option<Arc<TenantKeys>> {
        self.known(tenant).or_else(|| {
            self.on_miss.get()?();
            self.known(tenant)
        })
    }

    /// A tenant's keys, if they were read.
    pub(crate) fn known(&self, tenant: TenantId) -> Option<Arc<TenantKeys>> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(&tenant).cloned()
    }
}

fn tenant_key_place(tenant: TenantId, row: &[u8]) -> Place<'_> {
    Place { tenant, table: "wrapped_keys", row, column: "tenant" }
}

#[cfg(test)]
mod tests {
    use super::{Keyring, Owner, RootKey, RootKeyError};
    use causeway_core::clock::SeededEntropy;
    use causeway_core::email::NormalEmail;
    use causeway_core::ids::{SubmissionId, TenantId};
    use jiff::Timestamp;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_root_key_is_written_once_and_read_back_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        assert!(matches!(RootKey::load(&path), Err(RootKeyError::Missing(_))));
        let made = RootKey::init(&path, &SeededEntropy::new(3)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(RootKey::load(&path).unwrap().check_value(), made.check_value());
        assert!(matches!(RootKey::init(&path, &SeededEntropy::new(4)), Err(RootKeyError::Exists(_))));

        for mode in [0o640, 0o604, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(RootKey::load(&path), Err(RootKeyError::Readable { .. })), "{mode:o}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "causeway-root-key-1:abcd").unwrap();
        assert!(matches!(RootKey::load(&path), Err(RootKeyError::Unreadable(_))));
    }

    #[test]
    fn keys_open_only_for_their_tenant_and_owner() {
        let entropy = SeededEntropy::new(5);
        let ring = Keyring::new(&RootKey::generate(&entropy));
        let [ours, theirs] = [(); 2].map(|()| TenantId::new(Timestamp::UNIX_EPOCH, &entropy));
        let wrapped = ring.new_tenant_key(ours, &entropy);
        assert!(ring.install(theirs, &wrapped).is_err());
        let keys = ring.install(ours, &wrapped).unwrap();
        let other = ring.install(theirs, &ring.new_tenant_key(theirs, &entropy)).unwrap();
        let [first, second] = [(); 2].map(|()| SubmissionId::new(Timestamp::UNIX_EPOCH, &entropy));
        let (_, data_key) = keys.new_data_key(Owner::Submission(first), &entropy);
        assert!(keys.open_data_key(Owner::Submission(first), &data_key).is_ok());
        assert!(keys.open_data_key(Owner::Submission(second), &data_key).is_err());
        assert!(keys.open_data_key(Owner::Demographics(first), &data_key).is_err());
        assert!(other.open_data_key(Owner::Submission(first), &data_key).is_err());
    }

    #[test]
    fn an_address_has_unrelated_indexes_in_two_tenants() {
        let entropy = SeededEntropy::new(6);
        let ring = Keyring::new(&RootKey::generate(&entropy));
        let [ours, theirs] = [(); 2].map(|()| {
            let tenant = TenantId::new(Timestamp::UNIX_EPOCH, &entropy);
            ring.install(tenant, &ring.new_tenant_key(tenant, &entropy)).unwrap()
        });
        let plain = NormalEmail::parse("Ada@Example.org").unwrap();
        let tagged = NormalEmail::parse("ada+jobs@example.org").unwrap();
        assert_ne!(ours.blind(&plain).exact, theirs.blind(&plain).exact);
        assert_eq!(ours.blind(&plain).base, None);
        assert_ne!(ours.blind(&tagged).exact, ours.blind(&plain).exact);
        assert_eq!(ours.blind(&tagged).base_or_exact(), ours.blind(&plain).base_or_exact());
    }
}
