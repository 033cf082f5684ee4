//! The link and what doctor says of it, over a real Redis.

use bytes::Bytes;
use causeway_servers::Redis;

use super::forms::Forms;
use super::*;
use crate::config::Config;
use crate::intake::FormCache as _;
use crate::store::finding::{Finding, Health};
use crate::trust::issuer::Issuer;

fn at(url: &str, gateways: u32) -> RedisAt {
    let mut config = Config::default().fixed.redis;
    config.url = serde_json::from_value(url.into()).unwrap();
    config.gateways = gateways;
    config
}

async fn found(url: &str) -> Finding {
    examine(&at(url, 2)).await.into_iter().next().expect("a finding")
}

#[tokio::test]
async fn doctor_names_the_trouble_and_what_to_do() {
    let redis = Redis::start().unwrap();
    let well = examine(&at(&redis.url(), 2)).await;
    assert!(well.iter().all(|finding| finding.state != Health::Bad), "{well:?}");
    assert!(well[0].text.contains("can be written"), "{well:?}");
    let alone = examine(&at(&redis.url(), 1)).await;
    assert!(alone.iter().any(|finding| finding.what == "redis.gateways"), "{alone:?}");
    assert_eq!(examine(&at("", 2)).await, []);

    let port = redis.port();
    for (url, told) in [
        ("localhost:6379".to_owned(), "write redis://"),
        (format!("redis://:wrong@127.0.0.1:{port}/0"), "refuses the user or the password"),
        (format!("redis://127.0.0.1:{port}/0"), "refuses the user or the password"),
        ("redis://127.0.0.1:1/0".to_owned(), "there is no connection"),
    ] {
        let finding = found(&url).await;
        assert_eq!(finding.state, Health::Bad, "{finding:?}");
        assert!(finding.text.contains(told) && !finding.text.contains("wrong"), "{finding:?}");
    }
    redis.config_set("maxmemory", "1").unwrap();
    assert!(found(&redis.url()).await.text.contains("memory is used up"));
    redis.config_set("maxmemory", "0").unwrap();
    redis.command(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    assert!(found(&redis.url()).await.text.contains("a replica"));
    redis.command(&["REPLICAOF", "NO", "ONE"]).unwrap();
    redis.command(&["ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@read", "+@connection"]).unwrap();
    let finding = found(&format!("redis://reader:secret@127.0.0.1:{port}/0")).await;
    assert!(finding.text.contains("may not do"), "{finding:?}");
    redis.freeze().unwrap();
    assert!(found(&redis.url()).await.text.contains("in time"));
}

#[tokio::test]
async fn it_is_believed_only_with_a_certificate_of_a_named_authority_for_its_name() {
    let (ours, theirs) = (Issuer::new("ours"), Issuer::new("theirs"));
    let folder = tempfile::tempdir().unwrap();
    let port = causeway_servers::free_port().unwrap();
    let (certificate, key) = ours.issue("127.0.0.1", (2020, 2090)).write(folder.path());
    let [certificate, key] = [certificate, key].map(|file| file.display().to_string());
    let settings = [
        ("tls-port", &*port.to_string()),
        ("tls-cert-file", &certificate),
        ("tls-key-file", &key),
        ("tls-auth-clients", "no"),
    ];
    let redis = Redis::start_with(&settings).unwrap();
    let certify = |years: (i32, i32), name: &str| {
        ours.issue(name, years).write(folder.path());
        redis.command(&["CONFIG", "SET", "tls-cert-file", &certificate, "tls-key-file", &key]).unwrap();
    };
    let url = |scheme: &str, port: u16| format!("{scheme}://:{}@127.0.0.1:{port}/0", redis.password());
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    // Two in one file, as when an authority is replaced.
    let good = file("ours.pem", &format!("{}{}", theirs.pem(), ours.pem()));
    let wrong = file("theirs.pem", &theirs.pem());
    let none = file("none.pem", "nothing\n");
    let trusting = |url: String, ca_file: &std::path::Path| RedisAt { ca_file: ca_file.to_owned(), ..at(&url, 2) };
    let well = trusting(url("rediss", port), &good);
    let refused = async |at: &RedisAt, words: &str| {
        let finding = examine(at).await.into_iter().next().expect("a finding");
        assert_eq!(finding.state, Health::Bad, "{finding:?}");
        assert!(finding.text.contains(words) && !finding.text.contains(redis.password()), "{words}: {finding:?}");
    };

    assert_eq!(examine(&well).await[0].state, Health::Well, "{:?}", examine(&well).await);
    let link = Link::open(&well).unwrap().expect("one is configured");
    link.until(true).await;
    let answer = link.ask(async |mut conn| redis::cmd("PING").query_async::<String>(&mut conn).await).await;
    assert_eq!(answer.as_deref(), Some("PONG"));

    refused(&trusting(url("rediss", port), &wrong), "signed by nobody who is trusted: name its authority's file").await;
    refused(&at(&url("rediss", port), 2), "signed by nobody who is trusted").await;
    refused(&trusting(url("rediss", port), &none), "none.pem is no file of certificates").await;
    refused(
        &trusting(url("rediss", port), &folder.path().join("nowhere")),
        "nowhere cannot be read (entity not found)",
    )
    .await;
    refused(&trusting(url("redis", port), &good), "redis.url is not encrypted: write rediss://").await;
    refused(&trusting(url("rediss", redis.port()), &good), "that the port of redis.url is one for TLS").await;
    refused(&at(&url("redis", port), 2), "with rediss:// where the port is one for TLS").await;
    // No fragment of an URL switches the check off.
    refused(
        &trusting(format!("{}#insecure", url("rediss", port)), &wrong),
        "ends in #insecure: a certificate is always verified",
    )
    .await;

    assert_eq!(examine(&well).await[0].state, Health::Well, "it was there all the time");
    redis.config_set("tls-auth-clients", "yes").unwrap();
    refused(&well, "may want a client's certificate, and the gateway has none to send: its tls-auth-clients").await;
    redis.config_set("tls-auth-clients", "no").unwrap();
    let broken =
        rustls_native_certs::load_certs_from_paths(Some(&folder.path().join("nowhere")), None).errors.remove(0);
    assert_eq!(Trouble::from(&RedisError::from(broken)), Trouble::Machine);

    certify((2020, 2090), "redis.example.org");
    refused(&well, "is for another name: use the name it is for as the host in redis.url").await;
    certify((2010, 2020), "127.0.0.1");
    refused(&well, "has run out").await;
    certify((2080, 2090), "127.0.0.1");
    refused(&well, "is not valid yet").await;
}

#[tokio::test]
async fn a_gateway_starts_without_it_and_is_told_why() {
    let redis = Redis::start().unwrap();
    redis.kill().unwrap();
    let link = Link::open(&at(&redis.url(), 2)).unwrap().expect("one is configured");
    assert_eq!(link.first_look().await, Some(Trouble::Unreachable));
    assert!(!link.figures().up);
    redis.restart().unwrap();
    link.until(true).await;
    assert_eq!(link.first_look().await, None);
    assert!(Link::open(&at("", 2)).unwrap().is_none());
    assert!(Link::open(&at("http://127.0.0.1", 2)).is_err());
}

#[tokio::test]
async fn a_form_made_by_one_is_there_for_others() {
    let redis = Redis::start().unwrap();
    let [ours, theirs] = [(); 2].map(|()| Link::to(&redis.url(), 2).unwrap());
    ours.until(true).await;
    theirs.until(true).await;
    let (ours, theirs) = (Forms(ours), Forms(theirs));
    let form = Bytes::from_static(b"{\"questions\":[]}");
    while theirs.get("key").await.is_none() {
        ours.put("key".to_owned(), form.clone());
        tokio::task::yield_now().await;
    }
    assert_eq!(theirs.get("key").await, Some(form));
    assert_eq!(theirs.get("other").await, None);
    redis.command(&["SETRANGE", "causeway:form:key", "40", "x"]).unwrap();
    assert_eq!(theirs.get("key").await, None, "what was changed is no form");
}
