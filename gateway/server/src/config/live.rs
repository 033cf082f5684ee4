//! A value that may be replaced while it is in use: how a reloaded setting reaches the part that works by it.
//!
//! Clones share the value. A part reads it when it needs it and keeps no copy; who has to act on a change watches.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

/// See the module's documentation.
pub struct Live<T>(Arc<watch::Sender<T>>);

impl<T: Clone> Live<T> {
    /// What it is now.
    pub fn get(&self) -> T {
        self.0.borrow().clone()
    }

    /// Replaces it for everybody.
    pub fn set(&self, value: T) {
        self.0.send_replace(value);
    }

    /// Tells of every replacement from here on.
    pub fn watch(&self) -> watch::Receiver<T> {
        self.0.subscribe()
    }
}

impl<T> From<T> for Live<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(watch::Sender::new(value)))
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> Default for Live<T> {
    fn default() -> Self {
        T::default().into()
    }
}

impl<T: PartialEq> PartialEq for Live<T> {
    fn eq(&self, other: &Self) -> bool {
        // Two guards of one lock would meet in one thread.
        Arc::ptr_eq(&self.0, &other.0) || *self.0.borrow() == *other.0.borrow()
    }
}

impl<T: fmt::Debug> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.borrow().fmt(f)
    }
}
