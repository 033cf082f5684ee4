//! What dispatch writes and reads: claims, work items, attempts, settlements. Types only.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use causeway_core::delivery::{HeldCause, Refs, State};
use causeway_core::ids::{AccountId, AttemptId, DeliveryId, SubmissionId, TenantId};
use causeway_core::outcome::{FieldReason, Outcome};
use causeway_core::posting::{Form, Posting};
use causeway_core::reason::Reason;
use jiff::Timestamp;

use super::keys::DataKey;
use super::setup::AccountRecord;
use crate::alike::{AlikePolicy, Mark};

/// An account with due work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DueAccount {
    /// Whose.
    pub tenant: TenantId,
    /// The account.
    pub account: AccountId,
}

/// A wish to lease work.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Who asks, unique per process.
    pub owner: String,
    /// How many at most, per account, in the order they should be served.
    pub wants: Vec<(AccountId, usize)>,
    /// One delivery of this account may be among them that ended [`SUSPECT`] workers in a row; none of any other.
    pub suspect_of: Option<AccountId>,
    /// For how long.
    pub lease: Duration,
    /// Now.
    pub now: Timestamp,
}

/// So many workers that died in a row with the same delivery in hand make it a suspect: it is carried without another one
/// beside it, so that the others that were in hand with it are cleared, and only what ends its worker is parked.
pub const SUSPECT: u32 = 2;

/// A leased delivery. Every write names the fence; a newer lease makes it void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Whose.
    pub tenant: TenantId,
    /// Where it goes.
    pub account: AccountId,
    /// What it carries.
    pub submission: SubmissionId,
    /// The lease's number.
    pub fence: u64,
    /// Until when.
    pub until: Timestamp,
    /// Attempts consumed from the retry schedule so far.
    pub attempts: u32,
    /// It has ended [`SUSPECT`] workers or more.
    pub is_suspect: bool,
    /// The verification under way, if the last attempt's outcome is unknown.
    pub verifying: Option<Verifying>,
}

/// What a claim came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claimed {
    /// What is leased.
    pub claims: Vec<Claim>,
    /// Accounts whose due work could not be claimed: there may be some.
    pub failed: Vec<AccountId>,
}

impl From<Vec<Claim>> for Claimed {
    fn from(claims: Vec<Claim>) -> Self {
        Self { claims, failed: Vec::new() }
    }
}

/// Stands for a step in [`Verifying`] after a restore: some step may have been taken after the backup, and the plan knows
/// which would have been next.
pub const RESTORED: &str = "restored";

/// An unknown outcome being looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifying {
    /// The step whose outcome is unknown.
    pub step: String,
    /// When the attempt began.
    pub since: Timestamp,
    /// How often the vendor has shown nothing, counted only after its visibility lag.
    pub not_seen: u32,
    /// How often the vendor was asked at all.
    pub asked: u32,
}

/// Seals what a vendor says of a delivery. Loaded with it, and gone with who carries it.
#[derive(Clone)]
pub struct WordsKey(pub(in crate::store) Arc<DataKey>);

impl std::fmt::Debug for WordsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WordsKey")
    }
}

/// Everything a connector needs for a delivery.
#[derive(Debug)]
pub struct WorkItem {
    /// Where it goes, and whether the account runs.
    pub account: AccountRecord,
    /// The posting. For an application whose posting has vanished since, its last known state.
    pub posting: Posting,
    /// The form it was validated against.
    pub form: Option<Form>,
    /// The document.
    pub document: Bytes,
    /// When it came.
    pub received_at: Timestamp,
    /// The receipt's code.
    pub code: String,
    /// The trace it came with, which its delivery goes on.
    pub trace_id: String,
    /// The vendor's references so far.
    pub refs: Refs,
    /// Steps already settled well, by name.
    pub done: Vec<String>,
    /// Whether it was ever resent without knowing that the former attempt failed.
    pub possible_duplicate: bool,
    /// Steps that are not to be tried now: many deliveries fail alike there, and this one is not the probe.
    pub stopped: Vec<String>,
    /// For its settlements.
    pub words_key: Option<WordsKey>,
}

/// An attempt that may go out now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The attempt.
    pub attempt: AttemptId,
    /// Its number within the delivery, from 1.
    pub number: u32,
    /// When it was written down.
    pub at: Timestamp,
    /// Attempts of this step before it that broke or kept their worker.
    pub broken: u32,
}

/// What an attempt came to, and what follows.
#[derive(Debug)]
pub struct Settlement {
    /// The lease it was made under.
    pub claim: Claim,
    /// The attempt, unless nothing was tried (a verification, a pause found on loading).
    pub attempt: Option<Begun>,
    /// The step tried or looked up.
    pub step: String,
    /// What the connector said, if anything was asked.
    pub outcome: Option<Outcome>,
    /// When the vendor was done.
    pub ended_at: Timestamp,
    /// How long the vendor took.
    pub took: Duration,
    /// What the failure has in common with others, if it failed in a way that others can share.
    pub alike: Option<FailedAlike>,
    /// As it was loaded; the key is asked for where there is none.
    pub words_key: Option<WordsKey>,
    /// What follows.
    pub next: Next,
}

/// A failure that others may share, and what is done about many.
#[derive(Debug, Clone)]
pub struct FailedAlike {
    /// What they would have in common.
    pub mark: Mark,
    /// How many are many, and when one of them is tried again.
    pub policy: AlikePolicy,
    /// In 0..1, for the time of the next probe.
    pub dice: f64,
}

/// What follows.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// The step is done; the lease stays for the next step.
    NextStep {
        /// The next step, if its attempt begins with this: one commit for an end and a beginning.
        begin: Option<String>,
    },
    /// Every step is done.
    Delivered {
        /// What was done, or read back at the vendor.
        proof: Proof,
    },
    /// Try again at this time. `consumed` counts it against the schedule.
    Wait {
        /// When.
        until: Timestamp,
        /// Why.
        reason: Reason,
        /// Does it count against the schedule?
        consumed: bool,
    },
    /// Ask the vendor at this time whether the attempt left a record.
    Verify {
        /// When.
        until: Timestamp,
        /// What is known so far.
        verifying: Verifying,
    },
    /// The vendor's record was found; the unique link of account and vendor id is made here. The lease stays.
    Adopt {
        /// Identifies the record within the account.
        vendor_id: String,
        /// The delivery is known by it from now on; else it only is no other delivery's.
        is_application: bool,
        /// References to keep.
        refs: Refs,
        /// What follows may be there too, and nobody asks.
        possible_duplicate: bool,
    },
    /// The vendor does not have it: the step may be resent now. The lease stays.
    Resend {
        /// It may be there all the same.
        possible_duplicate: bool,
    },
    /// No, for good.
    Refuse {
        /// Why.
        reason: Reason,
        /// Where and what.
        fields: Vec<FieldReason>,
    },
    /// A person has to decide.
    Hold {
        /// Why it has no timer.
        cause: HeldCause,
        /// Why.
        reason: Reason,
        /// Where and what.
        fields: Vec<FieldReason>,
    },
    /// The gateway gives up.
    Park {
        /// Why.
        reason: Reason,
    },
    /// The account is to be paused: this delivery and the account's others are held; nothing is consumed.
    PauseAccount {
        /// Why.
        reason: Reason,
    },
}

/// The third proof: how it is known that the vendor has it. One member is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// When the vendor's record was read back, if it was.
    pub seen_at: Option<Timestamp>,
    /// Why it cannot be read back, if it cannot.
    pub not_verifiable: Option<String>,
    /// When it is to be read back, if it still is.
    pub due_at: Option<Timestamp>,
}

impl Proof {
    /// The vendor's record was read.
    pub fn seen(at: Timestamp) -> Self {
        Self { seen_at: Some(at), ..Self::default() }
    }

    /// The vendor's record cannot be read, for this reason.
    pub fn not_verifiable(why: impl Into<String>) -> Self {
        Self { not_verifiable: Some(why.into()), ..Self::default() }
    }

    /// The vendor's record is to be read then.
    pub fn due(at: Timestamp) -> Self {
        Self { due_at: Some(at), ..Self::default() }
    }
}

/// A delivery that the vendor said it took and that is to be read back. It has no lease: whoever records first is right,
/// and `asked` is the fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unproven {
    /// The delivery.
    pub delivery: DeliveryId,
    /// What it carried.
    pub submission: SubmissionId,
    /// Where it went.
    pub account: AccountId,
    /// When the first attempt that went well began.
    pub sent_at: Timestamp,
    /// When the vendor said its last yes.
    pub said_yes_at: Timestamp,
    /// The vendor's record, if its answer named one.
    pub vendor_id: Option<String>,
    /// How often the vendor was asked for it.
    pub asked: u32,
    /// How often the vendor did not show it although it should have.
    pub missed: u32,
}

/// What reading a delivery back came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sighting {
    /// The vendor shows it.
    Seen {
        /// Identifies the record within the account; linked, if the delivery has no record yet.
        vendor_id: String,
        /// References to keep.
        refs: Refs,
    },
    /// Ask again.
    Again {
        /// When.
        at: Timestamp,
        /// How often the vendor should have shown it by now and did not.
        missed: u32,
        /// A person should look.
        case: Option<Reason>,
    },
    /// It will not be asked for any more.
    NotVerifiable {
        /// Why, in words of ours.
        why: String,
    },
}

/// What settling came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Committed.
    Done {
        /// Where the delivery stands now.
        state: State,
        /// The next step's attempt. `None` where none was to begin, or none may: the account is paused by now, or the
        /// lease ran out.
        begun: Option<Begun>,
    },
    /// Another delivery is linked to that vendor record: adopt another, or treat it as not seen.
    LinkTaken,
}
