//! Private instances of the real engines, on free loopback ports and in temporary folders, for tests that may kill them.
//!
//! ```no_run
//! let database = causeway_servers::Postgres::shared()?.database()?; // a DSN
//! let broker = causeway_servers::RabbitMq::start()?;
//! broker.kill()?;
//! broker.restart()?;
//! # anyhow::Ok(())
//! ```
//!
//! `shared()` is one for all tests of a process, for those that leave it alone; `start()` is the caller's own. Every server
//! is a `Server` too (`kill`, `restart`, `freeze`, `thaw`, …). All calls block: from a task, go through `spawn_blocking`.
//!
//! Kept out: the machine's own instances, which are never used, and anything that the gateway puts into them.
//!
//! Invariant: every process started here ends, and every folder goes, when the owning process ends, in whatever way.

mod keeper;
mod postgres;
mod proxies;
mod rabbitmq;
mod redis;
mod s3;
mod server;
mod tools;

pub use postgres::Postgres;
pub use proxies::{Haproxy, PgBouncer};
pub use rabbitmq::RabbitMq;
pub use redis::Redis;
pub use s3::S3;
pub use server::Server;
pub use tools::free_port;
