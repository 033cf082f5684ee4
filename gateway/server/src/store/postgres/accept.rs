//! A batch's applications, accepted together: what is known of any is asked for all at once, and each table is written once.
//!
//! It comes to what accepting them one after the other comes to: within the batch, too, the first with a key binds it, the
//! same bytes are one, and the first of a person is whom the others repeat. One that cannot be accepted fails the whole;
//! they are then taken one by one.

use std::collections::HashMap;

use causeway_core::delivery::{HeldCause, State};
use causeway_core::ids::{AccountId, CaseId, DeliveryId, SubmissionId};
use causeway_core::reason::Reason;
use tokio_postgres::types::{ToSql, Type};

use super::array::Table;
use super::session::{Array, Session};
use crate::store::StoreError;
use crate::store::intake::{Accepted, NewDelivery};
use crate::store::sql::accept::{Prepared, REPEAT, SAME_REQUEST, Standing, Start, as_bound, begin};
use crate::store::sql::announce;
use crate::store::sql::conn::{Row, Sql, params};
use crate::store::sql::errors::Op;
use crate::store::sql::jobs::Acceptance;
use crate::store::sql::rows::{Columns, StoredId, micros, stored};
use crate::store::sql::tx::Tx;

macro_rules! text {
    ($name:literal) => {
        Sql::of(include_str!(concat!("../sql/text/postgres/accept/", $name, ".sql"))).postgres
    };
}

/// Accepts all of them, or says why one cannot be.
pub(super) fn all(tx: &mut Tx<'_>, session: &Session, batch: &mut [&mut Acceptance]) -> Op<()> {
    let (known, accounts) = known(session, batch)?;
    let mut within = Within::default();
    let mut made = Vec::with_capacity(batch.len());
    for (one, known) in batch.iter_mut().zip(known) {
        match within.answer(&one.prepared, known)? {
            Ok(repeat_of) => {
                one.result = None;
                made.push((&mut **one, repeat_of));
            }
            Err(answer) => one.result = Some(answer),
        }
    }
    if made.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::new();
    for (one, repeat_of) in &mut made {
        let ring = rows.add(tx, &one.prepared, *repeat_of, &accounts)?;
        one.result = Some(Accepted::New { repeat_of: *repeat_of, ring });
    }
    rows.write(session)?;
    for (id, state) in std::mem::take(&mut rows.told) {
        announce::made(tx.conn, id, state)?;
    }
    for (one, _) in made {
        let new = &one.prepared.new;
        tx.audit(new.tenant, new.received_at, &new.key.to_string(), "applications.accept", &new.id.to_string())?;
    }
    Ok(())
}

/// What the database says of one.
struct Known {
    bound: Option<([u8; 32], Option<Vec<u8>>)>,
    same: Option<Vec<u8>>,
    repeat_of: Option<SubmissionId>,
}

/// Their persons are locked, what is known of each is asked for, and what the accounts say that they would go to: three
/// statements that are sent together. The second sees what those committed that the first waited for.
fn known(session: &Session, batch: &[&mut Acceptance]) -> Op<(Vec<Known>, Accounts)> {
    let all = || batch.iter().map(|one| &one.prepared);
    let serials: Vec<&[u8]> = all().map(|one| one.serial.as_slice()).collect();
    let tenants: Vec<[u8; 16]> = all().map(|one| one.new.tenant.bytes()).collect();
    let tenants: Vec<&[u8]> = tenants.iter().map(<[u8; 16]>::as_slice).collect();
    let keys: Vec<Option<&[u8]>> = all().map(|one| one.key_hash.as_ref().map(<[u8; 32]>::as_slice)).collect();
    let emails: Vec<&[u8]> = all().map(|one| one.email.exact.as_slice()).collect();
    let postings: Vec<&str> = all().map(|one| one.new.posting_id.as_str()).collect();
    let prints: Vec<&[u8]> = all().map(|one| one.fingerprint.as_slice()).collect();
    let same: Vec<i64> = all().map(|one| micros(one.new.received_at - SAME_REQUEST)).collect();
    let repeat: Vec<i64> = all().map(|one| micros(one.new.received_at - REPEAT)).collect();
    let tests: Vec<i64> = all().map(|one| i64::from(one.new.test)).collect();
    let accounts = targets(batch);
    let accounts: Vec<&[u8]> = accounts.iter().map(<[u8; 16]>::as_slice).collect();
    let look: Vec<Array<'_>> = vec![
        (&tenants, Type::BYTEA_ARRAY),
        (&keys, Type::BYTEA_ARRAY),
        (&emails, Type::BYTEA_ARRAY),
        (&postings, Type::TEXT_ARRAY),
        (&prints, Type::BYTEA_ARRAY),
        (&same, Type::INT8_ARRAY),
        (&repeat, Type::INT8_ARRAY),
        (&tests, Type::INT8_ARRAY),
    ];
    let answers = session.query_together(&[
        (text!("lock"), vec![(&serials, Type::BYTEA_ARRAY)]),
        (text!("look"), look),
        (text!("accounts"), vec![(&accounts, Type::BYTEA_ARRAY)]),
    ])?;
    let [_, found, accounts] = answers.as_slice() else {
        return Err(StoreError::Failed("an answer is missing".to_owned()).into());
    };
    if found.len() != batch.len() {
        return Err(StoreError::Failed("a key is bound twice".to_owned()).into());
    }
    let read = |row: &super::Row| -> Op<Known> {
        let row = Row::Postgres(row);
        let print: Option<[u8; 32]> = row.col("fingerprint")?;
        let receipt: Option<Vec<u8>> = row.col("receipt")?;
        let bound = print.map(|print| (print, receipt));
        Ok(Known { bound, same: row.col("same")?, repeat_of: row.maybe_id("repeat_of")? })
    };
    let known: Op<Vec<Known>> = found.iter().map(read).collect();
    Ok((known?, standings(accounts)?))
}

/// Tenant, e-mail, posting, and which world.
type Person = ([u8; 16], [u8; 16], String, bool);

/// The fingerprint and the receipt that a key is bound to.
type Bound = ([u8; 32], Vec<u8>);

/// What the batch itself has that is not written yet.
#[derive(Default)]
struct Within {
    keys: HashMap<([u8; 16], [u8; 32]), Bound>,
    same: HashMap<(Person, [u8; 32]), Vec<u8>>,
    first: HashMap<Person, SubmissionId>,
}

impl Within {
    /// Whom it repeats when it is new, or what it is answered.
    fn answer(&mut self, one: &Prepared, known: Known) -> Op<Result<Option<SubmissionId>, Accepted>> {
        let tenant = one.new.tenant.bytes();
        let person: Person = (tenant, one.email.exact, one.new.posting_id.clone(), one.new.test);
        let receipt = one.new.receipt.to_vec();
        if let Some(key) = one.key_hash {
            let here = || self.keys.get(&(tenant, key)).map(|(print, receipt)| (*print, Some(receipt.clone())));
            if let Some((print, receipt)) = known.bound.or_else(here) {
                return as_bound(&print, receipt, &one.fingerprint).map(Err);
            }
            self.keys.insert((tenant, key), (one.fingerprint, receipt.clone()));
        } else {
            let here = || self.same.get(&(person.clone(), one.fingerprint)).cloned();
            if let Some(receipt) = known.same.or_else(here) {
                return Ok(Err(Accepted::Before { receipt: receipt.into() }));
            }
        }
        self.same.entry((person.clone(), one.fingerprint)).or_insert(receipt);
        let first = *self.first.entry(person).or_insert(one.new.id);
        Ok(Ok(known.repeat_of.or((first != one.new.id).then_some(first))))
    }
}

/// What each account says, by tenant and id.
type Accounts = HashMap<Place, Standing>;
type Place = ([u8; 16], [u8; 16]);

fn targets(batch: &[&mut Acceptance]) -> Vec<[u8; 16]> {
    let targets = batch.iter().flat_map(|one| &one.prepared.new.deliveries);
    let mut ids: Vec<[u8; 16]> = targets.map(|delivery| delivery.account.bytes()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn standings(rows: &[super::Row]) -> Op<Accounts> {
    let read = |row: &super::Row| -> Op<(Place, Standing)> {
        let row = Row::Postgres(row);
        let key: Place = (row.col("tenant")?, row.col("id")?);
        Ok((key, Standing::read(&row)?))
    };
    rows.iter().map(read).collect()
}

/// What is written, table by table.
struct Rows {
    submissions: Table,
    keys: Table,
    attachments: Table,
    deliveries: Table,
    /// Where those stand that a site may be told of.
    told: Vec<(DeliveryId, State)>,
}

impl Rows {
    fn new() -> Self {
        Self {
            submissions: Table::new("bbbitbtbbibbtibbtiibbi"),
            keys: Table::new("btbb"),
            attachments: Table::new("bbbib"),
            deliveries: Table::new("bbbbbtttbiitb"),
            told: Vec::new(),
        }
    }

    /// The accounts that have work now.
    fn add(
        &mut self,
        tx: &Tx<'_>,
        one: &Prepared,
        repeat_of: Option<SubmissionId>,
        accounts: &Accounts,
    ) -> Op<Vec<AccountId>> {
        let Prepared { new, sealed, .. } = one;
        let (id, tenant) = (new.id.bytes(), new.tenant.bytes());
        self.submissions.push(params![
            id,
            tenant,
            new.key.bytes(),
            micros(new.received_at),
            new.posting_id,
            new.posting_account.map(StoredId::bytes),
            new.form_digest,
            one.email.exact,
            one.email.base,
            one.email.normaliser,
            one.fingerprint,
            one.key_hash,
            new.code,
            one.number,
            repeat_of.map(StoredId::bytes),
            &*new.receipt,
            new.trace_id,
            new.test,
            sealed.demographics.as_ref().map(|(at, _)| at),
            sealed.demographics.as_ref().map(|(_, sealed)| sealed),
            sealed.document,
            stored(new.deliveries.len())
        ]);
        for (kind, wrapped) in &sealed.keys {
            self.keys.push(params![id, kind, tenant, wrapped]);
        }
        for (position, (blob, meta)) in (0i64..).zip(&one.attachments) {
            self.attachments.push(params![blob.bytes(), id, tenant, position, meta]);
        }
        let mut ring = Vec::new();
        for (delivery, fields) in new.deliveries.iter().zip(&one.fields) {
            let standing = accounts.get(&(tenant, delivery.account.bytes())).ok_or(StoreError::NotFound("account"))?;
            let (start, case) = begin(tx, new, delivery, repeat_of.is_some(), standing)?;
            if self.add_delivery(one, delivery, fields.as_deref(), &start, case) && !ring.contains(&delivery.account) {
                ring.push(delivery.account);
            }
        }
        Ok(ring)
    }

    /// True when it is queued.
    fn add_delivery(
        &mut self,
        one: &Prepared,
        delivery: &NewDelivery,
        fields: Option<&[u8]>,
        start: &Start,
        case: Option<CaseId>,
    ) -> bool {
        let new = &one.new;
        let is_queued = start.state == State::Queued;
        self.deliveries.push(params![
            delivery.id.bytes(),
            new.tenant.bytes(),
            new.id.bytes(),
            delivery.account.bytes(),
            one.serial,
            start.state.as_str(),
            start.cause.map(HeldCause::as_str),
            start.reason.map(Reason::as_str),
            fields,
            micros(new.received_at),
            is_queued.then(|| micros(new.received_at)),
            new.form_digest,
            case.map(StoredId::bytes)
        ]);
        if !is_queued {
            self.told.push((delivery.id, start.state));
        }
        is_queued
    }

    fn write(&self, session: &Session) -> Op<()> {
        let tables = [&self.submissions, &self.keys, &self.attachments, &self.deliveries];
        let columns: Vec<(&(dyn ToSql + Sync), Type)> = tables
            .iter()
            .flat_map(|table| &table.0)
            .map(|column| (column as &(dyn ToSql + Sync), column.declared()))
            .collect();
        session.query_arrays(text!("insert"), &columns).map(drop)
    }
}
