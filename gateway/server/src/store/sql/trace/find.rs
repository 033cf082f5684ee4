//! Chooses the submissions that match a query, newest first, through an index whatever was asked.
//!
//! What narrows most drives: code, then e-mail, then job, then account, then time. The other conditions are checked on
//! each row as it comes, and reading stops as soon as there are enough. Opens nothing that is sealed.

use causeway_core::ids::{AccountId, SubmissionId, TenantId};

use super::jobs::Jobs;
use crate::store::code::Codes;
use crate::store::keys::TenantKeys;
use crate::store::seal::BlindEmail;
use crate::store::sql::errors::Op;
use crate::store::sql::refuse::SAME_REFUSAL;
use crate::store::sql::rows::{Bind, Columns, Conn, More, Row, Sql, StoredId, micros, params, sql, value};
use crate::store::trace::LookupQuery;

/// How far a submission's delivery may have been committed out of the order in which submissions came, in microseconds:
/// far longer than a request may take.
const OUT_OF_ORDER: i64 = 300_000_000;

/// What was found, and whether there is more.
pub(super) struct Found {
    /// Newest first.
    pub(super) ids: Vec<SubmissionId>,
    pub(super) truncated: bool,
}

/// So long after it first came the same refusal is counted on its row.
const COUNTED_FOR: i64 = SAME_REFUSAL.as_secs() * 1_000_000;

/// When a submission came, its row number, and its id: what it is sorted by.
type Place = (i64, i64, [u8; 16]);

/// A query with everything resolved that can be.
pub(super) struct Wanted {
    tenant: TenantId,
    since: i64,
    until: i64,
    email: Option<Address>,
    job: Option<Jobs>,
    /// The number its code spells.
    number: Option<i64>,
    account: Option<AccountId>,
    limit: usize,
}

struct Address {
    blind: BlindEmail,
    base_too: bool,
}

/// A row as an index led to it.
struct Candidate {
    seq: i64,
    id: SubmissionId,
    received_at: i64,
    /// Later where a refusal came again.
    last_at: i64,
    posting_id: String,
    posting_account: Option<AccountId>,
    email_exact: Option<[u8; 16]>,
    email_base: Option<[u8; 16]>,
    number: Option<i64>,
    refused: bool,
}

impl Wanted {
    /// `None` when the account that was named does not exist: nothing can match.
    pub(super) fn resolve(conn: Conn<'_>, codes: &Codes, keys: &TenantKeys, query: &LookupQuery) -> Op<Option<Self>> {
        let account = match &query.account {
            Some(named) => match account_named(conn, query.tenant, named)? {
                Some(account) => Some(account),
                None => return Ok(None),
            },
            None => None,
        };
        let job = query.job.as_deref().map(|job| Jobs::resolve(conn, query.tenant, job)).transpose()?;
        Ok(Some(Self {
            tenant: query.tenant,
            since: query.since.map_or(i64::MIN, micros),
            until: query.until.map_or(i64::MAX, micros),
            email: query.email.as_ref().map(|email| Address { blind: keys.blind(email), base_too: query.base_email }),
            job,
            // No application has the number of what is no code of ours.
            number: query.code.as_ref().map(|typed| codes.number(typed).map_or(-1, u64::cast_signed)),
            account,
            limit: query.limit,
        }))
    }

    /// The submissions that match.
    pub(super) fn find(&self, conn: Conn<'_>) -> Op<Found> {
        // By when it first came; a refusal that came again is of the window, too.
        let window = (self.tenant.bytes(), self.since.saturating_sub(COUNTED_FOR), self.until);
        let mut found: Vec<Place> = Vec::new();
        let mut drive = |sql: Sql, more: &[&dyn Bind]| self.drive(conn, sql, &window, more, &mut found);
        if let Some(number) = &self.number {
            drive(sql!("trace/find_by_code"), &[number])?;
        } else if let Some(Address { blind, base_too: true }) = &self.email {
            drive(sql!("trace/find_by_email"), &[&blind.base_or_exact()])?;
            drive(sql!("trace/find_by_base"), &[&blind.base_or_exact()])?;
        } else if let Some(Address { blind, base_too: false }) = &self.email {
            drive(sql!("trace/find_by_email"), &[&blind.exact])?;
        } else if let Some(job) = &self.job {
            for posting_id in job.posting_ids() {
                drive(sql!("trace/find_by_posting"), &[&posting_id])?;
            }
        } else if let Some(account) = self.account {
            let (first, last) = self.deliveries(conn)?;
            drive(sql!("trace/find_by_account", apart), &[&account.bytes(), &first, &last])?;
            drive(sql!("trace/find_refused"), &[])?;
        } else {
            drive(sql!("trace/find_by_time"), &[])?;
        }
        found.sort_unstable_by(|left, right| right.cmp(left));
        found.dedup();
        let truncated = found.len() > self.limit;
        let id = |(_, _, id)| SubmissionId::from_stored(uuid::Uuid::from_bytes(id));
        Ok(Found { ids: found.into_iter().take(self.limit).map(id).collect(), truncated })
    }

    /// Reads one index, newest first, until one more than the limit matches.
    fn drive(
        &self,
        conn: Conn<'_>,
        sql: Sql,
        (tenant, since, until): &([u8; 16], i64, i64),
        more: &[&dyn Bind],
        found: &mut Vec<Place>,
    ) -> Op<()> {
        let mut params: Vec<&dyn Bind> = vec![tenant, since, until];
        params.extend(more);
        let mut matched = 0;
        conn.stream(sql, &params, |row| {
            let candidate = Candidate::read(row)?;
            if self.matches(conn, &candidate)? {
                found.push((candidate.received_at, candidate.seq, candidate.id.bytes()));
                matched += 1;
            }
            Ok(if matched > self.limit { More::No } else { More::Yes })
        })
    }

    fn matches(&self, conn: Conn<'_>, candidate: &Candidate) -> Op<bool> {
        if candidate.last_at < self.since {
            return Ok(false);
        }
        let email = self.email.as_ref().is_none_or(|address| address.is_of(candidate));
        let job = self.job.as_ref().is_none_or(|job| job.means(&candidate.posting_id, candidate.posting_account));
        let code = self.number.is_none_or(|number| candidate.number == Some(number));
        if !(email && job && code) {
            return Ok(false);
        }
        self.account.map_or(Ok(true), |account| candidate.concerns(conn, account))
    }

    /// The first and last delivery that the window can hold.
    fn deliveries(&self, conn: Conn<'_>) -> Op<(i64, i64)> {
        let edge = |sql, at: i64| value::<i64>(conn, sql, params![self.tenant.bytes(), at]);
        let first = match self.since {
            i64::MIN => Some(i64::MIN),
            since => edge(sql!("trace/first_delivery_since"), since.saturating_sub(OUT_OF_ORDER))?,
        };
        let last = match self.until {
            i64::MAX => Some(i64::MAX),
            until => edge(sql!("trace/last_delivery_before"), until.saturating_add(OUT_OF_ORDER))?,
        };
        // No delivery on that side of the edge: none in the window.
        Ok((first.unwrap_or(i64::MAX), last.unwrap_or(i64::MIN)))
    }
}

impl Address {
    fn is_of(&self, candidate: &Candidate) -> bool {
        if self.base_too {
            let base = Some(self.blind.base_or_exact());
            return candidate.email_exact == base || candidate.email_base == base;
        }
        candidate.email_exact == Some(self.blind.exact)
    }
}

impl Candidate {
    fn read(row: &Row<'_>) -> Op<Self> {
        Ok(Self {
            seq: row.col("seq")?,
            id: row.id("id")?,
            received_at: row.col("received_at")?,
            last_at: row.col("last_at")?,
            posting_id: row.col("posting_id")?,
            posting_account: row.maybe_id("posting_account")?,
            email_exact: row.col("email_exact")?,
            email_base: row.col("email_base")?,
            number: row.col("number")?,
            refused: row.col::<String>("kind")? == "refused",
        })
    }

    /// It goes to the account or, refused, was for one of its postings.
    fn concerns(&self, conn: Conn<'_>, account: AccountId) -> Op<bool> {
        let found: Option<i64> = match self.refused {
            true => value(conn, sql!("trace/posting_of_account"), params![account.bytes(), self.posting_id])?,
            false => value(conn, sql!("trace/goes_to_account"), params![self.id.bytes(), account.bytes()])?,
        };
        Ok(found.is_some())
    }
}

fn account_named(conn: Conn<'_>, tenant: TenantId, named: &str) -> Op<Option<AccountId>> {
    let named = named.trim();
    let id = named.parse::<AccountId>().ok().map(AccountId::bytes);
    let found: Option<[u8; 16]> = value(conn, sql!("trace/account_named"), params![tenant.bytes(), id, named])?;
    Ok(found.map(|bytes| AccountId::from_stored(uuid::Uuid::from_bytes(bytes))))
}
