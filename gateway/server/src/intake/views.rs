//! What intake knows about postings, remembered while the store's generation stands still.
//!
//! A posting nobody knows is not remembered: whether it is really absent depends on how fresh the last sync is. When the
//! generation moves under load, one request reads a posting anew and the others wait for it: together they would keep the
//! store busy with one question for as long as it takes to answer it a thousand times.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use causeway_core::ids::TenantId;
use tokio::sync::Semaphore;

use crate::store::intake::PostingView;
use crate::store::{self, Store};

/// A view takes some kilobytes; beyond this many the cache starts anew.
const MAX_VIEWS: usize = 5_000;

/// A tenant's accounts: those for tests, or the others.
type World = (TenantId, bool);

/// A posting of a world.
type Place = (World, String);

/// See the module.
pub(super) struct Views {
    store: Arc<dyn Store>,
    kept: RwLock<Kept>,
    /// What is being read, each with what is closed when it was.
    reading: Mutex<HashMap<Place, Arc<Semaphore>>>,
}

/// Is reading until it is dropped, however that comes.
struct Reads<'a> {
    views: &'a Views,
    place: Place,
    done: Arc<Semaphore>,
}

#[derive(Default)]
struct Kept {
    generation: u64,
    count: usize,
    by_world: HashMap<World, HashMap<String, Arc<PostingView>>>,
}

/// A view and whether it was read just now.
pub(super) struct Seen {
    pub(super) view: Arc<PostingView>,
    pub(super) fresh: bool,
}

impl Drop for Reads<'_> {
    fn drop(&mut self) {
        self.views.reading.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.place);
        self.done.close();
    }
}

impl Views {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, kept: RwLock::default(), reading: Mutex::default() }
    }

    pub(super) async fn get(&self, world: World, posting_id: &str) -> store::Result<Seen> {
        // Read before the view is: a change in between makes the kept view stale, never a stale view kept as new.
        let mut generation = self.store.generation();
        if let Some(view) = self.remembered(generation, world, posting_id) {
            return Ok(Seen { view, fresh: false });
        }
        let reads = self.reads((world, posting_id.to_owned()));
        if let Err(done) = &reads {
            // Closed, never given: nobody waits for another's turn, and who finds nothing then reads for itself.
            drop(done.acquire().await);
            generation = self.store.generation();
            if let Some(view) = self.remembered(generation, world, posting_id) {
                return Ok(Seen { view, fresh: false });
            }
        }
        let view = Arc::new(self.store.posting_view(world.0, posting_id, world.1).await?);
        if view.posting.is_some() {
            self.keep(generation, world, posting_id, Arc::clone(&view));
        }
        Ok(Seen { view, fresh: true })
    }

    /// The first to read it, or what it has to wait for.
    fn reads(&self, place: Place) -> Result<Reads<'_>, Arc<Semaphore>> {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(done) = reading.get(&place) {
            return Err(Arc::clone(done));
        }
        let done = Arc::new(Semaphore::new(0));
        reading.insert(place.clone(), Arc::clone(&done));
        Ok(Reads { views: self, place, done })
    }

    fn remembered(&self, generation: u64, world: World, posting_id: &str) -> Option<Arc<PostingView>> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        if kept.generation != generation {
            return None;
        }
        kept.by_world.get(&world)?.get(posting_id).cloned()
    }

    fn keep(&self, generation: u64, world: World, posting_id: &str, view: Arc<PostingView>) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.generation > generation {
            return;
        }
        if kept.generation < generation || kept.count >= MAX_VIEWS {
            *kept = Kept { generation, ..Kept::default() };
        }
        if kept.by_world.entry(world).or_default().insert(posting_id.to_owned(), view).is_none() {
            kept.count += 1;
        }
    }
}
