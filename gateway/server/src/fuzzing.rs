//! Fuzz targets over what strangers send: a document, a multipart body, a vendor's form, a text that should be a key.
//!
//! Each takes any bytes and panics when a promise does not hold; none touches a disk or a socket. The tests drive them on
//! every build over the corpora and a bounded number of mutations; `tests/fuzz` drives the same functions under a fuzzer.
//! Not part of the program: this module is there for tests and behind a feature.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::account::{Account, OnInvalid, OnUnknown, Repeats, Role};
use causeway_core::application::Application;
use causeway_core::clock::SeededEntropy;
use causeway_core::connector::{Connector, Http, SendError};
use causeway_core::ids::{AccountId, DeliveryId, SubmissionId, TenantId};
use futures_util::FutureExt as _;
use http::{Request, Response};
use jiff::Timestamp;
use serde_json::Value;

use crate::ingress::multipart;
use crate::schema::{PartMark, Schemas, Target, fingerprint};
use crate::store::code::Codes;
use crate::store::keys::{Keyring, Owner, RootKey, TenantKeys};

struct World {
    connectors: Vec<Arc<dyn Connector>>,
    accounts: Vec<Account>,
    schemas: Schemas,
    keys: Arc<TenantKeys>,
    wrapped: Vec<u8>,
}

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let entropy = SeededEntropy::new(5);
    let connectors = causeway_connectors::all();
    let schemas = Schemas::new(&connectors).expect("the schemas of this build compile");
    let tenant = TenantId::new(NOW, &entropy);
    let accounts = connectors.iter().map(|connector| account(connector.as_ref(), tenant, &entropy)).collect();
    let keyring = Keyring::new(&RootKey::generate(&entropy));
    let wrapped = keyring.new_tenant_key(tenant, &entropy);
    let keys = keyring.install(tenant, &wrapped).expect("what was wrapped opens");
    let (_, wrapped) = keys.new_data_key(Owner::Submission(owner()), &entropy);
    World { connectors, accounts, schemas, keys, wrapped }
});

fn owner() -> SubmissionId {
    SubmissionId::new(NOW, &SeededEntropy::new(6))
}

fn account(connector: &dyn Connector, tenant: TenantId, entropy: &SeededEntropy) -> Account {
    let descriptor = connector.describe();
    let settings = descriptor.settings.iter().filter(|field| field.required);
    let value = |url: bool| Value::from(if url { "https://vendor.example.org" } else { "acme" });
    Account {
        id: AccountId::new(NOW, entropy),
        tenant,
        name: descriptor.name.to_owned(),
        connector: descriptor.name.to_owned(),
        role: descriptor.roles.first().copied().unwrap_or(Role::Ats),
        settings: settings.map(|field| (field.name.to_owned(), value(field.is_url))).collect(),
        allow_private: false,
        on_invalid: OnInvalid::default(),
        repeats: Repeats::default(),
        on_unknown: OnUnknown::default(),
    }
}

/// A request body as JSON: what is taken is what any JSON reader reads, says the same when it is written and read again,
/// and is a document once the schemas take it. A refusal repeats nothing.
///
/// # Panics
/// When that is not so.
pub fn json_accept(bytes: &[u8]) {
    let world = &*WORLD;
    let document = match world.schemas.parse(bytes) {
        Ok(document) => document,
        Err(error) => {
            let told = error.to_string();
            assert!(told.len() < 300 && told.is_ascii(), "a refusal is one line of ours: {told}");
            return;
        }
    };
    let plain: Value = serde_json::from_slice(bytes).expect("what the strict reader takes, any reader takes");
    assert_eq!(document, plain, "both read the same");
    let again = world.schemas.parse(document.to_string().as_bytes()).expect("what was written can be read");
    assert_eq!(document, again, "nothing is lost on the way");
    let part = PartMark { name: "cv", media_type: None, sha256: [7; 32] };
    assert_eq!(fingerprint(&document, &[part]), fingerprint(&again, &[part]), "the same is recognised as the same");
    let targets: Vec<Target<'_>> = world
        .accounts
        .iter()
        .zip(&world.connectors)
        .map(|(account, connector)| Target { account, connector: connector.as_ref(), form: None })
        .collect();
    let verdict = world.schemas.check(&document, &targets);
    assert_eq!(verdict.canonical.is_empty(), world.schemas.is_canonical(&document), "both ways to ask agree");
    let errors = verdict.all_errors();
    assert!(errors.len() <= 2_000, "{} complaints", errors.len());
    if verdict.canonical.is_empty() {
        Application::parse(bytes).expect("what the canonical schema takes is an application");
    }
}

/// A multipart body under the boundary `b`: what is taken keeps the limits, its parts are pieces of the body, and the same
/// parts written again are read again.
///
/// # Panics
/// When that is not so.
pub fn multipart_body(bytes: &[u8]) {
    let Some((document, files)) = multipart::whole(Bytes::copy_from_slice(bytes), "b") else { return };
    let is_in = |part: &[u8]| part.is_empty() || bytes.windows(part.len()).any(|window| window == part);
    assert!(is_in(&document) && files.iter().all(|file| is_in(&file.bytes)), "a part is a piece of the body");
    assert!(files.len() <= 10, "{} files", files.len());
    let mut names: Vec<&str> = files.iter().map(|file| file.id.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), files.len(), "no name twice");
    let mut written = Vec::new();
    let mut part = |name: &str, file: bool, content: &[u8]| {
        assert!(!content.windows(5).any(|window| window == b"\r\n--b"), "a part ends at its boundary");
        assert!(!name.chars().any(char::is_control), "a name is a name");
        let name = name.replace('\\', "\\\\").replace('"', "\\\"");
        let named = if file { "; filename=\"f\"" } else { "" };
        written.extend(format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{named}\r\n\r\n").into_bytes());
        written.extend(content);
        written.extend(b"\r\n");
    };
    part("application", false, &document);
    files.iter().for_each(|file| part(&file.id, true, &file.bytes));
    written.extend(b"--b--\r\n");
    let again = multipart::whole(Bytes::from(written), "b");
    let (same, parts) = again.expect("the same parts are read again");
    let of = |files: &[crate::intake::FilePart]| {
        files.iter().map(|file| (file.id.clone(), file.bytes.clone(), file.sha256)).collect::<Vec<_>>()
    };
    assert_eq!((document, of(&files)), (same, of(&parts)));
}

/// Answers every request with the same 200.
struct Says(Bytes);

#[async_trait]
impl Http for Says {
    async fn send(&self, _: Request<Bytes>) -> Result<Response<Bytes>, SendError> {
        Ok(Response::new(self.0.clone()))
    }
}

/// A vendor's page of questions: what can be read as a form has a schema that compiles, or one that is refused in words.
///
/// # Panics
/// When that is not so.
pub fn form_to_schema(bytes: &[u8]) {
    let world = &*WORLD;
    let told: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let id = ["/id", "/results/id"].iter().find_map(|place| told.pointer(place));
    let id = id.map_or_else(|| "1".to_owned(), |id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
    let http = Says(Bytes::copy_from_slice(bytes));
    for (account, connector) in world.accounts.iter().zip(&world.connectors) {
        let fetched = connector.fetch_form(account, &id, &http).now_or_never().expect("nothing here waits");
        let Ok(form) = fetched else { continue };
        // A schema of its own each time: what was compiled before is no measure of what comes now.
        if let Err(error) = world.schemas.prepare(connector.as_ref(), &form) {
            assert!(!error.to_string().is_empty());
        }
    }
}

/// Texts that should be a receipt's code or an id, bytes that should be a wrapped key: refused, or the one they spell.
///
/// # Panics
/// When that is not so.
pub fn keys_and_codes(bytes: &[u8]) {
    let world = &*WORLD;
    let text = String::from_utf8_lossy(bytes);
    let codes = Codes::new(&[7; 32]);
    if let Some(number) = codes.number(&text) {
        let code = codes.of(number).expect("a number that was read can be spelt");
        assert_eq!(codes.number(&code), Some(number), "a code spells its number");
    }
    macro_rules! spells_itself {
        ($($id:ty)*) => { $(
            if let Ok(id) = text.parse::<$id>() {
                assert_eq!(id.to_string().parse::<$id>().ok(), Some(id), "an id spells itself");
            }
        )* };
    }
    spells_itself!(SubmissionId DeliveryId AccountId TenantId);
    let opened = world.keys.open_data_key(Owner::Submission(owner()), bytes).is_ok();
    assert_eq!(opened, bytes == world.wrapped, "a key opens as it was wrapped, or not at all");
    assert!(world.keys.open_data_key(Owner::Demographics(owner()), bytes).is_err(), "and in its own place only");
}

#[cfg(test)]
#[path = "fuzzing_tests.rs"]
mod tests;
