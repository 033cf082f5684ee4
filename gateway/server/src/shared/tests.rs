//! The link and what doctor says of it, over a real Redis.

use bytes::Bytes;
use causeway_servers::Redis;

use super::forms::Forms;
use super::*;
use crate::config::Config;
use crate::intake::FormCache as _;
use crate::store::finding::{Finding, Health};

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
