//! Taking over the reloadable settings while the gateway works.
//!
//! The whole configuration is read and checked again; with a mistake anywhere nothing changes. What is fixed at start is
//! compared and named, not taken over. It decides nothing with a setting: each part reads its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::admin::{Fault, FaultKind, Reload, Reloaded};
use crate::alike::AlikePolicy;
use crate::config::live::Live;
use crate::config::{Config, Mistakes, Reloadable};
use crate::retry::RetryPolicy;
use crate::store::trace::Retention;

/// Reads the configuration the way this process read it at its start.
pub type ReadConfig = Arc<dyn Fn() -> Result<Config, Mistakes> + Send + Sync>;

/// The reloadable settings, each in the terms of the part that works by it.
#[derive(Clone)]
pub(super) struct Lives {
    pub(super) retry: Live<RetryPolicy>,
    pub(super) alike: Live<AlikePolicy>,
    pub(super) retry_after_cap: Live<Duration>,
    pub(super) verify_gap: Live<Duration>,
    pub(super) jobs: Live<Duration>,
    /// How old a form may become.
    pub(super) forms: Live<Duration>,
    /// How often forms are looked at: more often than they age, so that a new posting's is soon there.
    pub(super) forms_looked_at: Live<Duration>,
    pub(super) retention: Live<Retention>,
}

fn retry(settings: &Reloadable) -> RetryPolicy {
    let retry = &settings.retry;
    RetryPolicy {
        schedule: retry.schedule.iter().map(|span| span.0).collect(),
        jitter: f64::from(retry.jitter_percent) / 100.0,
        retry_after_cap: retry.retry_after_cap.0,
        verify_gap: retry.verify_gap.0,
        ..RetryPolicy::default()
    }
}

fn alike(settings: &Reloadable) -> AlikePolicy {
    let alike = &settings.alike;
    AlikePolicy {
        after: alike.after,
        within: alike.within.0,
        probes: alike.probes.iter().map(|span| span.0).collect(),
        jitter: f64::from(settings.retry.jitter_percent) / 100.0,
    }
}

fn retention(settings: &Reloadable) -> Retention {
    let retention = &settings.retention;
    Retention {
        applications: retention.applications.0,
        refusals: retention.refusals.0,
        idempotency: retention.idempotency.0,
        edge_counts: retention.edge_counts.0,
        demographics: retention.demographics.0,
        attempts: retention.attempts.0,
        audit: retention.audit.0,
        webhooks: retention.webhooks.0,
    }
}

fn forms_looked_at(settings: &Reloadable) -> Duration {
    (settings.sync.forms.0 / 10).clamp(Duration::from_secs(1), Duration::from_secs(60))
}

impl Lives {
    pub(super) fn new(settings: &Reloadable) -> Self {
        Self {
            retry: retry(settings).into(),
            alike: alike(settings).into(),
            retry_after_cap: settings.retry.retry_after_cap.0.into(),
            verify_gap: settings.retry.verify_gap.0.into(),
            jobs: settings.sync.jobs.0.into(),
            forms: settings.sync.forms.0.into(),
            forms_looked_at: forms_looked_at(settings).into(),
            retention: retention(settings).into(),
        }
    }

    fn set(&self, settings: &Reloadable) {
        self.retry.set(retry(settings));
        self.alike.set(alike(settings));
        self.retry_after_cap.set(settings.retry.retry_after_cap.0);
        self.verify_gap.set(settings.retry.verify_gap.0);
        self.jobs.set(settings.sync.jobs.0);
        self.forms.set(settings.sync.forms.0);
        self.forms_looked_at.set(forms_looked_at(settings));
        self.retention.set(retention(settings));
    }
}

/// See the module's documentation.
pub(super) struct Reloader {
    lives: Lives,
    inside: Mutex<(Config, ReadConfig)>,
}

impl Reloader {
    pub(super) fn new(config: Config, lives: Lives) -> Self {
        Self { lives, inside: Mutex::new((config, Arc::new(|| Config::load(None)))) }
    }

    /// Reads in this way from now on.
    pub(super) fn read_by(&self, read: ReadConfig) {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner).1 = read;
    }
}

impl Reload for Reloader {
    fn reload(&self) -> Result<Reloaded, Fault> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let (current, read) = &mut *inside;
        let fresh = read().map_err(|mistakes| {
            tracing::error!(%mistakes, "nothing was reloaded: the settings stay as they were");
            Fault::new(FaultKind::Refused, format!("nothing was reloaded, the settings stay as they were: {mistakes}"))
        })?;
        let (changed, restart) = current.differences(&fresh);
        self.lives.set(&fresh.reloadable);
        current.reloadable = fresh.reloadable;
        for change in &changed {
            tracing::info!(key = change.key, from = change.from, to = change.to, "a setting was changed");
        }
        for key in &restart {
            tracing::warn!(key, "a setting differs in the configuration and needs a restart");
        }
        if changed.is_empty() {
            tracing::info!("the configuration was read again; no reloadable setting changed");
        }
        Ok(Reloaded { changed, restart })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reloader(texts: &[&'static str]) -> Reloader {
        let reloader = Reloader::new(Config::default(), Lives::new(&Config::default().reloadable));
        let texts = Mutex::new(texts.iter().copied().collect::<std::collections::VecDeque<_>>());
        reloader.read_by(Arc::new(move || {
            let text = texts.lock().unwrap().pop_front().unwrap_or_default();
            Config::from_parts(Some(("causeway.toml", text)), std::iter::empty())
        }));
        reloader
    }

    #[test]
    fn what_may_change_is_taken_over_and_the_rest_is_named() {
        let text = "[sync]\njobs = \"5m\"\nforms = \"30s\"\n[retry]\nschedule = [\"1s\", \"2s\"]\nretry_after_cap = \"2h\"\n\
            verify_gap = \"3s\"\n[retention]\nrefusals = \"2d\"\n[limits]\nconcurrency = 3\n";
        let reloader = reloader(&[text, text]);
        let first = reloader.reload().unwrap();
        let keys: Vec<&str> = first.changed.iter().map(|change| change.key.as_str()).collect();
        for key in ["retry.retry_after_cap", "retry.schedule", "retry.verify_gap", "retention.refusals", "sync.forms"] {
            assert!(keys.contains(&key), "{key}: {keys:?}");
        }
        assert_eq!((keys.len(), &first.restart[..]), (6, &["limits.concurrency".to_owned()][..]));
        let (lives, seconds) = (&reloader.lives, Duration::from_secs);
        assert_eq!(lives.retry.get().schedule, [seconds(1), seconds(2)]);
        assert_eq!(lives.retry.get().verify_gap, seconds(3));
        assert_eq!((lives.retry_after_cap.get(), lives.verify_gap.get()), (seconds(7_200), seconds(3)));
        assert_eq!(
            (lives.jobs.get(), lives.forms.get(), lives.forms_looked_at.get()),
            (seconds(300), seconds(30), seconds(3))
        );
        assert_eq!(lives.retention.get().refusals, seconds(2 * 86_400));
        let second = reloader.reload().unwrap();
        assert_eq!((second.changed, second.restart), (vec![], first.restart), "compared with what is in force");
    }

    #[test]
    fn with_a_mistake_anywhere_nothing_changes() {
        for (text, told) in [
            ("[sync]\njobs = \"5m\"\nforms = \"soon\"", "line 3: sync.forms: write a duration"),
            ("[sync]\njobs = \"5m\"\n[limits]\nconcurrency = 0", "line 4: limits.concurrency: must be at least 1"),
            ("[sync]\njobs = \"5m\"\njbos = \"1m\"", "line 3: sync.jbos: is not a key"),
        ] {
            let reloader = reloader(&[text]);
            let fault = reloader.reload().unwrap_err();
            assert!(fault.kind == FaultKind::Refused && fault.text.contains(told), "{fault}");
            assert_eq!(reloader.lives.jobs.get(), Duration::from_secs(60), "{text}");
        }
    }
}
