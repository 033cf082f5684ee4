//! Harvest v3: the token door and the reading lists (B.1–B.5).
//!
//! Lists show a record only after the visibility lag; newest first, by id (B.2, third-party).

use http::StatusCode;
use serde_json::{Value, json};

use super::query::{Query, invalid};
use super::{Application, Greenhouse, Token};
use crate::harness::{Call, Content, Reply, Scene, rfc3339};

type List = fn(&Greenhouse, &Query, &Scene<'_>) -> Result<Page, Reply>;

fn message(status: StatusCode, text: &str) -> Reply {
    Reply::json(status, &json!({ "message": text }))
}

impl Application {
    /// The record of `GET /v3/applications` (B.2).
    fn harvest(&self, jobs: &[super::Job]) -> Value {
        let created = rfc3339(self.created_ms);
        let job = jobs.iter().find(|job| job.id == self.job_post_id);
        json!({
            "id": self.id, "created_at": created, "updated_at": created, "candidate_id": self.candidate_id,
            "job_id": self.job_id, "job_post_id": self.job_post_id,
            "stage_id": self.job_id.map(|job| job * 10), "stage_name": self.job_id.map(|_| "Application Review"),
            // The filter says `active`, the record says `in_process` (B.2).
            "status": "in_process", "prospect": self.job_id.is_none(), "needs_decision": false, "rejected_at": null,
            "last_activity_at": created, "source_id": null, "referrer_id": null, "recruiter_id": null,
            "coordinator_id": null, "agency_note_id": null, "location_address": self.location,
            "answers": job.map(|job| self.answers(job)), "prospective_job_ids": [], "custom_fields": {},
        })
    }

    /// Question labels and what was answered, options by their label.
    fn answers(&self, job: &super::Job) -> Vec<Value> {
        let record: Value = serde_json::from_str(&self.record).unwrap_or_default();
        let answered = job.fields().filter_map(|(name, label, field)| {
            let answer = record["answers"].get(name.strip_prefix("question_")?)?;
            let worded = |value: &Value| {
                let options = field["values"].as_array().map(Vec::as_slice).unwrap_or_default();
                let same =
                    |option: &&Value| option["value"] == *value || value.as_str() == Some(&option["value"].to_string());
                let label = options.iter().find(same).and_then(|option| option["label"].as_str());
                label.or(value.as_str()).map_or_else(|| value.to_string(), str::to_owned)
            };
            let answer = match answer {
                Value::Array(several) => several.iter().map(worded).collect::<Vec<_>>().join(", "),
                one => worded(one),
            };
            Some(json!({ "question": label, "answer": answer }))
        });
        answered.collect()
    }

    /// The record of `GET /v3/candidates` (B.3): no application ids in it.
    pub(super) fn candidate(&self) -> Value {
        let created = rfc3339(self.created_ms);
        let phones: Vec<Value> = self.phone.iter().map(|phone| json!({ "value": phone, "type": "other" })).collect();
        json!({
            "id": self.candidate_id, "created_at": created, "updated_at": created, "first_name": self.first_name,
            "last_name": self.last_name, "preferred_name": null, "company": null, "title": null,
            "last_activity_at": created, "private": false, "can_email": true, "time_zone": null, "tags": [],
            "linked_user_ids": [], "phone_numbers": phones,
            "email_addresses": [{ "value": self.email, "type": "other" }], "addresses": [], "website_addresses": [],
            "social_media_addresses": [], "custom_fields": {},
        })
    }
}

impl Greenhouse {
    /// B.1. The errors of RFC 6749, which the facts name for this door.
    pub(super) fn token(&mut self, call: &Call, scene: &Scene<'_>) -> Reply {
        let error = |status, code: &str| Reply::json(status, &json!({ "error": code }));
        let ours = (self.client_id.clone(), self.client_secret.clone());
        if call.basic() != Some(ours) || !scene.knobs.credentials_valid {
            return error(StatusCode::UNAUTHORIZED, "invalid_client");
        }
        // Parameters in the body, not in the query (B.1, third-party).
        let Content::Form(form) = &call.content else { return error(StatusCode::BAD_REQUEST, "invalid_request") };
        let get = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if get("grant_type") != Some("client_credentials") {
            return error(StatusCode::BAD_REQUEST, "unsupported_grant_type");
        }
        // Lists need a Site Admin as `sub` (B.1); who that is shows when a list is asked for.
        let site_admin = get("sub") == Some(self.user_id.to_string().as_str());
        if self.single_token {
            self.tokens.clear();
        }
        self.tokens.retain(|_, token| token.expires_ms > scene.now_ms);
        let expires_ms = scene.now_ms + self.token_ttl_ms;
        let access_token = self.random.hex::<24>();
        let answer = json!({
            "access_token": access_token, "token_type": "Bearer", "expires_at": rfc3339(expires_ms),
            "scope": self.scopes.join(" "),
        });
        self.tokens.insert(access_token, Token { expires_ms, site_admin });
        Reply::ok(&answer)
    }

    pub(super) fn harvest(&mut self, operation: &'static str, call: &Call, scene: &Scene<'_>) -> Reply {
        let Some(rate) = scene.knobs.rate_limit else { return self.authorised(operation, call, scene) };
        let admission = self.window.admit(rate, scene.now_ms);
        let reply = if admission.allowed {
            self.authorised(operation, call, scene)
        } else {
            let wait_s = (admission.reset_ms - scene.now_ms + 999) / 1_000;
            message(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded").with_header("Retry-After", wait_s)
        };
        // B.5.
        reply
            .with_header("X-RateLimit-Limit", admission.limit)
            .with_header("X-RateLimit-Remaining", admission.remaining)
            .with_header("X-RateLimit-Reset", admission.reset_ms / 1_000)
    }

    fn authorised(&self, operation: &'static str, call: &Call, scene: &Scene<'_>) -> Reply {
        let token = call.bearer().and_then(|token| self.tokens.get(token));
        let Some(token) = token.filter(|token| token.expires_ms > scene.now_ms && scene.knobs.credentials_valid) else {
            return message(StatusCode::UNAUTHORIZED, "Invalid or expired access token");
        };
        let (scope, list): (_, List) = match operation {
            "harvest_applications" => ("harvest:applications:list", Self::applications),
            "harvest_candidates" => ("harvest:candidates:list", Self::candidates),
            "harvest_job_posts" => ("harvest:job_posts:list", Self::job_posts),
            _ => ("harvest:jobs:list", Self::job_records),
        };
        // 403 = scope missing, or `sub` is no Site Admin (B.5).
        if !token.site_admin || !self.scopes.iter().any(|granted| granted == scope) {
            return message(StatusCode::FORBIDDEN, "You do not have permission to access this resource");
        }
        let listed = Query::read(call).and_then(|query| Ok((list(self, &query, scene)?, query)));
        match listed {
            Err(refusal) => refusal,
            Ok((page, query)) => {
                let records: Vec<Value> = page.records.into_iter().map(|record| query.fields(record)).collect();
                let reply = Reply::ok(&Value::Array(records));
                match page.last_id {
                    Some(last) => {
                        let next = format!("<{}{}?cursor={}>; rel=\"next\"", scene.base, call.path, query.cursor(last));
                        reply.with_header("Link", next)
                    }
                    None => reply,
                }
            }
        }
    }

    /// Newest first, from below the cursor, and no newer than the lag allows.
    fn visible<'a>(
        &'a self,
        scene: &Scene<'_>,
        first_id: u64,
        below: Option<u64>,
    ) -> impl Iterator<Item = &'a Application> {
        let seen_until = scene.now_ms - scene.knobs.visibility_lag_ms;
        let end = below.map_or(self.applications.len(), |below| {
            usize::try_from(below.saturating_sub(first_id)).unwrap_or(usize::MAX).min(self.applications.len())
        });
        let upto = self.applications.get(..end).unwrap_or_default();
        upto.iter().rev().skip_while(move |application| application.created_ms > seen_until)
    }

    fn applications(&self, query: &Query, scene: &Scene<'_>) -> Result<Page, Reply> {
        let posts = query.ids("job_post_ids")?;
        let jobs = query.ids("job_ids")?;
        let (ids, candidates) = (query.ids("ids")?, query.ids("candidate_ids")?);
        let (created, updated) = (query.times("created_at")?, query.times("updated_at")?);
        let active = query.times("last_activity_at")?;
        let status = query.get("status");
        if status.is_some_and(|status| !["rejected", "hired", "converted", "active"].contains(&status)) {
            return Err(invalid("status"));
        }
        // Nothing here has a source, a referrer, a prospective job or a custom field, so a filter on one finds nothing.
        let absent = ["prospective_job_ids", "source_ids", "referrer_ids", "custom_field_option_id"];
        let none =
            absent.iter().any(|name| query.get(name).is_some()) || status.is_some_and(|status| status != "active");
        let stages = query.ids("stage_ids")?;
        let prospect = query.get("prospect").map(|text| text == "true");
        let within = |set: &Option<std::collections::HashSet<u64>>, id: Option<u64>| {
            set.as_ref().is_none_or(|set| id.is_some_and(|id| set.contains(&id)))
        };
        let matching = self
            .visible(scene, self.first_application_id, query.below)
            // Times fall along the list: below the lower bound there is nothing more to find.
            .take_while(|application| application.created_ms >= created.from)
            .filter(|one| {
                !none
                    && within(&ids, Some(one.id))
                    && within(&candidates, Some(one.candidate_id))
                    && within(&posts, Some(one.job_post_id))
                    && within(&jobs, one.job_id)
                    && within(&stages, one.job_id.map(|job| job * 10))
                    && [created, updated, active].iter().all(|times| times.contain(one.created_ms))
                    && query.get("stage_name").is_none_or(|name| one.job_id.is_some() && name == "Application Review")
                    && prospect.is_none_or(|wanted| wanted == one.job_id.is_none())
            });
        Ok(Page::cut(matching, query, |one| (one.id, one.harvest(&self.jobs))))
    }

    fn candidates(&self, query: &Query, scene: &Scene<'_>) -> Result<Page, Reply> {
        let ids = query.ids("ids")?;
        let (created, updated) = (query.times("created_at")?, query.times("updated_at")?);
        // Ids are looked up directly: this is the call that every correlation makes.
        let lowest = ids.as_ref().and_then(|ids| ids.iter().min().copied()).unwrap_or(0);
        let highest = ids.as_ref().and_then(|ids| ids.iter().max().copied()).map(|id| id + 1);
        let below = query.below.into_iter().chain(highest).min();
        let matching = self
            .visible(scene, self.first_candidate_id, below)
            .take_while(|one| one.candidate_id >= lowest && one.created_ms >= created.from)
            .filter(|one| {
                ids.as_ref().is_none_or(|ids| ids.contains(&one.candidate_id))
                    && created.contain(one.created_ms)
                    && updated.contain(one.created_ms)
            });
        Ok(Page::cut(matching, query, |one| (one.candidate_id, one.candidate())))
    }

    fn job_posts(&self, query: &Query, _scene: &Scene<'_>) -> Result<Page, Reply> {
        let ids = query.ids("ids")?;
        let (created, updated) = (query.times("created_at")?, query.times("updated_at")?);
        // No post here is ever deleted, so `active=false` finds nothing (B.4, third-party).
        let active = query.get("active") != Some("false");
        let matching = self.jobs.iter().rev().filter(|job| {
            active
                && ids.as_ref().is_none_or(|ids| ids.contains(&job.id))
                && query.below.is_none_or(|below| job.id < below)
                && created.contain(job.created_ms)
                && updated.contain(job.updated_ms)
        });
        Ok(Page::cut(matching, query, |job| (job.id, job.harvest_post())))
    }

    fn job_records(&self, query: &Query, _scene: &Scene<'_>) -> Result<Page, Reply> {
        let ids = query.ids("ids")?;
        let matching = self.jobs.iter().rev().filter_map(|job| Some((job.internal_job_id?, job.harvest_job()?)));
        let matching = matching.filter(|(id, record)| {
            ids.as_ref().is_none_or(|ids| ids.contains(id))
                && query.below.is_none_or(|below| *id < below)
                && query.get("status").is_none_or(|status| record["status"] == status)
        });
        Ok(Page::cut(matching, query, |found| found))
    }
}

/// One page and, when there is more, the id it ended at.
struct Page {
    records: Vec<Value>,
    last_id: Option<u64>,
}

impl Page {
    fn cut<T>(matching: impl Iterator<Item = T>, query: &Query, render: impl Fn(T) -> (u64, Value)) -> Self {
        let mut matching = matching.map(render);
        let (ids, records): (Vec<u64>, Vec<Value>) = matching.by_ref().take(query.per_page).unzip();
        let more = matching.next().is_some();
        Self { records, last_id: ids.last().copied().filter(|_| more) }
    }
}
