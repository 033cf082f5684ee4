//! Where a request may go: every range, every spelling.

use serde_json::json;

use super::*;
use crate::egress::client::{GuardedResolver, Resolver};
use crate::egress::testing::{DESCRIPTOR, record};

#[test]
fn every_range_has_its_verdict() {
    use Address::{Denied, Private, Public};
    for (text, expected) in [
        ("93.184.216.34", Public),
        ("8.8.8.8", Public),
        ("172.15.255.255", Public),
        ("172.32.0.0", Public),
        ("100.63.255.255", Public),
        ("100.128.0.0", Public),
        ("198.17.255.255", Public),
        ("223.255.255.255", Public),
        ("2606:4700::1111", Public),
        ("2a00:1450:4001::1", Public),
        ("127.0.0.1", Private),
        ("127.255.255.254", Private),
        ("10.0.0.1", Private),
        ("172.16.0.1", Private),
        ("172.31.255.255", Private),
        ("192.168.1.1", Private),
        ("100.64.0.1", Private),
        ("::1", Private),
        ("fd00::1", Private),
        ("fc00::1", Private),
        ("::ffff:127.0.0.1", Private),
        ("::ffff:10.1.2.3", Private),
        ("0.0.0.0", Denied),
        ("0.1.2.3", Denied),
        ("169.254.169.254", Denied),
        ("192.0.0.8", Denied),
        ("192.0.2.1", Denied),
        ("192.88.99.1", Denied),
        ("198.18.0.1", Denied),
        ("198.19.255.255", Denied),
        ("198.51.100.7", Denied),
        ("203.0.113.7", Denied),
        ("224.0.0.1", Denied),
        ("239.255.255.255", Denied),
        ("240.0.0.1", Denied),
        ("255.255.255.255", Denied),
        ("::", Denied),
        ("::7f00:1", Denied),
        ("::ffff:169.254.169.254", Denied),
        ("fe80::1", Denied),
        ("fec0::1", Denied),
        ("ff02::1", Denied),
        ("2001::1", Denied),
        ("2001:db8::1", Denied),
        ("2002:7f00:1::", Denied),
        ("3fff::1", Denied),
        ("100::1", Denied),
        ("64:ff9b::7f00:1", Denied),
        ("64:ff9b:1::1", Denied),
        ("5f00::1", Denied),
    ] {
        assert_eq!(judge(text.parse().unwrap()), expected, "{text}");
    }
}

fn guard(base: &str, allow_private: bool) -> Guard {
    let mut record = record("scripted", json!({ "base_url": base }));
    record.account.allow_private = allow_private;
    Guard::new(&DESCRIPTOR, &record.account)
}

fn refused(guard: &Guard, uri: &str) -> bool {
    uri.parse::<Uri>().is_ok_and(|uri| guard.check(&uri).is_err())
}

#[test]
fn only_the_accounts_own_hosts_over_https() {
    let guard = guard("https://api.vendor.test/v1", false);
    for uri in [
        "https://api.vendor.test/jobs",
        "https://API.vendor.test/",
        "https://api.vendor.test:443/x",
        "https://auth.vendor.test/token",
    ] {
        assert_eq!(guard.check(&uri.parse().unwrap()), Ok(()), "{uri}");
    }
    for uri in [
        "http://api.vendor.test/",
        "https://api.vendor.test:8443/",
        "https://vendor.test/",
        "https://evil.test/",
        "https://api.vendor.test.evil.test/",
        "https://user:word@api.vendor.test/",
        "https://api.vendor.test@evil.test/",
        "https://127.0.0.1/",
        "https://169.254.169.254/",
        "/no-host",
    ] {
        assert!(refused(&guard, uri), "{uri}");
    }
}

#[test]
fn an_address_is_judged_in_every_spelling() {
    for base in [
        "https://127.0.0.1",
        "https://2130706433",
        "https://0x7f000001",
        "https://0177.0.0.1",
        "https://127.1",
        "https://[::ffff:127.0.0.1]",
        "https://[::1]",
    ] {
        let guard = guard(base, false);
        assert!(refused(&guard, &format!("{base}/")), "{base}");
        assert!(refused(&guard, "https://127.0.0.1/"), "{base}");
    }
    for spelled in ["http://2130706433:80/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/"] {
        assert!(refused(&guard("http://127.0.0.1", true), spelled), "{spelled}");
    }
    assert!(
        refused(&guard("https://169.254.169.254", true), "https://169.254.169.254/"),
        "not even for private accounts"
    );
}

#[test]
fn plain_http_only_to_the_loopback_of_a_private_account() {
    assert!(!refused(&guard("http://127.0.0.1:9101", true), "http://127.0.0.1:9101/v1"));
    assert!(!refused(&guard("http://localhost:9101", true), "http://localhost:9101/v1"));
    assert!(!refused(&guard("http://[::1]:9101", true), "http://[::1]:9101/v1"));
    assert!(refused(&guard("http://127.0.0.1:9101", false), "http://127.0.0.1:9101/v1"));
    assert!(refused(&guard("http://10.0.0.1", true), "http://10.0.0.1/"));
    assert!(refused(&guard("http://api.vendor.test", true), "http://api.vendor.test/"));
}

/// May a request go there because an answer said so?
fn named(guard: &Guard, uri: &str, authorised: bool) -> bool {
    let mut request = Request::builder().uri(uri).extension(NamedByVendor).body(Bytes::new()).unwrap();
    if authorised {
        request.headers_mut().insert(header::AUTHORIZATION, "Basic c2VjcmV0Og==".parse().unwrap());
    }
    guard.judge(&request).is_ok()
}

#[test]
fn a_host_that_an_answer_named_needs_leave_and_gets_no_credential() {
    let upload = "https://storage.elsewhere.test/put?signature=1";
    let mut guard = guard("https://api.vendor.test", false);
    assert!(!named(&guard, upload, false), "the Descriptor does not say that answers name hosts");
    guard.names_hosts = true;
    assert!(named(&guard, upload, false));
    assert!(refused(&guard, upload), "an ordinary request still goes to the account's hosts alone");
    assert!(!named(&guard, upload, true), "no credential goes there");
    assert!(!named(&guard, "https://api.vendor.test/", true), "not even to the account's own host, unmarked would do");
    for uri in [
        "http://storage.elsewhere.test/put",
        "https://storage.elsewhere.test:8443/put",
        "https://user:word@storage.elsewhere.test/put",
        "https://127.0.0.1/put",
        "https://10.0.0.1/put",
        "https://169.254.169.254/latest",
        "https://[::1]/put",
        "https://2130706433/put",
    ] {
        assert!(!named(&guard, uri, false), "{uri}");
    }
    guard.allow_private = true;
    assert!(named(&guard, "http://localhost:9101/storage/1", false), "a sandbox's own storage");
    assert!(!named(&guard, "http://10.0.0.1/put", false) && !named(&guard, "https://169.254.169.254/", false));
}

struct Rebinding(std::sync::Mutex<Vec<Vec<&'static str>>>);

#[async_trait::async_trait]
impl Resolver for Rebinding {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<std::net::SocketAddr>> {
        let answer = self.0.lock().unwrap().remove(0);
        Ok(answer.into_iter().map(|text| (text.parse::<IpAddr>().unwrap(), 0).into()).collect())
    }
}

#[tokio::test]
async fn a_name_that_turns_private_is_refused_when_it_connects() {
    use tower::ServiceExt;
    let answers =
        vec![vec!["93.184.216.34"], vec!["127.0.0.1"], vec!["93.184.216.34", "10.0.0.1"], vec!["::ffff:127.0.0.1"]];
    let resolver = std::sync::Arc::new(Rebinding(answers.into()));
    let guarded = GuardedResolver { resolver, allow_private: false };
    let mut came = Vec::new();
    for _ in 0..4 {
        came.push(guarded.clone().oneshot("api.vendor.test".parse().unwrap()).await.is_ok());
    }
    assert_eq!(came, [true, false, false, false]);
}
