//! What a proxy does to the connections through it, as data. Nothing here opens or reads anything.
//!
//! A rule never changes a byte: what arrives is a prefix of what was sent, in order, or nothing.

use std::time::Duration;

/// Everything that is in force at one proxy.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rules {
    /// From the client to the server.
    pub(crate) up: Rule,
    /// From the server to the client.
    pub(crate) down: Rule,
    pub(crate) arrivals: Arrivals,
}

/// What happens to bytes of one direction, on open connections too.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Rule {
    pub(crate) flow: Flow,
    /// Each piece is held for so long, and by chance up to `jitter` longer.
    pub(crate) delay: Duration,
    pub(crate) jitter: Duration,
    pub(crate) bytes_per_s: Option<u64>,
    /// No write is longer than this.
    pub(crate) piece: Option<usize>,
    /// The share of pieces that are held as a retransmission would hold them: 200 ms, or twice that, and so on.
    pub(crate) loss: f64,
    pub(crate) end: Option<End>,
}

/// Whether bytes go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Flow {
    #[default]
    Pass,
    /// Nothing is read; it goes on where it stood once the rule is lifted.
    Stall,
    /// Everything is read and goes nowhere. A connection that lost bytes is reset when the rule is lifted.
    Swallow,
}

/// The connection's end, so many bytes after the rule came into force or the connection began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) after: u64,
    pub(crate) how: Ending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// RST to both sides.
    Reset,
    /// FIN to both sides.
    Close,
    /// FIN to the receiving side; the other direction goes on.
    HalfClose,
}

/// What happens to new connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Arrivals {
    #[default]
    Serve,
    /// Reset at once, as if nobody listened.
    Refuse,
    /// Accepted and never read; reset once the rule is lifted.
    Hold,
}

impl Rules {
    /// The same to both directions.
    pub(crate) fn both(rule: Rule) -> Self {
        Self { up: rule.clone(), down: rule, arrivals: Arrivals::Serve }
    }

    /// Open connections stand still in both directions and new ones are accepted and never read.
    pub(crate) fn partition() -> Self {
        Self { arrivals: Arrivals::Hold, ..Self::both(Rule::stall()) }
    }

    /// Nobody is there: open connections are reset, new ones refused.
    pub(crate) fn refused() -> Self {
        Self { arrivals: Arrivals::Refuse, ..Self::both(Rule::end(0, Ending::Reset)) }
    }
}

impl Rule {
    pub(crate) fn stall() -> Self {
        Self { flow: Flow::Stall, ..Self::default() }
    }

    pub(crate) fn swallow() -> Self {
        Self { flow: Flow::Swallow, ..Self::default() }
    }

    pub(crate) fn delay(delay: Duration, jitter: Duration) -> Self {
        Self { delay, jitter, ..Self::default() }
    }

    pub(crate) fn throttle(bytes_per_s: u64) -> Self {
        Self { bytes_per_s: Some(bytes_per_s), ..Self::default() }
    }

    pub(crate) fn pieces(piece: usize) -> Self {
        Self { piece: Some(piece), ..Self::default() }
    }

    pub(crate) fn loss(share: f64) -> Self {
        Self { loss: share, ..Self::default() }
    }

    pub(crate) fn end(after: u64, how: Ending) -> Self {
        Self { end: Some(End { after, how }), ..Self::default() }
    }
}
