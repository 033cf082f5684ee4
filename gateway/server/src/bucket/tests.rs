//! What a configuration may say, and what doctor says of a bucket.

use causeway_core::clock::SeededEntropy;
use causeway_servers::S3;

use super::testing::{Misbehaviour, at, misbehaving};
use super::*;
use crate::store::finding::Health;

#[test]
fn a_configuration_that_cannot_work_names_the_key() {
    let opened = |endpoint: &str, url: &str| Bucket::open(&at(endpoint, url)).map(|bucket| bucket.is_some());
    for (endpoint, url, expected) in [
        ("", "", Ok(false)),
        ("", "s3://bucket", Ok(true)),
        ("", "s3://bucket/some/prefix/", Ok(true)),
        ("https://minio.example.org:9000", "s3://bucket", Ok(true)),
        ("http://127.0.0.1:9000", "s3://bucket", Ok(true)),
        ("http://[::1]:9000", "s3://bucket", Ok(true)),
        ("http://10.0.0.7:9000/", "s3://bucket", Ok(true)),
        ("http://minio.internal:9000", "s3://bucket", Ok(true)),
        ("", "bucket", Err(BucketError::Url)),
        ("", "https://bucket", Err(BucketError::Url)),
        ("", "s3://", Err(BucketError::Url)),
        ("minio:9000", "s3://bucket", Err(BucketError::Endpoint)),
        ("https://minio.example.org/path", "s3://bucket", Err(BucketError::Endpoint)),
        ("https://user:secret@minio.example.org", "s3://bucket", Err(BucketError::Endpoint)),
        ("ftp://127.0.0.1", "s3://bucket", Err(BucketError::Endpoint)),
        ("http://93.184.216.34:9000", "s3://bucket", Err(BucketError::PlainHttp)),
        ("http://169.254.169.254", "s3://bucket", Err(BucketError::PlainHttp)),
    ] {
        assert_eq!(opened(endpoint, url), expected, "{endpoint} {url}");
    }
    let keyless = BlobsAt { access_key_id: String::new(), ..at("", "s3://bucket") };
    assert_eq!(Bucket::open(&keyless).map(|_| ()), Err(BucketError::Keys));
}

#[test]
fn plain_http_goes_to_our_own_addresses_only() {
    for (address, ours) in [
        ("127.0.0.1", true),
        ("10.1.2.3", true),
        ("192.168.0.9", true),
        ("::1", true),
        ("fd00::1", true),
        ("::ffff:10.0.0.1", true),
        ("93.184.216.34", false),
        ("169.254.169.254", false),
        ("2606:2800:220:1::1", false),
        ("::ffff:93.184.216.34", false),
    ] {
        assert_eq!(super::http::is_ours(address.parse().unwrap()), ours, "{address}");
    }
}

#[tokio::test]
async fn doctor_puts_reads_and_deletes_or_says_what_to_do() {
    let server = tokio::task::spawn_blocking(|| S3::shared().unwrap().endpoint()).await.unwrap();
    let entropy = SeededEntropy::new(3);
    let found = async |at: BlobsAt| examine(&at, &entropy).await.pop().expect("a finding");
    let well = found(at(&server, "s3://causeway/doctor")).await;
    assert_eq!(well.state, Health::Well, "{well:?}");
    let again = found(at(&server, "s3://causeway/doctor")).await;
    assert_eq!(again.state, Health::Well, "nothing is left: {again:?}");
    assert_eq!(examine(&at("", ""), &entropy).await, []);

    let (refusing, _refusing) = misbehaving(Misbehaviour::Refusing).await;
    let (garbage, _garbage) = misbehaving(Misbehaviour::Garbage).await;
    for (at, told) in [
        (at(&server, "s3://no-such-bucket"), "there is no such bucket"),
        (at(&refusing, "s3://causeway"), "the key may not"),
        (at(&garbage, "s3://causeway"), "check blobs.endpoint"),
        (at("http://127.0.0.1:1", "s3://causeway"), "check blobs.endpoint"),
        (at("", "bucket"), "write s3://bucket"),
    ] {
        let finding = found(at).await;
        assert!(finding.state == Health::Bad && finding.text.contains(told), "{finding:?}");
        assert!(!finding.text.contains("test-secret"), "{finding:?}");
    }
}
