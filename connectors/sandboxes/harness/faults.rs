//! Scripted misbehaviour: rules set through the control API, tried in order against each request to a vendor route.
//!
//! Two moments. *Before* the vendor's code runs: `status`, `drop_before`, `hang`, `garbage`, `html`; nothing is written.
//! *After*: `delay` and `half_answer` on any answer; `drop_after_commit` and `status_after_commit` only where something
//! was written, so that a rule never counts as fired when it had nothing to lose.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::random::Random;
use super::reply::Reply;

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    Delay,
    Status,
    DropBefore,
    DropAfterCommit,
    StatusAfterCommit,
    Hang,
    HalfAnswer,
    Garbage,
    Html,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    AfterAny,
    AfterCommit,
}

impl Action {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Status => "status",
            Self::DropBefore => "drop_before",
            Self::DropAfterCommit => "drop_after_commit",
            Self::StatusAfterCommit => "status_after_commit",
            Self::Hang => "hang",
            Self::HalfAnswer => "half_answer",
            Self::Garbage => "garbage",
            Self::Html => "html",
        }
    }

    fn moment(self) -> Moment {
        match self {
            Self::Status | Self::DropBefore | Self::Hang | Self::Garbage | Self::Html => Moment::Before,
            Self::Delay | Self::HalfAnswer => Moment::AfterAny,
            Self::DropAfterCommit | Self::StatusAfterCommit => Moment::AfterCommit,
        }
    }
}

/// Whom a rule concerns; both when both are given.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<Value>,
}

/// One rule as the control API takes and shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    operation: String,
    #[serde(default)]
    when: Option<When>,
    #[serde(default)]
    times: Option<u64>,
    #[serde(default)]
    probability: Option<f64>,
    #[serde(rename = "do")]
    pub(crate) action: Action,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    delay_ms: u64,
    #[serde(default)]
    fired: u64,
}

/// What a request is, as far as rules look at it.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) operation: &'static str,
    pub(crate) email: Option<String>,
    pub(crate) job: Option<String>,
}

impl Subject {
    pub(crate) fn of(operation: &'static str) -> Self {
        Self { operation, email: None, job: None }
    }
}

impl Rule {
    fn concerns(&self, subject: &Subject) -> bool {
        let spent = self.times.is_some_and(|times| self.fired >= times);
        let named = self.operation == "*" || self.operation == subject.operation;
        let wanted = self.when.as_ref().is_none_or(|when| {
            let email = when
                .email
                .as_ref()
                .is_none_or(|wanted| subject.email.as_ref().is_some_and(|email| email.eq_ignore_ascii_case(wanted)));
            let job = when.job.as_ref().is_none_or(|wanted| {
                let wanted = wanted.as_str().map_or_else(|| wanted.to_string(), str::to_owned);
                subject.job.as_ref() == Some(&wanted)
            });
            email && job
        });
        !spent && named && wanted
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// The answer this rule puts in the vendor's place. `vendor` makes the vendor's own body for a status.
    pub(crate) fn reply(&self, vendor: impl FnOnce(StatusCode) -> Reply) -> Reply {
        let given = self.status.and_then(|status| StatusCode::from_u16(status).ok());
        let mut reply = match (self.action, &self.body) {
            (Action::Garbage, _) => {
                let noise: &'static [u8] = b"\x00\xff{\"\x1f\x8b[[,]]\xc3\x28 \x7f<<\"}\xfe";
                Reply::new(given.unwrap_or(StatusCode::OK), "application/json", Bytes::from_static(noise))
            }
            (Action::Html, None) => {
                let page = "<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>";
                Reply::new(given.unwrap_or(StatusCode::BAD_GATEWAY), "text/html; charset=utf-8", page)
            }
            (Action::Html, Some(body)) => {
                let page = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
                Reply::new(given.unwrap_or(StatusCode::BAD_GATEWAY), "text/html; charset=utf-8", page)
            }
            (_, Some(Value::String(text))) => {
                Reply::new(given.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), "text/plain", text.clone())
            }
            (_, Some(body)) => Reply::json(given.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body),
            (_, None) => vendor(given.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)),
        };
        for (name, value) in &self.headers {
            reply = reply.with_header(name, value);
        }
        reply
    }
}

/// The rules in force and how often each fired.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: Vec<Rule>,
    random: Random,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    #[serde(default = "replace_by_default")]
    replace: bool,
    rules: Vec<Rule>,
}

fn replace_by_default() -> bool {
    true
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rules: Vec::new(), random: Random::new(seed) }
    }

    /// Takes a script; says what is wrong with it otherwise.
    pub(crate) fn set(&mut self, script: &Value) -> Result<(), String> {
        let script = Script::deserialize(script).map_err(|problem| problem.to_string())?;
        if script.rules.iter().any(|rule| rule.status.is_some_and(|status| StatusCode::from_u16(status).is_err())) {
            return Err("a rule's status is no HTTP status".to_owned());
        }
        if script.replace {
            self.rules.clear();
        }
        self.rules.extend(script.rules.into_iter().map(|rule| Rule { fired: 0, ..rule }));
        Ok(())
    }

    pub(crate) fn to_json(&self) -> Value {
        serde_json::json!({ "rules": self.rules })
    }

    /// The rule that takes the vendor's place altogether, if one fires.
    pub(crate) fn before(&mut self, subject: &Subject) -> Option<Rule> {
        self.fire(subject, |moment| moment == Moment::Before)
    }

    /// The rule that spoils an answer the vendor has made, if one fires.
    pub(crate) fn after(&mut self, subject: &Subject, committed: bool) -> Option<Rule> {
        self.fire(subject, |moment| match moment {
            Moment::Before => false,
            Moment::AfterAny => true,
            Moment::AfterCommit => committed,
        })
    }

    fn fire(&mut self, subject: &Subject, due: impl Fn(Moment) -> bool) -> Option<Rule> {
        let Self { rules, random } = self;
        let rule = rules.iter_mut().find(|rule| {
            due(rule.action.moment())
                && rule.concerns(subject)
                && rule.probability.is_none_or(|probability| random.chance(probability))
        })?;
        rule.fired += 1;
        Some(rule.clone())
    }
}
