//! `GET /v1/applications/{id}/receipt`, and the public keys that verify what it answers. Signing is the store's.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::response::Response;
use causeway_core::ids::{ReceiptKeyId, SubmissionId, TenantId};
use causeway_core::problem::Code;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::applications;
use super::auth::Caller;
use crate::intake::{Refusal, unavailable};
use crate::openapi::{Operation, Routes};
use crate::store::receipts::{FORMAT, ReceiptKey, Receipts, SignedReceipt};
use crate::store::setup::Scope;

/// A signed receipt.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SignedReceipt")]
struct Shown {
    format: &'static str,
    tenant: TenantId,
    application: SubmissionId,
    test: bool,
    received_at: Timestamp,
    /// As it stands in the signed text.
    received_ms: i64,
    document: String,
    files: Vec<String>,
    key: ReceiptKeyId,
    signature: String,
}

impl From<SignedReceipt> for Shown {
    fn from(SignedReceipt { facts, key, signature }: SignedReceipt) -> Self {
        let mut files: Vec<String> = facts.files.iter().map(|file| HEXLOWER.encode(file)).collect();
        files.sort_unstable();
        Self {
            format: FORMAT,
            tenant: facts.tenant,
            application: facts.application,
            test: facts.test,
            received_at: facts.received_at,
            received_ms: facts.received_at.as_millisecond(),
            document: HEXLOWER.encode(&facts.document),
            files,
            key,
            signature: BASE64.encode(&signature),
        }
    }
}

/// A set of JSON Web Keys (RFC 7517, RFC 8037), as most libraries read one.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReceiptKeys")]
struct Keys {
    keys: Vec<PublicKey>,
}

#[derive(Serialize, JsonSchema)]
struct PublicKey {
    kid: ReceiptKeyId,
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    r#use: &'static str,
    x: String,
    since: Timestamp,
}

impl From<ReceiptKey> for PublicKey {
    fn from(key: ReceiptKey) -> Self {
        Self {
            kid: key.id,
            kty: "OKP",
            crv: "Ed25519",
            alg: "EdDSA",
            r#use: "sig",
            x: BASE64URL_NOPAD.encode(&key.public),
            since: key.since,
        }
    }
}

const READERS: [Scope; 2] = [Scope::Read, Scope::Submit];

/// For keys.
pub(super) fn routes() -> Routes<Arc<dyn Receipts>> {
    let described = Operation::new("signedReceipt", "Proof of what was accepted")
        .details(
            "Ed25519 over a text of lines: `causeway receipt v1`, tenant, application, world, received (milliseconds), \
             document (the 202's digest), files, and each file's hash. The same signature every time.",
        )
        .needs(&READERS)
        .path::<SubmissionId>("id", "As in the receipt.")
        .answers::<Shown>(200, "The signed facts.")
        .refuses(&[Code::NotFound]);
    Routes::new().get("/v1/applications/{id}/receipt", receipt, described)
}

/// For everybody.
pub(super) fn keys_routes() -> Routes<Arc<dyn Receipts>> {
    let described = Operation::new("receiptKeys", "The public keys that verify receipts")
        .answers::<Keys>(200, "A set of JSON Web Keys (RFC 7517, RFC 8037).")
        .refuses(&[Code::StoreUnavailable]);
    Routes::new().get("/.well-known/causeway-receipt-keys", keys, described)
}

async fn receipt(
    State(receipts): State<Arc<dyn Receipts>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    caller.require(&READERS)?;
    // What is no id at all is answered like an id nobody has.
    let id = id.parse().map_err(|_| Refusal::from(Code::NotFound))?;
    let sender = caller.sender();
    let signed = receipts.signed_receipt(sender.tenant, id, sender.test).await;
    answer(&Shown::from(signed.map_err(|error| unavailable("receipt", &error))?), "no-store")
}

/// The same for everybody: who verifies a receipt need not have a key of ours.
async fn keys(State(receipts): State<Arc<dyn Receipts>>) -> Result<Response, Refusal> {
    let keys = receipts.receipt_keys().await.map_err(|error| unavailable("receipt keys", &error))?;
    answer(&Keys { keys: keys.into_iter().map(PublicKey::from).collect() }, "public, max-age=300")
}

fn answer(shown: &impl Serialize, cached: &'static str) -> Result<Response, Refusal> {
    let body = serde_json::to_vec(shown).map_err(|error| {
        tracing::error!(%error, "a receipt has no JSON form");
        Refusal::from(Code::Internal)
    })?;
    let mut response = applications::answer(StatusCode::OK, body.into());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(cached));
    Ok(response)
}
