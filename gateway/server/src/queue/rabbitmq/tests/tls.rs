//! TLS to the broker, against an authority that only the configuration names.

use std::path::Path;

use super::*;
use crate::trust::issuer::Issuer;

/// Where a broker listens with TLS, beside its other port.
struct Node {
    broker: Broker,
    port: u16,
    folder: tempfile::TempDir,
}

impl Node {
    fn start(authority: &Issuer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = causeway_servers::free_port().unwrap();
        let (certificate, key) = authority.issue("127.0.0.1", (2020, 2090)).write(folder.path());
        let [certificate, key] = [certificate, key].map(|file| file.display().to_string());
        let settings = [
            ("listeners.ssl.1", &*format!("127.0.0.1:{port}")),
            ("ssl_options.certfile", &certificate),
            ("ssl_options.keyfile", &key),
            ("ssl_options.verify", "verify_none"),
        ];
        Self { broker: Broker::start_with(&settings).unwrap(), port, folder }
    }

    /// From now on it has another certificate.
    fn certify(&self, authority: &Issuer, name: &str, years: (i32, i32)) {
        authority.issue(name, years).write(self.folder.path());
        self.broker.ctl(&["eval", "ssl:clear_pem_cache()."]).unwrap();
    }

    fn file(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn url(&self, scheme: &str, port: u16) -> String {
        self.broker
            .url()
            .replace("amqp://", &format!("{scheme}://"))
            .replace(&format!(":{}/", self.broker.port()), &format!(":{port}/"))
    }
}

async fn refused(url: &str, ca_file: &Path, words: &str) {
    let declared = match Address::parse(url).and_then(|address| address.trusting(ca_file)) {
        Ok(address) => declare(&address, &vendors(), &options()).await,
        Err(trouble) => Err(trouble),
    };
    let said = declared.expect_err("nothing is sent to who is not believed").to_string();
    let password = url.split(':').nth(2).and_then(|rest| rest.split('@').next()).unwrap();
    assert!(said.contains(words) && !said.contains(password), "{words}: {said}");
}

async fn opens(address: &Address) -> bool {
    let parts = RabbitParts {
        address: address.clone(),
        connectors: vendors(),
        accounts: known(),
        clock: Arc::new(SystemClock),
        options: options(),
    };
    RabbitMq::open(parts).await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_is_believed_only_with_a_certificate_of_the_named_authority_for_its_name() {
    let (ours, theirs) = (Issuer::new("ours"), Issuer::new("theirs"));
    let node = tokio::task::block_in_place(|| Node::start(&ours));
    // Two in one file, as when an authority is replaced.
    let good = node.file("ours.pem", &format!("{}{}", theirs.pem(), ours.pem()));
    let wrong = node.file("theirs.pem", &theirs.pem());
    let none = node.file("none.pem", "nothing\n");
    let nobody = Path::new("");
    let (url, plain) = (node.url("amqps", node.port), node.broker.port());

    let rig = rig_at(Address::parse(&url).unwrap().trusting(&good).unwrap(), options());
    rig.declares().await;
    rig.rings().listens();
    rig.ring(&[account(1)]);
    hear_all(&*rig.queue, &[account(1)]).await;
    let secured = blocking(|| node.broker.ctl(&["list_connections", "--no-table-headers", "ssl"]));
    assert_eq!(secured.lines().collect::<Vec<_>>(), ["true", "true"], "one that rings and one that listens");
    rig.ends().await;

    refused(&url, &wrong, "signed by nobody who is trusted: name its authority's file as queue.ca_file").await;
    refused(&url, nobody, "signed by nobody who is trusted").await;
    refused(&url, &none, "none.pem is no file of certificates").await;
    refused(&url, &node.folder.path().join("nowhere"), "nowhere cannot be read (entity not found)").await;
    refused(&node.url("amqp", node.port), &good, "queue.url is not encrypted: write amqps://").await;
    // An address that says TLS is never spoken to without it.
    refused(&node.url("amqps", plain), &good, "is the port of queue.url one for TLS?").await;
    refused(&node.url("amqp", node.port), nobody, "with amqps:// if that is a port for TLS").await;
    let address = Address::parse(&url).unwrap().trusting(&good).unwrap();
    assert_eq!(declare(&address, &vendors(), &rig.options).await, Ok(2), "it was there all the time");
    assert!(!opens(&Address::parse(&url).unwrap().trusting(&wrong).unwrap()).await);

    let certify = |name: &str, years| tokio::task::block_in_place(|| node.certify(&ours, name, years));
    certify("mq.example.org", (2020, 2090));
    refused(&url, &good, "is for another name: use the name it is for as the host in queue.url").await;
    certify("127.0.0.1", (2010, 2020));
    refused(&url, &good, "has run out").await;
    // The queue is a bell: what another certificate at the broker ends keeps no gateway from starting.
    assert!(opens(&address).await);
}
