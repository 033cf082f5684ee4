//! Reading people and applications back: `candidate.search` (C.2), `application.info` and `application.list` (C.3).
//!
//! The search and the list are late by the scripted lag. A read by id is late by `info_lag_ms`, which is none unless set:
//! nothing is documented about either.

use serde_json::{Value, json};

use super::{Application, Ashby, refusal};
use crate::harness::{Reply, Scene, rfc3339};

/// The most the search shows, and the largest page of the list (C.2, C.3).
const MOST: usize = 100;

impl Ashby {
    fn email(address: &str) -> Value {
        json!({ "value": address, "type": "Personal", "isPrimary": true })
    }

    /// A candidate with the applications made until then.
    pub(super) fn candidate_view(&self, index: usize, until_ms: i64) -> Value {
        let candidate = &self.candidates[index];
        let theirs = self.applications.iter().filter(|one| one.candidate == index && one.created_ms <= until_ms);
        let ids: Vec<&str> = theirs.map(|one| one.id.as_str()).collect();
        let phone = candidate.phone.as_deref().map(Self::email);
        json!({
            "id": candidate.id, "name": candidate.name, "createdAt": rfc3339(candidate.created_ms),
            "primaryEmailAddress": Self::email(&candidate.email), "emailAddresses": [Self::email(&candidate.email)],
            "primaryPhoneNumber": phone, "phoneNumbers": [], "socialLinks": [], "tags": [], "fileHandles": [],
            "applicationIds": ids, "profileUrl": format!("https://app.example.com/candidates/{}", candidate.id),
        })
    }

    /// Both terms must hold; at most 100, no paging. How terms are compared is not documented: without case, whole.
    pub(super) fn search(&mut self, body: &Value, scene: &Scene<'_>) -> Reply {
        let until = scene.now_ms - scene.knobs.visibility_lag_ms;
        let term = |name: &str| body[name].as_str().map(str::to_lowercase);
        let (email, name) = (term("email"), term("name"));
        let shown = (0..self.candidates.len()).filter(|index| {
            let candidate = &self.candidates[*index];
            let is = |term: &Option<String>, own: &str| term.as_ref().is_none_or(|term| *term == own.to_lowercase());
            candidate.created_ms <= until && is(&email, &candidate.email) && is(&name, &candidate.name)
        });
        refusal::yes(&shown.take(MOST).map(|index| self.candidate_view(index, until)).collect())
    }

    fn application_view(&self, application: &Application) -> Value {
        let candidate = &self.candidates[application.candidate];
        let title = self.posting(&application.posting_id).map_or("", |posting| posting.title.as_str());
        json!({
            "id": application.id, "createdAt": rfc3339(application.created_ms),
            "updatedAt": rfc3339(application.created_ms), "status": "Active", "customFields": [],
            "candidate": { "id": candidate.id, "name": candidate.name, "primaryEmailAddress": Self::email(&candidate.email) },
            "source": null, "job": { "id": application.job_id, "title": title }, "hiringTeam": [],
            "appliedViaJobPostingId": application.posting_id,
        })
    }

    /// By either id; the application's wins.
    pub(super) fn application_info(&mut self, body: &Value, scene: &Scene<'_>) -> Reply {
        let until = scene.now_ms - self.info_lag_ms;
        let wanted =
            |application: &&Application| match (body["applicationId"].as_str(), &body["submittedFormInstanceId"]) {
                (Some(id), _) => application.id == id,
                (None, instance) => instance == application.form_instance.as_str(),
            };
        let found = self.applications.iter().find(wanted).filter(|application| application.created_ms <= until);
        if let Some(found) = found {
            return refusal::yes(&self.application_view(found));
        }
        let instance = body["submittedFormInstanceId"].as_str().unwrap_or_default();
        if self.blocked.contains_key(instance) {
            return self.refused("application_blocked", "The application was blocked");
        }
        self.refused("application_not_found", "The application was not found")
    }

    /// Filters: `createdAfter` in milliseconds, `jobId`; no candidate, no address. Pages of at most 100.
    pub(super) fn list_applications(&mut self, body: &Value, scene: &Scene<'_>) -> Reply {
        let until = scene.now_ms - scene.knobs.visibility_lag_ms;
        let limit = body["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MOST).clamp(1, MOST);
        let start = body["cursor"].as_str().and_then(|cursor| cursor.parse::<usize>().ok()).unwrap_or(0);
        let after = body["createdAfter"].as_i64().unwrap_or(i64::MIN);
        let shown: Vec<&Application> = self
            .applications
            .iter()
            .filter(|one| one.created_ms <= until && one.created_ms > after)
            .filter(|one| body["jobId"].as_str().is_none_or(|job| job == one.job_id))
            .collect();
        let page: Vec<Value> = shown.iter().skip(start).take(limit).map(|one| self.application_view(one)).collect();
        let more = shown.len() > start + limit;
        let mut answer = json!({ "success": true, "moreDataAvailable": more, "results": page });
        if more {
            answer["nextCursor"] = json!((start + limit).to_string());
        }
        Reply::ok(&answer)
    }
}
