//! Kills, epochs, batches, a full disk, a failed sync.
