//! Reads one submission with everything recorded about it, and opens what was sealed.
//!
//! What an erasure destroyed is shown as absent; what should open and does not is `Corrupt`, never left out.

use std::time::Duration;

use causeway_core::ids::{AccountId, AttemptId, DeliveryId, SubmissionId, TenantId};
use causeway_core::pii::Pii;
use causeway_core::problem::FieldError;

use crate::store::StoreError;
use crate::store::keys::{DataKey, Keyring, TenantKeys};
use crate::store::setup::PostingRecord;
use crate::store::sql::errors::Op;
use crate::store::sql::postings;
use crate::store::sql::rows::{Columns, Conn, Row, StoredId, every, first, params, sql};
use crate::store::sql::submission::{Places, data_key, open_fields, open_words};
use crate::store::trace::{AttemptTrace, DeliveryTrace, SubmissionKind, SubmissionTrace, Withheld};
use crate::store::work::Proof;

/// Reads submissions of one tenant.
pub(in crate::store) struct Reader<'a> {
    pub(in crate::store) conn: Conn<'a>,
    pub(in crate::store) keyring: &'a Keyring,
    pub(in crate::store) keys: &'a TenantKeys,
    pub(in crate::store) tenant: TenantId,
}

impl Reader<'_> {
    /// The submission, which is there.
    pub(in crate::store) fn submission(&self, id: SubmissionId) -> Op<SubmissionTrace> {
        let found = first(self.conn, sql!("trace/submission"), params![id.bytes()], |row| self.trace(row))?;
        found.ok_or_else(|| StoreError::Corrupt("submission").into())
    }

    fn trace(&self, row: &Row<'_>) -> Op<SubmissionTrace> {
        let id: SubmissionId = row.id("id")?;
        let erased = row.maybe_time("erased_at")?.is_some();
        let key = if erased { None } else { Some(data_key(self.conn, self.keys, id)?) };
        let posting_id: String = row.col("posting_id")?;
        let test = row.col("test")?;
        let posting = self.posting(&posting_id, row.maybe_id("posting_account")?, test)?;
        let kind = match row.col::<String>("kind")?.as_str() {
            "accepted" => SubmissionKind::Accepted {
                code: row.col("code")?,
                repeat_of: row.maybe_id("repeat_of")?,
                form_digest: row.col("form_digest")?,
                deliveries: self.deliveries(id, key.as_ref())?,
                withheld: withheld(row.col::<Option<Vec<u8>>>("receipt")?.as_deref()),
            },
            "refused" => SubmissionKind::Refused {
                code: row.col("problem")?,
                errors: self.errors(id, key.as_ref(), row.col("errors_sealed")?)?,
                count: row.unsigned("count")?,
                last_at: row.time("last_at")?,
            },
            _ => return Err(StoreError::Corrupt("kind").into()),
        };
        Ok(SubmissionTrace {
            id,
            received_at: row.time("received_at")?,
            posting_id,
            posting_closed_at: posting.as_ref().and_then(|posting| posting.closed_at),
            posting: posting.map(|posting| posting.posting),
            trace_id: row.col("trace_id")?,
            test,
            kind,
            erased,
        })
    }

    fn errors(&self, id: SubmissionId, key: Option<&DataKey>, sealed: Option<Vec<u8>>) -> Op<Vec<FieldError>> {
        let (Some(key), Some(sealed)) = (key, sealed) else { return Ok(Vec::new()) };
        let plain = key.open(&Places::submission(self.tenant, &id.bytes(), "errors"), &sealed)?;
        serde_json::from_slice(&plain).map_err(|_| StoreError::Corrupt("errors").into())
    }

    fn deliveries(&self, submission: SubmissionId, key: Option<&DataKey>) -> Op<Vec<DeliveryTrace>> {
        every(self.conn, sql!("trace/deliveries"), params![submission.bytes()], |row| {
            let id: DeliveryId = row.id("id")?;
            let proof = Proof {
                seen_at: row.maybe_time("seen_at")?,
                not_verifiable: row.col("not_verifiable")?,
                due_at: row.maybe_time("read_back_at")?,
            };
            let sealed: Option<Vec<u8>> = row.col("fields_sealed")?;
            let fields = key.zip(sealed).map(|(key, sealed)| open_fields(key, self.tenant, id, &sealed)).transpose()?;
            Ok(DeliveryTrace {
                id,
                account: row.id("account")?,
                account_name: row.col("account_name")?,
                connector: row.col("connector")?,
                role: row.variant("role")?,
                state: row.word("state")?,
                held: row.maybe_word("held_cause")?,
                reason: row.maybe_word("reason")?,
                fields: fields.unwrap_or_default(),
                changed_at: row.time("changed_at")?,
                next_attempt_at: row.maybe_time("next_attempt_at")?,
                case: row.maybe_id("case_id")?,
                refs: row.json("refs")?,
                vendor_id: row.col("vendor_id")?,
                possible_duplicate: row.col("possible_duplicate")?,
                sent_at: row.maybe_time("sent_at")?,
                vendor_said_yes_at: row.maybe_time("said_yes_at")?,
                proof: (proof != Proof::default()).then_some(proof),
                attempts: self.attempts(id, key)?,
            })
        })
    }

    fn attempts(&self, delivery: DeliveryId, key: Option<&DataKey>) -> Op<Vec<AttemptTrace>> {
        every(self.conn, sql!("trace/attempts"), params![delivery.bytes()], |row| {
            let id: AttemptId = row.id("id")?;
            let sealed: Option<Vec<u8>> = row.col("words_sealed")?;
            let words = key.zip(sealed).map(|(key, sealed)| open_words(key, self.tenant, id, &sealed)).transpose()?;
            let took: Option<i64> = row.col("took")?;
            Ok(AttemptTrace {
                id,
                number: row.unsigned("number")?,
                step: row.col("step")?,
                is_lookup: row.col("is_lookup")?,
                began_at: row.time("began_at")?,
                ended_at: row.maybe_time("ended_at")?,
                took: took.and_then(|micros| u64::try_from(micros).ok()).map(Duration::from_micros),
                class: row.maybe_word("class")?,
                reason: row.maybe_word("reason")?,
                vendor_status: row.col("vendor_status")?,
                vendor_words: words.map(Pii::new),
            })
        })
    }

    /// The posting as last known: of the account it was accepted for or, unknown then, of the one that lists it now.
    fn posting(&self, posting_id: &str, account: Option<AccountId>, test: bool) -> Op<Option<PostingRecord>> {
        let listed = || {
            let by_id = params![self.tenant.bytes(), posting_id, test];
            first(self.conn, sql!("posting_of_tenant"), by_id, |row| row.id("account"))
        };
        let Some(account) = account.map_or_else(listed, |account| Ok(Some(account)))? else { return Ok(None) };
        postings::one(self.conn, self.keyring, account, posting_id)
    }
}

/// The receipt's own words: what was answered is what is recorded. A receipt without any says that nothing was withheld.
fn withheld(receipt: Option<&[u8]>) -> Vec<Withheld> {
    #[derive(serde::Deserialize)]
    struct Receipt {
        #[serde(default)]
        withheld: Vec<Withheld>,
    }
    receipt.and_then(|bytes| serde_json::from_slice::<Receipt>(bytes).ok()).map_or_else(Vec::new, |read| read.withheld)
}
