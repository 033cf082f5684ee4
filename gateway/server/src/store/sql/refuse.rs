//! What was refused: recorded sealed when it held an e-mail and a job, else only counted.

use std::collections::BTreeMap;

use crate::store::sql::rows::{Columns, StoredId, execute, first, micros, params, sql, stored, to_json};
use crate::store::sql::scope::Scope;
use causeway_core::ids::{KeyId, SubmissionId, TenantId};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::errors::Op;
use super::submission::{Places, seal_document};
use super::tx::Tx;
use super::{SqlStore, accept};
use crate::store::Result;
use crate::store::intake::{EdgeCount, NewRefusal};

/// Byte-identical refusals within this time are counted on the first.
pub(in crate::store) const SAME_REFUSAL: SignedDuration = SignedDuration::from_hours(1);

pub(in crate::store) async fn record_refusal(store: &SqlStore, refusal: NewRefusal) -> Result<()> {
    let NewRefusal { id, tenant, key, received_at, posting_id, email, document, code, errors, trace_id, test } =
        refusal;
    let keys = store.tenant_keys(tenant)?;
    let (serial, email) = (keys.serial(&email, &posting_id), keys.blind(&email));
    let fingerprint = keys.fingerprint(&document);
    let (data_key, sealed) = seal_document(store, &keys, tenant, id, &document);
    let row = id.bytes();
    let place = Places::submission(tenant, &row, "errors");
    let errors = data_key.seal(&place, to_json(&errors)?.as_bytes(), &*store.entropy);
    store
        .write_beside(Scope::Tenant(tenant), move |tx| {
            accept::alone_with(tx, &serial)?;
            let since = micros(received_at - SAME_REFUSAL);
            let same = params![tenant.bytes(), email.exact, posting_id, since, fingerprint, code, test];
            let same: Option<SubmissionId> = first(tx.conn, sql!("refusal_same"), same, |row| row.id("id"))?;
            if let Some(first_one) = same {
                execute(tx.conn, sql!("refusal_count"), params![first_one.bytes(), micros(received_at)])?;
                return Ok(());
            }
            let row = params![
                id.bytes(),
                tenant.bytes(),
                key.bytes(),
                micros(received_at),
                posting_id,
                email.exact,
                email.base,
                email.normaliser,
                fingerprint,
                code,
                trace_id,
                sealed.demographics.as_ref().map(|(at, _)| at),
                sealed.demographics.as_ref().map(|(_, sealed)| sealed),
                errors,
                sealed.document,
                test
            ];
            execute(tx.conn, sql!("refusal_insert"), row)?;
            for (kind, wrapped) in &sealed.keys {
                execute(tx.conn, sql!("wrapped_key_insert"), params![id.bytes(), kind, tenant.bytes(), wrapped])?;
            }
            Ok(())
        })
        .await
}

pub(in crate::store) async fn count_edge(store: &SqlStore, counts: Vec<EdgeCount>) -> Result<()> {
    let mut of: BTreeMap<Option<TenantId>, Vec<EdgeCount>> = BTreeMap::new();
    for count in counts {
        of.entry(count.tenant).or_default().push(count);
    }
    let written = of.into_iter().map(|(tenant, counts)| {
        let scope = tenant.map_or(Scope::Nobody, Scope::Tenant);
        store.write_beside(scope, move |tx| counts.iter().try_for_each(|count| add(tx, count)))
    });
    join_all(written).await.into_iter().collect()
}

fn add(tx: &Tx<'_>, count: &EdgeCount) -> Op<()> {
    let row = params![
        count.tenant.map_or(vec![], |id: TenantId| id.bytes().to_vec()),
        micros(minute(count.minute)),
        count.key.map_or(vec![], |id: KeyId| id.bytes().to_vec()),
        count.job.as_deref().unwrap_or_default(),
        count.code,
        stored(count.count)
    ];
    execute(tx.conn, sql!("edge_count_add"), row).map(|_| ())
}

/// The minute a moment is in, in case the caller did not truncate it.
fn minute(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second() - at.as_second().rem_euclid(60)).unwrap_or(at)
}
