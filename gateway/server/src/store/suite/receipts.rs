//! Signed receipts: what they say, whom they are shown to, and which key signs.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use bytes::Bytes;
use causeway_core::email::NormalEmail;
use causeway_core::ids::SubmissionId;

use super::world::{Backend, World};
use crate::hash::sha256;
use crate::store::StoreError;
use crate::store::intake::NewAttachment;
use crate::store::receipts::SignedReceipt;

/// What intake would have answered, as far as it matters here.
const DIGEST: [u8; 32] = [0xa5; 32];

impl<B: Backend> World<B> {
    async fn with_receipt(&self, email: &str, test: bool, files: &[&'static str]) -> SubmissionId {
        let mut application = self.application(email);
        let token = format!("rcp_{}", "a5".repeat(32));
        application.receipt = Bytes::from(format!(r#"{{"id":"{}","receipt":"{token}","code":"X"}}"#, application.id));
        application.test = test;
        let attachment = |(index, text): (usize, &&'static str)| NewAttachment {
            id: format!("file-{index}"),
            sha256: sha256(text.as_bytes()),
            bytes: Bytes::from_static(text.as_bytes()),
        };
        application.attachments = files.iter().enumerate().map(attachment).collect();
        self.accept(application).await.0
    }

    async fn signed(&self, id: SubmissionId) -> SignedReceipt {
        self.backend.receipts().signed_receipt(self.tenant, id, false).await.unwrap()
    }

    /// With the public key that is listed under the receipt's key.
    async fn verifies(&self, receipt: &SignedReceipt) -> bool {
        let keys = self.backend.receipts().receipt_keys().await.unwrap();
        let key = keys.into_iter().find(|key| key.id == receipt.key).expect("it is listed");
        let public = UnparsedPublicKey::new(&ED25519, key.public);
        public.verify(receipt.facts.text().as_bytes(), &receipt.signature).is_ok()
    }
}

pub(crate) async fn a_receipt_says_what_was_stored_and_verifies<B: Backend>(w: World<B>) {
    let received_at = w.now();
    let id = w.with_receipt("ada@example.org", false, &["one", "two"]).await;
    w.pass(1_000);
    let signed = w.signed(id).await;
    assert_eq!((signed.facts.application, signed.facts.received_at), (id, received_at));
    assert_eq!((signed.facts.tenant, signed.facts.test, signed.facts.document), (w.tenant, false, DIGEST));
    assert_eq!(signed.facts.files, [sha256(b"one"), sha256(b"two")]);
    assert!(w.verifies(&signed).await);
    assert_eq!(w.signed(id).await, signed, "the same signature every time");
    let mut other = signed.clone();
    other.facts.files.pop();
    assert!(!w.verifies(&other).await);
}

pub(crate) async fn a_receipt_is_its_tenants_and_its_worlds_and_goes_with_an_erasure<B: Backend>(w: World<B>) {
    let id = w.with_receipt("ada@example.org", false, &["one"]).await;
    let test = w.with_receipt("bo@example.org", true, &[]).await;
    let (other, _) = w.other_tenant().await;
    let receipts = w.backend.receipts();
    let absent = async |tenant, id, test| {
        let answer = receipts.signed_receipt(tenant, id, test).await;
        assert!(matches!(answer, Err(StoreError::NotFound(_))), "{answer:?}");
    };
    absent(other, id, false).await;
    absent(w.tenant, id, true).await;
    absent(w.tenant, test, false).await;
    assert!(receipts.signed_receipt(w.tenant, test, true).await.unwrap().facts.text().contains("\nworld test\n"));
    w.store.erase(w.tenant, &NormalEmail::parse("ada@example.org").unwrap(), "test", w.now()).await.unwrap();
    absent(w.tenant, id, false).await;
}

pub(crate) async fn a_new_key_signs_what_comes_from_then_on<B: Backend>(w: World<B>) {
    let receipts = w.backend.receipts();
    let first = receipts.receipt_keys().await.unwrap();
    assert_eq!(first.len(), 1, "a store has one from the beginning");
    let old = w.with_receipt("ada@example.org", false, &[]).await;
    let before = w.signed(old).await;
    w.pass(1);
    let second = receipts.rotate_receipt_key("test", w.now()).await.unwrap();
    let new = w.with_receipt("bo@example.org", false, &[]).await;
    assert_eq!(w.signed(old).await, before, "an old receipt keeps its signature");
    let signed = w.signed(new).await;
    assert_eq!((before.key, signed.key), (first[0].id, second.id));
    assert!(w.verifies(&before).await && w.verifies(&signed).await);
    assert_eq!(receipts.receipt_keys().await.unwrap(), [first[0].clone(), second]);
    assert_eq!(w.store.verify_audit(w.tenant).await.unwrap(), None);
}
