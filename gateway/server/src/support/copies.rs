//! Copies of the whole: a backup of the store in use, and the word that a restored one may deliver again.

use std::path::Path;

use causeway_core::reason::Reason;
use serde::{Deserialize, Serialize};

use super::{Actor, Result, Support, SupportError};
use crate::store::custody::{BackupReport, SuspendedKey};

/// What a confirmation set going.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// Accounts that run again.
    pub accounts: u64,
    /// Deliveries that were queued again.
    pub deliveries: u64,
    /// API keys that open again, also those that were revoked after the backup.
    pub keys: Vec<SuspendedKey>,
}

impl Support {
    /// Copies the store into an empty folder.
    ///
    /// # Errors
    /// [`SupportError::Store`]; then there is no backup there.
    pub async fn backup(&self, actor: Actor, into: &Path) -> Result<BackupReport> {
        let report = self.custody.backup(into, self.clock.now()).await?;
        for tenant in self.store.tenants().await? {
            // No number: what there is of all tenants together is none of one's business.
            self.audit(tenant.id, actor, "support.backup", "everything".to_owned()).await?;
        }
        Ok(report)
    }

    /// Lets every account run again that a restore paused, and every API key open that it suspended.
    ///
    /// # Errors
    /// [`SupportError::MakesNoSense`] when none waits for it.
    pub async fn confirm_restore(&self, actor: Actor) -> Result<Confirmed> {
        let keys = self.custody.release_keys(&actor.to_string(), self.clock.now()).await?;
        let mut confirmed = Confirmed { accounts: 0, deliveries: 0, keys };
        for record in self.store.accounts(None).await? {
            if record.paused.is_some_and(|paused| paused.reason == Reason::Restored) {
                confirmed.deliveries += self.resume(actor, record.account.id).await?;
                confirmed.accounts += 1;
            }
        }
        if confirmed.accounts == 0 && confirmed.keys.is_empty() {
            return Err(SupportError::MakesNoSense("no restore waits to be confirmed"));
        }
        Ok(confirmed)
    }
}
