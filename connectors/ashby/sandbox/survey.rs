//! `surveySubmission.create` (C.7): candidate, application, form and values, all required; no idempotency key.
//!
//! Whether values are checked against the form, and whether a second submission replaces the first, is not documented: the
//! values are kept as sent, and a repeat is a second submission.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Ashby, refusal};
use crate::harness::{Reply, Scene, rfc3339};

impl Ashby {
    pub(super) fn take_survey(&mut self, body: &Value, scene: &Scene<'_>) -> Reply {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (candidate, application, form) =
            (text("candidateId"), text("applicationId"), text("surveyFormDefinitionId"));
        if !body["submittedValues"].is_object() {
            return self.refused("invalid_input", refusal::MALFORMED);
        }
        let theirs =
            self.applications.iter().any(|one| one.id == application && self.candidates[one.candidate].id == candidate);
        if !theirs {
            return self.refused("application_not_found", "The application was not found");
        }
        let surveys = self.postings.iter().flat_map(|posting| &posting.surveys);
        let Some(kind) = surveys.into_iter().find(|one| one.id == form).map(|one| one.kind.clone()) else {
            return self.refused("survey_form_definition_not_found", "The survey form was not found");
        };
        let submission = json!({
            "id": self.random.uuid(), "surveyFormDefinitionId": form, "submittedAt": rfc3339(scene.now_ms),
            "candidateId": candidate, "applicationId": application, "surveyType": kind,
            "submittedValues": body["submittedValues"],
        });
        let record: Arc<str> = submission.to_string().into();
        self.surveys.push(Arc::clone(&record));
        refusal::yes(&submission).committing(record)
    }
}
