//! Signatures as Standard Webhooks has them: HMAC-SHA256 over `id.timestamp.body`, base64, `v1,` before it, one for each
//! secret. A secret is `whsec_` and the base64 of its bytes.

use aws_lc_rs::hmac;
use causeway_core::clock::Entropy;
use causeway_core::pii::Secret;
use data_encoding::BASE64;
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";

/// 192 random bits.
pub(super) fn new_secret(entropy: &dyn Entropy) -> Secret {
    let mut bytes = Zeroizing::new([0u8; 24]);
    entropy.fill(&mut *bytes);
    Secret::new(format!("{PREFIX}{}", BASE64.encode(&*bytes)))
}

/// The header's value: a signature for each secret, with a space between them. `None` when there is none.
pub(super) fn all(secrets: &[Secret], id: &str, timestamp: &str, body: &[u8]) -> Option<String> {
    let signatures: Vec<String> =
        secrets.iter().filter_map(|secret| one(secret, id, timestamp, body)).map(|text| format!("v1,{text}")).collect();
    (!signatures.is_empty()).then(|| signatures.join(" "))
}

fn one(secret: &Secret, id: &str, timestamp: &str, body: &[u8]) -> Option<String> {
    let bytes = BASE64.decode(secret.reveal().strip_prefix(PREFIX)?.as_bytes()).ok().map(Zeroizing::new)?;
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &bytes));
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        context.update(part);
    }
    Some(BASE64.encode(context.sign().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn the_standards_example_is_signed_as_it_says() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let signed = all(std::slice::from_ref(&secret), "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(signed.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn each_secret_signs_and_none_is_no_signature() {
        let entropy = causeway_core::clock::SeededEntropy::new(3);
        let [old, new] = [(); 2].map(|()| new_secret(&entropy));
        assert_ne!(old.reveal(), new.reveal());
        let alone = |secret: &Secret| all(std::slice::from_ref(secret), "msg_1", "1", b"{}").unwrap();
        let both = all(&[new.clone(), old.clone()], "msg_1", "1", b"{}").unwrap();
        assert_eq!(both, format!("{} {}", alone(&new), alone(&old)));
        assert_eq!(all(&[], "msg_1", "1", b"{}"), None);
    }
}
