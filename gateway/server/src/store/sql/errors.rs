//! Why a verb stopped: for the one request, for the batch it is in, or for the process. What an engine's error codes mean
//! stands in the engine's own table.

use crate::store::seal::DoesNotOpen;
use crate::store::{Result, StoreError};

/// Why a verb stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// This request fails; the others of its batch go on.
    Request(StoreError),
    /// The batch is rolled back; every request in it fails with this.
    Batch(StoreError),
    /// A unique or primary key is taken. The verb says what that means; one that does not has a bug.
    Taken,
    /// The process has to end. The engine's code.
    Fatal(i32),
}

/// What verbs return inside the store.
pub(crate) type Op<T> = Result<T, Stop>;

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Request(error)
    }
}

impl From<DoesNotOpen> for Stop {
    fn from(_: DoesNotOpen) -> Self {
        Self::Request(StoreError::Corrupt("value"))
    }
}

impl From<Stop> for StoreError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Request(error) | Stop::Batch(error) => error,
            Stop::Taken => Self::Failed("a key is taken".to_owned()),
            Stop::Fatal(code) => Self::Failed(format!("disk error {code}")),
        }
    }
}
