//! What is worth saying of an account's secrets, from what is known about them: when asked, and unasked in the log and the
//! metrics while a gateway runs. The secrets themselves are not looked at.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use causeway_core::ids::AccountId;
use jiff::Timestamp;

use crate::clock::later;
use crate::store::{self, Store};

use crate::store::onboard::{Credentials, Which};
use crate::telemetry::metrics::{self, Page};

/// A secret is spoken of this long before it ends.
pub const EXPIRES_SOON: Duration = Duration::from_hours(30 * 24);

/// What is worth saying of an account's secrets, and whether it is well.
pub fn about_secrets(credentials: &Credentials, now: Timestamp) -> Vec<(bool, String)> {
    let two = credentials.next.is_some();
    let mut lines = Vec::new();
    for (which, about) in credentials.sets() {
        let name = match (which, two) {
            (Which::Current, false) => "the secrets",
            (Which::Current, true) => "the older secrets",
            (Which::Next, _) => "the newer secrets",
        };
        let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
        match about.expires_at {
            Some(at) if at <= now => lines
                .push((false, format!("{name} expired on {}: give new ones with `causeway accounts rotate`", day(at)))),
            Some(at) if at <= now + EXPIRES_SOON => lines.push((
                false,
                format!("{name} still work, and expire on {}: give new ones with `causeway accounts rotate`", day(at)),
            )),
            Some(_) | None => {}
        }
        if two {
            let used = about.used_at.map(|at| format!("last taken by the vendor at {}", at.strftime("%Y-%m-%d %H:%M")));
            let used = used.unwrap_or_else(|| "not taken by the vendor yet".to_owned());
            let refused_last = about.refused_at.is_some_and(|no| about.used_at.is_none_or(|yes| yes < no));
            let refused = if refused_last { "; refused since" } else { "" };
            lines.push((!refused_last, format!("{name}: {used}{refused}")));
        }
    }
    lines
}

/// The log says so once in this time of each account.
const SAID_EVERY: Duration = Duration::from_hours(24);

/// Tells of secrets that end.
#[derive(Debug, Default)]
pub struct SecretsWatch {
    /// This process is the one that looks.
    seen: AtomicBool,
    expired: AtomicU64,
    expiring: AtomicU64,
    said: Mutex<BTreeMap<AccountId, Timestamp>>,
}

impl SecretsWatch {
    /// Looks at every account.
    ///
    /// # Errors
    /// When the accounts cannot be read.
    pub async fn look(&self, store: &dyn Store, now: Timestamp) -> store::Result<()> {
        let (mut expired, mut expiring) = (0, 0);
        for record in store.accounts(None).await? {
            let ends = record.credentials.sets().filter_map(|(_, about)| about.expires_at).min();
            let Some(at) = ends.filter(|at| *at <= now + EXPIRES_SOON) else { continue };
            if at <= now {
                expired += 1;
            } else {
                expiring += 1;
            }
            if self.is_news(record.account.id, now) {
                tracing::warn!(account = %record.account.id, expires = %at, "an account's secrets end: rotate them");
            }
        }
        self.expired.store(expired, Ordering::Relaxed);
        self.expiring.store(expiring, Ordering::Relaxed);
        self.seen.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn is_news(&self, account: AccountId, now: Timestamp) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let news = said.get(&account).is_none_or(|at| later(*at, SAID_EVERY) <= now);
        if news {
            said.insert(account, now);
        }
        news
    }

    /// Another process looks from now on.
    pub fn forget(&self) {
        self.seen.store(false, Ordering::Relaxed);
    }

    /// Onto the page: how many accounts' secrets have expired, and how many do within thirty days.
    pub fn put(&self, page: &mut Page) {
        if self.seen.load(Ordering::Relaxed) {
            page.put(&metrics::SECRETS_EXPIRED, &[], self.expired.load(Ordering::Relaxed));
            page.put(&metrics::SECRETS_EXPIRE_SOON, &[], self.expiring.load(Ordering::Relaxed));
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use serde_json::json;

    use super::*;
    use crate::egress::testing::record;
    use crate::store::onboard::AboutSecrets;
    use crate::store::over::{Nothing, Over};
    use crate::store::setup::AccountRecord;

    struct Three(Vec<AccountRecord>);

    #[async_trait]
    impl Over for Three {
        fn below(&self) -> &dyn Store {
            &Nothing
        }
        async fn accounts(&self, _: Option<causeway_core::ids::TenantId>) -> store::Result<Vec<AccountRecord>> {
            Ok(self.0.clone())
        }
    }

    #[tokio::test]
    async fn the_metrics_count_accounts_whose_secrets_end() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let ending = |days: i64| {
            let mut record = record("scripted", json!({}));
            record.credentials.current.expires_at = Some(now + jiff::SignedDuration::from_hours(24 * days));
            record
        };
        let watch = SecretsWatch::default();
        watch
            .look(&Three(vec![ending(-1), ending(29), ending(1), ending(31), record("scripted", json!({}))]), now)
            .await
            .unwrap();
        let told = || {
            let mut page = Page::default();
            watch.put(&mut page);
            page.render()
        };
        let out = told();
        assert!(out.contains("causeway_accounts_secrets_expired 1\n"), "{out}");
        assert!(out.contains("causeway_accounts_secrets_expire_soon 2\n"), "{out}");
        watch.forget();
        assert!(!told().contains("causeway_accounts_secrets_expired 1\n"), "another process tells");
        let id = watch.said.lock().unwrap().keys().next().copied().unwrap();
        assert!(!watch.is_news(id, later(now, Duration::from_hours(23))) && watch.is_news(id, later(now, SAID_EVERY)));
    }

    #[test]
    fn what_ends_soon_or_is_refused_is_said() {
        let at = |day: &str| Some(format!("{day}T12:00:00Z").parse::<Timestamp>().unwrap());
        let now = at("2026-11-22").unwrap();
        let set = |expires_at, used_at, refused_at| AboutSecrets { since: None, expires_at, used_at, refused_at };
        let check = |current: AboutSecrets, next: Option<AboutSecrets>, told: &[(bool, &str)]| {
            let lines = about_secrets(&Credentials { current, next }, now);
            assert_eq!(lines.len(), told.len(), "{lines:?}");
            for ((well, line), (expected, told)) in lines.iter().zip(told) {
                assert!(well == expected && line.contains(told), "{line}");
            }
        };
        check(AboutSecrets::default(), None, &[]);
        check(set(at("2027-06-01"), None, None), None, &[]);
        check(set(at("2026-12-21"), None, None), None, &[(false, "the secrets still work, and expire on 2026-12-21")]);
        check(set(at("2026-11-22"), None, None), None, &[(false, "the secrets expired on 2026-11-22")]);
        check(
            set(at("2026-11-30"), at("2026-11-22"), None),
            Some(set(None, None, None)),
            &[
                (false, "the older secrets still work, and expire on 2026-11-30"),
                (true, "the older secrets: last taken by the vendor at 2026-11-22"),
                (true, "the newer secrets: not taken by the vendor yet"),
            ],
        );
        check(
            AboutSecrets::default(),
            Some(set(None, at("2026-11-20"), at("2026-11-21"))),
            &[
                (true, "the older secrets: not taken"),
                (false, "the newer secrets: last taken by the vendor at 2026-11-20 12:00; refused since"),
            ],
        );
    }
}
