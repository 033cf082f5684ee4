//! Fills a data directory with many applications, through the library's own accept: the same transaction, the same
//! sealing, the same indexes as the gateway's, without the HTTP in front.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use causeway::clock::{OsEntropy, SystemClock};
use causeway::store::Store;
use causeway::store::intake::{Accepted, NewApplication, NewDelivery};
use causeway::store::keys::RootKey;
use causeway::store::setup::{AccountRecord, KeyRecord};
use causeway::store::sql::SqlStore;
use causeway::store::sqlite::{self, OpenOptions};
use causeway_core::account::Repeats;
use causeway_core::clock::Clock;
use causeway_core::email::NormalEmail;
use causeway_core::ids::{DeliveryId, SubmissionId};

use crate::accept::{Stage, futures_join};
use crate::documents;

const WRITERS: u64 = 256;

/// The address of applicant `number`.
pub(crate) fn email(number: u64) -> String {
    format!("fill-{number}@example.org")
}

/// Accepts `rows` applications for the stage's job. No gateway may run meanwhile.
pub(crate) async fn applications(stage: &Stage, rows: u64) -> Result<()> {
    let data = &stage.tenancy.data;
    let root_key = RootKey::load(&data.join("root.key"))?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let store = sqlite::open(OpenOptions::new(data, root_key, clock, entropy))?;
    let accounts = store.accounts(None).await?;
    let tenant = store.tenants().await?.pop().context("a tenant was set up")?;
    let key = store.keys(tenant.id).await?.pop().context("a key was set up")?;
    let template = documents::applicant("fill", 41, 0, &stage.job, &stage.answers, 0);
    let filler = Filler { store: store.clone(), accounts, key, job: stage.job.clone(), template: template.document };
    let workers = (0..WRITERS).map(|worker| {
        let filler = &filler;
        async move {
            for number in (worker..rows).step_by(usize::try_from(WRITERS)?) {
                filler.accept(number).await?;
            }
            Ok(())
        }
    });
    futures_join(workers).await?;
    store.close().await;
    Ok(())
}

struct Filler {
    store: Arc<SqlStore>,
    accounts: Vec<AccountRecord>,
    key: KeyRecord,
    job: String,
    template: Bytes,
}

impl Filler {
    async fn accept(&self, number: u64) -> Result<()> {
        let now = SystemClock.now();
        let code = self.store.new_code().await?;
        let deliveries = self.accounts.iter().map(|record| NewDelivery {
            id: DeliveryId::new(now, &OsEntropy),
            account: record.account.id,
            held: None,
            repeats: Repeats::Deliver,
        });
        let application = NewApplication {
            id: SubmissionId::new(now, &OsEntropy),
            tenant: self.key.tenant,
            key: self.key.id,
            received_at: now,
            posting_id: self.job.clone(),
            posting_account: self.accounts.first().map(|record| record.account.id),
            form_digest: None,
            email: NormalEmail::parse(&email(number)).context("an address")?,
            document: self.template.clone(),
            attachments: Vec::new(),
            deliveries: deliveries.collect(),
            idempotency_key: Some(format!("fill-{number}")),
            fingerprint: number.to_be_bytes().to_vec(),
            code,
            receipt: Bytes::from_static(b"{}"),
            trace_id: format!("{number:032x}"),
            test: false,
        };
        let accepted = self.store.accept(application).await?;
        ensure!(matches!(accepted, Accepted::New { .. }), "applicant {number} was there before");
        Ok(())
    }
}
