//! One span and one event for every request: which account, how long, what came back. No URL, header or body.

use bytes::Bytes;
use causeway_core::connector::SendError;
use causeway_core::ids::AccountId;
use http::Request;
use tracing::Instrument;

use super::around::{Answer, Around, Next, Wire};
use super::moments::Moments;
use crate::telemetry::traces;

pub(super) struct Observe {
    connector: &'static str,
    account: AccountId,
    moments: Moments,
}

impl Observe {
    pub(super) fn new(connector: &'static str, account: AccountId, moments: Moments) -> Self {
        Self { connector, account, moments }
    }
}

impl Around for Observe {
    async fn around<S: Wire>(&self, request: Request<Bytes>, next: Next<S>) -> Answer {
        let span = tracing::debug_span!("egress", connector = self.connector, account = %self.account, method = %request.method());
        // It is told to nobody: a vendor gets no header of ours.
        let traced = traces::vendor_call(self.connector, self.account, request.method());
        let began = self.moments.mono();
        let answer = next.call(request).instrument(span.clone()).instrument(traced.clone()).await;
        if let Ok(response) = &answer {
            traces::say(&traced, "http.response.status_code", response.status().as_u16());
        }
        drop(traced);
        let took_ms = u64::try_from((self.moments.mono() - began).as_millis()).unwrap_or(u64::MAX);
        span.in_scope(|| match &answer {
            Ok(response) => tracing::debug!(took_ms, status = response.status().as_u16(), "vendor answered"),
            Err(error @ SendError::NotNow { until }) => {
                tracing::debug!(took_ms, %until, %error, "call refused by our limits");
            }
            Err(error) => tracing::info!(took_ms, %error, "no answer from the vendor"),
        });
        answer
    }
}
