//! What an operator may set about the two listeners. Limits that are part of the contract (sizes of files and bodies,
//! numbers of parts) are constants beside the code that keeps them, not settings.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::{Deserialize, Serialize};

use crate::quota::Rate;
use crate::units::ByteSize;

/// Section `[ingress]`. All of it is fixed at start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where career sites connect.
    pub public: SocketAddr,
    /// Where operators and support connect; keep it away from the outside.
    pub management: SocketAddr,
    /// A request, its body included, is answered within this.
    #[serde(with = "duration")]
    pub deadline: Duration,
    /// A request's header, and the next request on a kept connection, arrive within this.
    #[serde(with = "duration")]
    pub header_read: Duration,
    /// A body never pauses longer than this, nor does a client that takes an answer.
    #[serde(with = "duration")]
    pub body_progress: Duration,
    /// A connection that several requests share (HTTP/2) may be without any this long.
    #[serde(with = "duration")]
    pub idle: Duration,
    /// A body arrives as a whole within this. Shorter than `deadline`, or slow bodies are answered as if we were slow.
    #[serde(with = "duration")]
    pub body_total: Duration,
    /// A body over 64 KiB waits so long for room in memory, then is answered 503.
    #[serde(with = "duration")]
    pub body_room: Duration,
    /// At stop, requests under way may take this long to finish.
    #[serde(with = "duration")]
    pub drain: Duration,
    /// Requests handled at once; more are answered 503.
    pub max_in_flight: usize,
    /// Connections open at once; more wait in the kernel's backlog.
    pub max_connections: usize,
    /// Connections open at once from one address; more are closed. Raise it behind a proxy.
    pub max_connections_per_address: usize,
    /// Bodies over 64 KiB held in memory at once; more wait, then are answered 503.
    pub bodies_in_memory: ByteSize,
    /// What one tenant may send.
    pub quota: Rate,
    /// What one address may send with publishable keys. Raise it behind a proxy, where all have one address.
    pub address_quota: Rate,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self {
            public: SocketAddr::new(loopback, 8080),
            management: SocketAddr::new(loopback, 8081),
            deadline: Duration::from_secs(75),
            header_read: Duration::from_secs(10),
            body_progress: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            body_total: Duration::from_secs(60),
            body_room: Duration::from_secs(5),
            drain: Duration::from_secs(30),
            max_in_flight: 512,
            max_connections: 4096,
            max_connections_per_address: 1024,
            bodies_in_memory: ByteSize::mib(64),
            quota: Rate { per_second: 2_000.0, burst: 4_000 },
            address_quota: Rate { per_second: 5.0, burst: 60 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn the_defaults_survive_toml_and_unknown_keys_are_errors() {
        let text = toml::to_string(&Config::default()).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), Config::default(), "{text}");
        let changed: Config = toml::from_str("deadline = \"30s\"\nbodies_in_memory = \"8MiB\"").unwrap();
        assert_eq!(changed.deadline.as_secs(), 30);
        assert_eq!(changed.bodies_in_memory.bytes(), 8 << 20);
        assert!(toml::from_str::<Config>("dead_line = \"30s\"").is_err());
    }
}
