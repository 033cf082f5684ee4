//! stub
pub(crate) struct HubSpot;
impl HubSpot {
    pub(crate) fn new(_seed: u64) -> Self {
        Self
    }
}
use crate::harness::*;
impl Vendor for HubSpot {
    fn knobs(&self) -> Knobs {
        Knobs { visibility_lag_ms: 0, rate_limit: None, credentials_valid: true }
    }
    fn account(&self, _: &str) -> serde_json::Value {
        serde_json::Value::Null
    }
    fn subject(&self, _: &Call) -> Subject {
        Subject::of("unknown")
    }
    fn answer(&mut self, _: &'static str, _: &Call, _: &Scene<'_>) -> Reply {
        Reply::ok(&serde_json::Value::Null)
    }
    fn failure(&mut self, s: http::StatusCode) -> Reply {
        Reply::json(s, &serde_json::Value::Null)
    }
    fn records(&self) -> String {
        String::new()
    }
    fn settings(&self) -> serde_json::Map<String, serde_json::Value> {
        Default::default()
    }
    fn set(&mut self, _: &str, _: &serde_json::Value, _: &mut Knobs) -> Option<Result<(), String>> {
        None
    }
    fn control(&mut self, _: &Call, _: &[&str], _: &Scene<'_>) -> Option<Result<serde_json::Value, String>> {
        None
    }
}
