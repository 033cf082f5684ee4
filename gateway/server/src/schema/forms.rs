//! The compiled forms: one validator per connector and form version.
//!
//! Responsible for compiling each form once, keeping a bounded number of them, and giving them out without a lock held
//! while anything is compiled. A form that does not compile is remembered as such, so that it costs once too.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use causeway_core::connector::Connector;
use causeway_core::posting::Form;

use super::compile::{Compiled, SchemaError, compile};
use super::fingerprint::form_digest;

/// How many compiled forms are kept. A form of 20 questions takes some tens of kilobytes.
pub(super) const CAPACITY: usize = 1_024;

/// What became of a form: nothing to check, a validator, or a schema that cannot be used.
pub(super) type Prepared = Option<Result<Arc<Compiled>, SchemaError>>;

#[derive(Debug)]
struct Kept {
    prepared: Prepared,
    /// The tick of the last use.
    used: AtomicU64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Forms {
    by_connector: RwLock<HashMap<&'static str, HashMap<String, Kept>>>,
    ticks: AtomicU64,
}

impl Forms {
    /// The form's validator, compiled now if it was not before.
    pub(super) fn prepared(&self, connector: &dyn Connector, form: &Form) -> Prepared {
        let name = connector.describe().name;
        let computed = form.digest.is_empty().then(|| form_digest(form));
        let digest = computed.as_deref().unwrap_or(&form.digest);
        let tick = self.ticks.fetch_add(1, Ordering::Relaxed);
        {
            let kept = self.by_connector.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = kept.get(name).and_then(|forms| forms.get(digest)) {
                found.used.store(tick, Ordering::Relaxed);
                return found.prepared.clone();
            }
        }
        // Two requests may compile the same form at once; they come to the same result.
        let prepared =
            connector.form_schema(form).map(|schema| compile(&format!("a form of {name}"), schema).map(Arc::new));
        let mut kept = self.by_connector.write().unwrap_or_else(PoisonError::into_inner);
        if kept.values().map(HashMap::len).sum::<usize>() >= CAPACITY {
            forget_oldest(&mut kept);
        }
        let entry = Kept { prepared: prepared.clone(), used: AtomicU64::new(tick) };
        kept.entry(name).or_default().insert(digest.to_owned(), entry);
        prepared
    }
}

/// Makes room for an eighth, so that the search for the oldest is paid once in many forms.
fn forget_oldest(kept: &mut HashMap<&'static str, HashMap<String, Kept>>) {
    let mut ticks: Vec<u64> =
        kept.values().flat_map(HashMap::values).map(|form| form.used.load(Ordering::Relaxed)).collect();
    ticks.sort_unstable();
    let Some(&oldest_kept) = ticks.get(ticks.len() / 8) else { return };
    for forms in kept.values_mut() {
        forms.retain(|_, form| form.used.load(Ordering::Relaxed) >= oldest_kept);
    }
}
