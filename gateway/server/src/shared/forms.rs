//! Jobs' forms that any gateway made, for the others.
//!
//! A form's key says everything it is made of, so an old one is never taken for a new one. What is read is held against a hash
//! that was written with it: anything else is no form.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::Link;
use crate::hash::sha256;
use crate::intake::FormCache;

/// Kept so long after it was made.
const KEPT: Duration = Duration::from_hours(1);
/// A larger one is made anew each time.
const LARGEST: usize = 512 * 1024;
const HASH: usize = 32;

/// Forms in Redis.
pub struct Forms(pub Arc<Link>);

fn name(key: &str) -> String {
    format!("causeway:form:{key}")
}

fn hash(key: &str, body: &[u8]) -> [u8; HASH] {
    sha256(&[key.as_bytes(), b"\n", body].concat())
}

/// The body, if this is what was written under the key.
fn read(key: &str, stored: &[u8]) -> Option<Bytes> {
    let (written, body) = stored.split_at_checked(HASH)?;
    (written == hash(key, body)).then(|| Bytes::copy_from_slice(body))
}

#[async_trait]
impl FormCache for Forms {
    async fn get(&self, key: &str) -> Option<Bytes> {
        let name = name(key);
        let stored: Option<Vec<u8>> =
            self.0.ask(|mut conn| async move { redis::cmd("GET").arg(name).query_async(&mut conn).await }).await?;
        read(key, &stored?)
    }

    fn put(&self, key: String, body: Bytes) {
        if body.len() > LARGEST || !self.0.is_up() {
            return;
        }
        let link = Arc::clone(&self.0);
        self.0.tasks().spawn(async move {
            let stored = [&hash(&key, &body)[..], &body].concat();
            let mut write = redis::cmd("SET");
            write.arg(name(&key)).arg(stored).arg("PX").arg(KEPT.as_millis().to_string());
            link.ask(|mut conn| async move { write.exec_async(&mut conn).await }).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_written_under_the_key_is_read() {
        let stored = [&hash("a", b"form")[..], b"form"].concat();
        assert_eq!(read("a", &stored).as_deref(), Some(&b"form"[..]));
        assert_eq!(read("b", &stored), None);
        for at in 0..stored.len() {
            let mut other = stored.clone();
            other[at] ^= 1;
            assert_eq!(read("a", &other), None);
            assert_eq!(read("a", &stored[..at]), None);
        }
    }
}
