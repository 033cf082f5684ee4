//! HubSpot's side of the CRM API, as far as public facts go. Fact numbers in comments: A = addendum §A, §7 and §14 = the
//! CRM sheet.
//!
//! Responsible for: routing, credential, scopes, tier, limits. `portal` holds the data, `objects` and `search` answer for
//! records, `schema` for properties, pipelines and custom objects, `associations` for links, `seed` makes the portal.
//!
//! Deliberately not here: webhooks, merges, files, deletion.

mod associations;
mod objects;
mod portal;
mod refusal;
mod route;
mod schema;
mod search;
mod seed;

#[cfg(test)]
mod tests;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::harness::{Admission, Call, Knobs, Random, Rate, Reply, RollingWindow, Scene, Subject, Vendor};
use portal::Portal;
use refusal::{Refusal, too_many};
use route::Area;

type Done = Result<Reply, Refusal>;

/// What the customer pays for (A.1, A.6, A.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tier {
    Starter,
    Professional,
    Enterprise,
}

impl Tier {
    /// Per app and ten seconds (A.8).
    fn rate(self) -> Rate {
        let calls = if self == Self::Starter { 100 } else { 190 };
        Rate { calls, window_ms: 10_000 }
    }

    /// Per account and day (A.8).
    fn daily(self) -> u64 {
        match self {
            Self::Starter => 250_000,
            Self::Professional => 625_000,
            Self::Enterprise => 1_000_000,
        }
    }
}

/// One request at work.
struct Work<'a> {
    call: &'a Call,
    now_ms: i64,
    lag_ms: i64,
}

impl Work<'_> {
    fn body(&self) -> &Value {
        self.call.json().unwrap_or(&Value::Null)
    }

    /// At most 100 inputs (A.2).
    fn inputs(&self) -> Result<&[Value], Refusal> {
        let inputs = self.body()["inputs"].as_array().ok_or_else(|| Refusal::validation("inputs is required"))?;
        if inputs.len() > 100 { Err(Refusal::validation("A batch has at most 100 inputs")) } else { Ok(inputs) }
    }
}

fn ok(status: StatusCode, body: &Value) -> Reply {
    Reply::json(status, body)
}

/// The vendor's account of one customer.
#[derive(Debug)]
pub(crate) struct HubSpot {
    random: Random,
    access_token: String,
    /// Further tokens that are good now: a customer who changes keys has two for a while.
    more_tokens: Vec<String>,
    portal: Portal,
    tier: Tier,
    scopes: Vec<String>,
    window: RollingWindow,
    search_window: RollingWindow,
    /// Five a second, whatever the tier (A.5).
    search_limit: Option<Rate>,
    /// Overrides the tier's.
    daily_limit: Option<u64>,
    daily_used: u64,
}

const SCOPES: [&str; 9] = [
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.schemas.contacts.read",
    "crm.schemas.contacts.write",
    "tickets",
    "crm.objects.custom.read",
    "crm.objects.custom.write",
    "crm.schemas.custom.read",
    "crm.schemas.custom.write",
];

impl HubSpot {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        Self {
            access_token: format!("pat-eu1-{}", random.uuid()),
            more_tokens: Vec::new(),
            portal: seed::portal(&mut random),
            tier: Tier::Enterprise,
            scopes: SCOPES.map(str::to_owned).to_vec(),
            window: RollingWindow::default(),
            search_window: RollingWindow::default(),
            search_limit: Some(Rate { calls: 5, window_ms: 1_000 }),
            daily_limit: None,
            daily_used: 0,
            random,
        }
    }

    /// Scopes that this tier has no use for are not granted: custom objects are Enterprise only (A.1).
    fn granted(&self, scope: &str) -> bool {
        let custom = scope.contains(".custom.");
        self.scopes.iter().any(|own| own == scope) && (!custom || self.tier == Tier::Enterprise)
    }

    fn require(&self, any_of: &[&str]) -> Result<(), Refusal> {
        let enough = any_of.is_empty() || any_of.iter().any(|scope| self.granted(scope));
        if enough { Ok(()) } else { Err(Refusal::missing_scopes(any_of)) }
    }

    /// `POST /oauth/v2/private-apps/get/access-token-info` (A.0): needs no scope and no other credential.
    fn token_info(&self, work: &Work<'_>, valid: bool) -> Done {
        if work.body()["tokenKey"] != self.access_token.as_str() || !valid {
            return Err(Refusal::unauthorised());
        }
        let scopes: Vec<&String> = self.scopes.iter().filter(|scope| self.granted(scope)).collect();
        let info = json!({ "userId": 70_001, "hubId": self.portal.id, "appId": 80_001, "scopes": scopes });
        Ok(ok(StatusCode::OK, &info))
    }

    fn limited(&mut self, policy: &'static str) -> Reply {
        let (correlation, request) = (self.random.uuid(), self.random.uuid());
        too_many(policy, &correlation, &request)
    }

    /// The limits, then the work; and the headers that every answer but search's carries (A.5, §7.2).
    fn metered(&mut self, area: Area, work: &Work<'_>, rest: &[&str], rate: Option<Rate>) -> Reply {
        if area == Area::Search {
            let admitted = self.search_limit.is_none_or(|rate| self.search_window.admit(rate, work.now_ms).allowed);
            return if admitted { self.routed(area, work, rest) } else { self.limited("SECONDLY") };
        }
        let daily = self.daily_limit.unwrap_or(self.tier.daily());
        let admission = rate.map(|rate| (rate, self.window.admit(rate, work.now_ms)));
        let reply = if admission.is_some_and(|(_, admission)| !admission.allowed) {
            self.limited("TEN_SECONDLY_ROLLING")
        } else if rate.is_some() && self.daily_used >= daily {
            self.limited("DAILY")
        } else {
            self.daily_used += 1;
            self.routed(area, work, rest)
        };
        let Some((rate, Admission { limit, remaining, .. })) = admission else { return reply };
        reply
            .with_header("X-HubSpot-RateLimit-Daily", daily)
            .with_header("X-HubSpot-RateLimit-Daily-Remaining", daily.saturating_sub(self.daily_used))
            .with_header("X-HubSpot-RateLimit-Interval-Milliseconds", rate.window_ms)
            .with_header("X-HubSpot-RateLimit-Max", limit)
            .with_header("X-HubSpot-RateLimit-Remaining", remaining)
    }

    fn routed(&mut self, area: Area, work: &Work<'_>, rest: &[&str]) -> Reply {
        let write = work.call.method != http::Method::GET && !matches!(rest, [_, "batch", "read"] | [_, "search"]);
        let kind = rest.first().map_or("", |name| route::kind_name(&self.portal, name));
        let done = self.require(&route::scopes(area, kind, rest, write)).and_then(|()| match area {
            // §7.1, A.1, A.4, A.7.
            Area::Objects => self.objects(work, rest),
            // A.5.
            Area::Search => self.search(work, rest),
            // A.3.
            Area::Properties => self.properties(work, rest),
            // A.4.
            Area::Pipelines => self.pipelines(work, rest),
            // A.1.
            Area::Schemas => self.schemas(work, rest),
            // A.6.
            Area::ObjectAssociations => self.object_associations(work, rest),
            Area::BatchAssociations => self.batch_associations(work, rest),
            Area::Labels => match rest {
                [from, to, "labels"] => self.labels(work, from, to),
                _ => Err(Refusal::not_found()),
            },
            // What the facts do not list is not offered.
            Area::TokenInfo | Area::Unknown => Err(Refusal::not_found()),
        });
        done.unwrap_or_else(|refusal| refusal.reply(self.random.uuid()))
    }

    fn seed_contact(&mut self, body: &Value, now_ms: i64) -> Result<Value, String> {
        let mut values = objects::values(&body["properties"]);
        if let Some(email) = body["email"].as_str() {
            values.insert("email".to_owned(), email.to_owned());
        }
        let additional = body["additional_emails"].as_array().map(Vec::as_slice).unwrap_or_default();
        let additional: Vec<&str> = additional.iter().filter_map(Value::as_str).collect();
        if !additional.is_empty() {
            values.insert("hs_additional_emails".to_owned(), additional.join(";"));
        }
        let kind = self.portal.kind("contacts").ok_or("no contacts")?;
        let index = self.portal.create(kind, values, now_ms).map_err(|refusal| format!("{refusal:?}"))?;
        let record = self.portal.kinds.get(kind).and_then(|kind| Some(kind.render(kind.record(index)?, None)));
        record.ok_or_else(|| "the contact was not made".to_owned())
    }
}

impl Vendor for HubSpot {
    fn knobs(&self) -> Knobs {
        // Search shows changes "after a few moments" (A.5); no figure is given.
        Knobs { visibility_lag_ms: 2_000, rate_limit: Some(self.tier.rate()), credentials_valid: true }
    }

    fn account(&self, base: &str) -> Value {
        json!({ "credentials": { "access_token": self.access_token }, "settings": { "base_url": base } })
    }

    fn subject(&self, call: &Call) -> Subject {
        let segments = call.segments();
        let (area, rest) = route::area(&call.method, &segments);
        let email = objects::email(call, rest).filter(|_| area == Area::Objects);
        Subject { email, ..Subject::of(route::operation(area, &call.method, rest, &self.portal)) }
    }

    fn answer(&mut self, _operation: &'static str, call: &Call, scene: &Scene<'_>) -> Reply {
        let segments = call.segments();
        let (area, rest) = route::area(&call.method, &segments);
        let work = Work { call, now_ms: scene.now_ms, lag_ms: scene.knobs.visibility_lag_ms };
        let valid = scene.knobs.credentials_valid;
        if area == Area::TokenInfo {
            let info = self.token_info(&work, valid);
            return info.unwrap_or_else(|refusal| refusal.reply(self.random.uuid()));
        }
        // Any static bearer token (A.0).
        let good = |token: &str| token == self.access_token || self.more_tokens.iter().any(|more| more == token);
        if !valid || !call.bearer().is_some_and(good) {
            return Refusal::unauthorised().reply(self.random.uuid());
        }
        let correlation = self.random.uuid();
        self.metered(area, &work, rest, scene.knobs.rate_limit).with_header("X-HubSpot-Correlation-Id", correlation)
    }

    fn failure(&mut self, status: StatusCode) -> Reply {
        if status == StatusCode::TOO_MANY_REQUESTS {
            return self.limited("TEN_SECONDLY_ROLLING");
        }
        let message = status.canonical_reason().unwrap_or("error");
        let body = json!({ "status": "error", "message": message, "correlationId": self.random.uuid() });
        Reply::json(status, &body)
    }

    fn records(&self) -> String {
        let (mut contacts, mut tickets, mut custom, mut notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for kind in &self.portal.kinds {
            let list = match kind.name.as_str() {
                "contacts" => &mut contacts,
                "tickets" => &mut tickets,
                "notes" => &mut notes,
                _ => &mut custom,
            };
            list.extend(kind.records.iter().map(|record| {
                let additional = record.values.get("hs_additional_emails").map(|joined| joined.split(';'));
                let additional: Vec<&str> = additional.into_iter().flatten().collect();
                json!({
                    "object": kind.name, "id": record.id.to_string(), "properties": record.values,
                    "additional_emails": additional,
                })
            }));
        }
        let associations = self.portal.all_links();
        json!({ "contacts": contacts, "tickets": tickets, "custom": custom, "notes": notes, "associations": associations })
            .to_string()
    }

    fn settings(&self) -> Map<String, Value> {
        let Self { tier, scopes, search_limit, daily_limit, .. } = self;
        let settings =
            json!({ "tier": tier, "scopes": scopes, "search_limit": search_limit, "daily_limit": daily_limit });
        settings.as_object().cloned().unwrap_or_default()
    }

    fn set(&mut self, name: &str, value: &Value, knobs: &mut Knobs) -> Option<Result<(), String>> {
        let done = match name {
            "tier" => Tier::deserialize(value).map(|tier| {
                self.tier = tier;
                // A limit that was switched off stays off.
                knobs.rate_limit = knobs.rate_limit.map(|_| tier.rate());
            }),
            "scopes" => Vec::deserialize(value).map(|scopes| self.scopes = scopes),
            "search_limit" => Option::deserialize(value).map(|limit| self.search_limit = limit),
            "daily_limit" => Option::deserialize(value).map(|limit| self.daily_limit = limit),
            "access_token" => String::deserialize(value).map(|token| self.access_token = token),
            "more_tokens" => Vec::deserialize(value).map(|tokens| self.more_tokens = tokens),
            _ => return None,
        };
        Some(done.map_err(|problem| format!("{name}: {problem}")))
    }

    fn control(&mut self, call: &Call, path: &[&str], scene: &Scene<'_>) -> Option<Result<Value, String>> {
        let contacts = call.method == http::Method::POST && path == ["contacts"];
        contacts.then(|| self.seed_contact(call.json().unwrap_or(&Value::Null), scene.now_ms))
    }
}
