//! TLS to the database, against an authority that only the DSN names.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use causeway_core::clock::ManualClock;
use causeway_core::pii::Secret;
use causeway_servers::Postgres as Server;

use super::trouble::name_of;
use super::{PASSWORD, Postgres, ROLE, as_role, make_role, migrated};
use crate::store::postgres::connect::Connector;
use crate::store::postgres::text::Use;
use crate::trust::issuer::Issuer;

/// From now on the server has a certificate for this name, valid until the beginning of this year.
fn certify(server: &Server, authority: &Issuer, name: &str, until: i32) {
    let (certificate, key) = authority.issue(name, (2010, until)).write(server.folder());
    let owner = std::fs::metadata(server.folder().join("data")).unwrap();
    for file in [&certificate, &key] {
        std::os::unix::fs::chown(file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    server.set("ssl_key_file", &key.display().to_string()).unwrap();
    server.set("ssl_cert_file", &certificate.display().to_string()).unwrap();
    server.set("ssl", "on").unwrap();
    server.restart().unwrap();
}

fn opened(gateway: &Postgres) -> Result<(), String> {
    let clock = Arc::new(ManualClock::at("2026-03-02T09:00:00Z".parse().unwrap()));
    let opened = gateway.try_open(&clock);
    opened.map(drop).map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        let said = format!("{error}: {source}");
        assert!(!said.contains(PASSWORD), "{said}");
        said
    })
}

#[test]
fn a_database_is_believed_only_with_a_certificate_of_the_named_authority_for_its_name() {
    let (ours, theirs) = (Issuer::new("ours"), Issuer::new("theirs"));
    let server = Server::start().unwrap();
    make_role(&server);
    let owner = server.database().unwrap();
    migrated(&owner, &as_role(&owner));
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    // Two in one file, as when an authority is replaced; and one with a name that has to be encoded.
    let good = file("our own.pem", &format!("{}{}", theirs.pem(), ours.pem())).replace(' ', "%20");
    let wrong = file("theirs.pem", &theirs.pem());
    let none = file("none.pem", "nothing\n");
    let (port, name) = (server.port(), name_of(&owner));
    let dsn = |query: String| format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{port}/{name}?{query}");
    let refused = |query: String, words: &str| {
        let said = opened(&Postgres::at(dsn(query), false)).unwrap_err();
        assert!(said.contains(words), "{said}");
    };

    refused("sslmode=require".to_owned(), "does not speak TLS: switch its ssl on, or say sslmode=disable");
    // Who names an authority does not go without one.
    refused(format!("sslrootcert={good}"), "does not speak TLS");

    certify(&server, &ours, "127.0.0.1", 2090);
    let mut gateway = Postgres::at(String::new(), false);
    for mode in ["sslmode=verify-full&", "sslmode=require&", ""] {
        gateway.dsn = dsn(format!("{mode}sslrootcert={good}"));
        opened(&gateway).unwrap();
    }
    let file = good.replace("%20", " ");
    let words = format!(
        "host=127.0.0.1 port={port} user={ROLE} password={PASSWORD} dbname={name} sslmode=verify-full sslrootcert='{file}'"
    );
    let session = Connector::new(&Secret::new(words), false).unwrap().connect(Use::Read, 5_000).unwrap();
    let encrypted = session.text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").unwrap();
    assert_eq!(encrypted.as_deref(), Some("t"));

    let nobody = "signed by nobody who is trusted: name its authority's file as sslrootcert";
    refused(format!("sslmode=verify-full&sslrootcert={wrong}"), nobody);
    refused("sslmode=require".to_owned(), nobody);
    refused("sslmode=verify-full&sslrootcert=system".to_owned(), nobody);
    refused(format!("sslmode=require&sslrootcert={none}"), "is no file of certificates");
    refused(
        "sslmode=require&sslrootcert=/nowhere/ca.pem".to_owned(),
        "/nowhere/ca.pem cannot be read (entity not found)",
    );

    certify(&server, &ours, "db.example.org", 2090);
    refused(format!("sslmode=require&sslrootcert={good}"), "is for another name");
    certify(&server, &ours, "127.0.0.1", 2020);
    refused(format!("sslmode=require&sslrootcert={good}"), "has run out");
}
