//! `/_sandbox/…`: how tests, demo and load tests look into a sandbox and script it. JSON in, JSON out, no credentials.
//!
//! Never in the ledger, never subject to faults or limits: it is not the vendor.

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::knobs::{Rate, VendorClock};
use super::reply::Reply;
use super::request::{Call, Content};
use super::{Scene, State, clock};

pub(super) fn answer(state: &mut State, call: &Call) -> Reply {
    let path = call.segments();
    let path = path.get(1..).unwrap_or_default();
    match (&call.method, path) {
        (&Method::GET, ["ledger"]) => {
            let number = |name| call.query(name).and_then(|text| text.parse().ok());
            let entries = state.ledger.to_json(number("after").unwrap_or(0), number("limit").unwrap_or(usize::MAX));
            Reply::new(StatusCode::OK, "application/json", entries)
        }
        (&Method::GET, ["records"]) => Reply::new(StatusCode::OK, "application/json", state.vendor.records()),
        (&Method::GET, ["faults"]) => Reply::ok(&state.faults.to_json()),
        (&Method::POST, ["faults"]) => {
            let set = body(call).and_then(|script| state.faults.set(script));
            outcome(set.map(|()| state.faults.to_json()))
        }
        (&Method::GET, ["calls"]) => Reply::ok(&json!({ "calls": state.calls, "at_once": state.at_once.most })),
        (&Method::GET, ["settings"]) => Reply::ok(&settings(state)),
        (&Method::POST, ["settings"]) => {
            let set = body(call).and_then(|changes| change(state, changes));
            outcome(set.map(|()| settings(state)))
        }
        _ => {
            if matches!(call.content, Content::Unreadable) {
                return outcome(Err("the body is not JSON".to_owned()));
            }
            let scene = Scene { now_ms: state.clock.now_ms(), base: &state.base, knobs: &state.knobs };
            match state.vendor.control(call, path, &scene) {
                Some(result) => outcome(result),
                None => Reply::json(StatusCode::NOT_FOUND, &json!({ "error": "no such control" })),
            }
        }
    }
}

fn body(call: &Call) -> Result<&Value, String> {
    call.json().ok_or_else(|| "a JSON body with content type application/json is needed".to_owned())
}

fn outcome(result: Result<Value, String>) -> Reply {
    match result {
        Ok(body) => Reply::ok(&body),
        Err(error) => Reply::json(StatusCode::BAD_REQUEST, &json!({ "error": error })),
    }
}

fn settings(state: &State) -> Value {
    let knobs = &state.knobs;
    let mut all = json!({
        "visibility_lag_ms": knobs.visibility_lag_ms, "rate_limit": knobs.rate_limit,
        "credentials_valid": knobs.credentials_valid, "clock": state.clock.0.map(clock::rfc3339),
    });
    if let Some(all) = all.as_object_mut() {
        all.extend(state.vendor.settings());
    }
    all
}

fn change(state: &mut State, changes: &Value) -> Result<(), String> {
    let changes = changes.as_object().ok_or("settings are a JSON object")?;
    // The vendor's own first: a tier brings its limit along, which a limit given beside it overrides.
    let shared = ["visibility_lag_ms", "rate_limit", "credentials_valid", "clock"];
    for (name, value) in changes.iter().filter(|(name, _)| !shared.contains(&name.as_str())) {
        state
            .vendor
            .set(name, value, &mut state.knobs)
            .unwrap_or_else(|| Err(format!("no setting is called {name}")))?;
    }
    let read = |name: &str| changes.get(name).ok_or(());
    if let Ok(value) = read("visibility_lag_ms") {
        let lag = value.as_i64().filter(|lag| *lag >= 0).ok_or("visibility_lag_ms is a number of milliseconds")?;
        state.knobs.visibility_lag_ms = lag;
    }
    if let Ok(value) = read("rate_limit") {
        let limit = Option::<Rate>::deserialize(value).map_err(|problem| format!("rate_limit: {problem}"))?;
        state.knobs.rate_limit = limit;
    }
    if let Ok(value) = read("clock") {
        let at = value.as_str().map(|text| clock::parse(text).ok_or("clock is a time, or null for the machine's"));
        state.clock = VendorClock(at.transpose()?);
    }
    if let Ok(value) = read("credentials_valid") {
        state.knobs.credentials_valid = value.as_bool().ok_or("credentials_valid is true or false")?;
    }
    Ok(())
}
