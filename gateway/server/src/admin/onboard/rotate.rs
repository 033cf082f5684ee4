//! New secrets without a gap: the newer ones beside the older, until the vendor has taken them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::super::execute::ACTOR;
use super::super::{Fault, FaultKind, Response, Services};
use super::again;
use crate::setup::{self, AccountChange, Hidden};
use crate::store::onboard::Rotate;
use crate::store::setup::AccountRecord;

impl Services {
    /// The newer ones are a whole set: what is not given anew stays.
    pub(super) async fn rotate(
        &self,
        record: &AccountRecord,
        secrets: BTreeMap<String, Hidden>,
        expires_at: Option<Timestamp>,
    ) -> Result<Response, Fault> {
        if secrets.is_empty() {
            return Err(Fault::new(
                FaultKind::Usage,
                "give the newer secret with --secret NAME=- or --secret-file NAME=PATH",
            ));
        }
        self.not_past(expires_at)?;
        let held = self.store.credentials(record.account.id).await?;
        let change = AccountChange { secrets, ..AccountChange::default() };
        let (_, newer) = setup::changed(record.account.clone(), held.clone(), change)?;
        if newer == held {
            return Err(Fault::new(FaultKind::Usage, "these are the secrets in use already; nothing was changed"));
        }
        self.step(record, Rotate::Begin { secrets: newer, expires_at }).await
    }

    /// Not before the vendor took the newer ones, and not while it refuses them.
    pub(super) async fn rotate_finish(&self, record: &AccountRecord) -> Result<Response, Fault> {
        let name = &record.account.name;
        let Some(next) = &record.credentials.next else {
            return Err(Fault::new(
                FaultKind::Refused,
                format!("{name} has one set of secrets: there is nothing to finish"),
            ));
        };
        let refused_last = next.refused_at.is_some_and(|refused| next.used_at.is_none_or(|used| used < refused));
        let text = match (next.used_at, refused_last) {
            (_, true) => {
                "the vendor refused the newer secrets; give others with `accounts rotate`, or `--abandon` them"
            }
            (None, false) => {
                "the vendor has not taken the newer secrets yet; run `causeway accounts check` and look again"
            }
            (Some(_), false) => return self.step(record, Rotate::Finish).await,
        };
        Err(Fault::new(FaultKind::Refused, format!("{name}: {text}. Both sets stay.")))
    }

    pub(super) async fn rotate_abandon(&self, record: &AccountRecord) -> Result<Response, Fault> {
        if record.credentials.next.is_none() {
            let text = format!("{} has one set of secrets: there is nothing to abandon", record.account.name);
            return Err(Fault::new(FaultKind::Refused, text));
        }
        self.step(record, Rotate::Abandon).await
    }

    pub(super) async fn expires(&self, record: &AccountRecord, at: Option<Timestamp>) -> Result<Response, Fault> {
        self.step(record, Rotate::Expires { at }).await
    }

    pub(in super::super) fn not_past(&self, expires_at: Option<Timestamp>) -> Result<(), Fault> {
        match expires_at {
            Some(at) if at <= self.clock.now() => {
                Err(Fault::new(FaultKind::Usage, "a secret that has expired already is of no use; nothing was changed"))
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn step(&self, record: &AccountRecord, step: Rotate) -> Result<Response, Fault> {
        self.store.rotate(record.account.id, step, &ACTOR.to_string(), self.clock.now()).await?;
        again(self, record).await
    }
}
