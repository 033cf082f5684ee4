//! The first judge: knows HTTP only, feeds the breaker and the bucket. The connector has the last word on the delivery.
//!
//! A vendor that answers 4xx is well; 401, 403, 408 and 429 say nothing about its health; a 503 that names a time is a
//! wish, not a failure. Silence is a failure.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use causeway_core::connector::{Pace, SendError};
use http::{HeaderMap, Request, StatusCode, header};
use jiff::Timestamp;

use super::around::{Answer, Around, Next, Wire};
use super::breaker::Health;
use super::limit::Limiter;
use super::moments::Moments;
use crate::config::live::Live;

/// What an answer says about the vendor's health.
pub(super) fn health(answer: &Answer) -> Health {
    match answer {
        Ok(response) => match response.status() {
            StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS => Health::Neutral,
            StatusCode::SERVICE_UNAVAILABLE if response.headers().contains_key(header::RETRY_AFTER) => Health::Neutral,
            status if status.is_server_error() => Health::Failure,
            _ => Health::Success,
        },
        Err(SendError::NotSent(_) | SendError::Unknown(_)) => Health::Failure,
        Err(SendError::NotNow { .. } | SendError::Refused(_) | SendError::Misconfigured(_)) => Health::Neutral,
    }
}

/// `Retry-After` as seconds or an HTTP date; `None` when it is absent, in the past or unreadable.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(date.duration_since(now)).ok()
}

/// The layer: tells the bucket what the answer says about the vendor's limits.
pub(super) struct Classify {
    pub(super) limiter: Arc<Limiter>,
    pub(super) moments: Moments,
    pub(super) read_pace: fn(&HeaderMap) -> Option<Pace>,
    /// How long to keep quiet after a 429 that names no time.
    pub(super) busy_pause: Duration,
    /// The longest `Retry-After` that is believed.
    pub(super) cap: Live<Duration>,
}

impl Around for Classify {
    async fn around<S: Wire>(&self, request: Request<Bytes>, next: Next<S>) -> Answer {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let answer = next.call(request).await;
        if let Ok(response) = &answer {
            if let Some(pace) = (self.read_pace)(response.headers()) {
                self.limiter.adapt(&host, pace);
            }
            let wish = retry_after(response.headers(), self.moments.machines());
            let pause = match response.status() {
                StatusCode::TOO_MANY_REQUESTS => Some(wish.unwrap_or(self.busy_pause)),
                StatusCode::SERVICE_UNAVAILABLE => wish,
                _ => None,
            };
            if let Some(pause) = pause {
                let cap = self.cap.get();
                if pause > cap {
                    tracing::warn!(asked_s = pause.as_secs(), cap_s = cap.as_secs(), "Retry-After is capped");
                }
                self.limiter.empty_until(&host, self.moments.mono() + pause.min(cap));
            }
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    fn answer(status: u16, retry_after: Option<&str>) -> Answer {
        let mut response = Response::builder().status(status);
        if let Some(value) = retry_after {
            response = response.header(header::RETRY_AFTER, value);
        }
        Ok(response.body(Bytes::new()).unwrap())
    }

    #[test]
    fn health_of_every_kind_of_answer() {
        use Health::{Failure, Neutral, Success};
        for (status, retry, expected) in [
            (200, None, Success),
            (201, None, Success),
            (302, None, Success),
            (400, None, Success),
            (404, None, Success),
            (409, None, Success),
            (422, None, Success),
            (401, None, Neutral),
            (403, None, Neutral),
            (429, None, Neutral),
            (503, Some("5"), Neutral),
            (503, None, Failure),
            (500, None, Failure),
            (502, None, Failure),
            (504, None, Failure),
        ] {
            assert_eq!(health(&answer(status, retry)), expected, "{status}");
        }
        assert_eq!(health(&Err(SendError::NotSent("dns"))), Failure);
        assert_eq!(health(&Err(SendError::Unknown("reset"))), Failure);
        assert_eq!(health(&Err(SendError::NotNow { until: Timestamp::UNIX_EPOCH })), Neutral);
        assert_eq!(health(&Err(SendError::Misconfigured("host"))), Neutral);
    }

    #[test]
    fn retry_after_in_every_spelling() {
        let now: Timestamp = "1994-11-06T08:49:00Z".parse().unwrap();
        for (text, expected) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("0", Some(0)),
            ("1000000000000", Some(1_000_000_000_000)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(37)),
            ("Sun, 06 Nov 1994 08:48:00 GMT", None),
            ("-5", None),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, text.parse().unwrap());
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
