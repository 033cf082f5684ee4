//! The life of a delivery: its states, the legal moves between them, its steps.
//!
//! The one table of legal moves is [`State::may_become`]; every store asks it before it writes. Settled states change
//! only by an operator's replay or by erasure, both audited.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DeliveryState")]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Ready to go.
    Queued,
    /// A worker holds the lease; an attempt may be on the wire.
    InFlight,
    /// An attempt's outcome is unknown and the vendor is being asked.
    Verifying,
    /// Not now: `next_attempt_at` says when, the reason says why.
    Waiting,
    /// Stopped without a timer, attached to a case; see [`HeldCause`].
    Held,
    /// The vendor has it.
    Delivered,
    /// The vendor, or a rule, said no for good.
    Refused,
    /// The gateway gave up; attached to a case.
    Parked,
    /// An operator called it off.
    Cancelled,
    /// Its data was erased.
    Erased,
}

impl State {
    /// Every state, in the order of a delivery's life.
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::InFlight,
        Self::Verifying,
        Self::Waiting,
        Self::Held,
        Self::Delivered,
        Self::Refused,
        Self::Parked,
        Self::Cancelled,
        Self::Erased,
    ];

    /// The stable text of the state.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InFlight => "in_flight",
            Self::Verifying => "verifying",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Parked => "parked",
            Self::Cancelled => "cancelled",
            Self::Erased => "erased",
        }
    }

    /// Nothing will happen to it by itself any more.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Delivered | Self::Refused | Self::Held | Self::Parked | Self::Cancelled | Self::Erased)
    }

    /// It has a timer or a lease that will expire: the sweeper may find it.
    pub const fn is_live(self) -> bool {
        !self.is_settled()
    }

    /// The table of legal moves. A replay returns a settled delivery to `Queued`; erasure may follow any state.
    pub const fn may_become(self, next: Self) -> bool {
        use State::{Cancelled, Delivered, Erased, Held, InFlight, Parked, Queued, Refused, Verifying, Waiting};
        match (self, next) {
            (Erased, _) => false,
            (_, Erased) => true,
            (Queued, InFlight | Held | Cancelled | Parked | Refused) => true,
            (InFlight, Queued | InFlight | Verifying | Waiting | Held | Delivered | Refused | Parked) => true,
            (Verifying, Queued | InFlight | Verifying | Waiting | Held | Delivered | Refused | Parked) => true,
            (Waiting, InFlight | Queued | Held | Cancelled | Parked) => true,
            (Held, Queued | Cancelled | Refused) => true,
            (Parked | Refused | Cancelled, Queued) => true,
            _ => false,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownWord)
    }
}

/// A stored word that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a word this version does not know")]
pub struct UnknownWord;

/// Why a delivery is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeldCause {
    /// The account is paused, by a person or because its credentials were refused.
    AccountPaused,
    /// The account's rules do not accept the document and its policy is to hold.
    Invalid,
    /// The posting is not known yet; a sync was rung.
    PostingUnknown,
    /// The posting's form has never been fetched.
    FormUnknown,
    /// Many deliveries fail in the same way: one of them is tried from time to time, and all go once one went well.
    FailsAlike,
    /// A person has to decide: unknown outcome, repeat, or an operator's wish.
    Operator,
}

impl HeldCause {
    /// Every cause.
    pub const ALL: [Self; 6] =
        [Self::AccountPaused, Self::Invalid, Self::PostingUnknown, Self::FormUnknown, Self::FailsAlike, Self::Operator];

    /// The stable text of the cause.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccountPaused => "account_paused",
            Self::Invalid => "invalid",
            Self::PostingUnknown => "posting_unknown",
            Self::FormUnknown => "form_unknown",
            Self::FailsAlike => "fails_alike",
            Self::Operator => "operator",
        }
    }
}

impl FromStr for HeldCause {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == text).ok_or(UnknownWord)
    }
}

/// What repeating a step does at the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idempotency {
    /// Repeating is harmless: an upsert or a key the vendor honours. An unknown outcome may be resent.
    Always,
    /// Repeating may create a second record: an unknown outcome must be looked up first.
    Never,
}

/// One step of a delivery, as the connector plans it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepPlan {
    /// Its name, stable, snake case, unique within the plan.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// What repeating it does.
    pub idempotency: Idempotency,
}

/// The vendor's references gathered so far: `candidate_id`, `contact_id`, … Names are the connector's; values are ids,
/// never personal data.
pub type Refs = BTreeMap<String, String>;

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn every_state_has_a_text_that_reads_back() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
    }

    #[test]
    fn settled_states_move_only_by_replay_hold_decision_or_erasure() {
        for from in State::ALL.into_iter().filter(|state| state.is_settled()) {
            for to in State::ALL {
                let allowed = match (from, to) {
                    (State::Erased, _) => false,
                    (_, State::Erased) => true,
                    (State::Held, State::Queued | State::Cancelled | State::Refused) => true,
                    (State::Parked | State::Refused | State::Cancelled, State::Queued) => true,
                    _ => false,
                };
                assert_eq!(from.may_become(to), allowed, "{from} -> {to}");
            }
        }
    }

    #[test]
    fn a_delivered_application_is_never_sent_again() {
        for to in State::ALL {
            assert_eq!(State::Delivered.may_become(to), to == State::Erased);
        }
    }

    #[test]
    fn every_live_state_can_still_be_settled() {
        for from in State::ALL.into_iter().filter(|state| state.is_live()) {
            assert!(State::ALL.into_iter().any(|to| to.is_settled() && to != State::Erased && from.may_become(to)));
        }
    }
}
