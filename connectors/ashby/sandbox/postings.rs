//! Jobs as published: `jobPosting.list`, `jobPosting.info`, `job.info` (C.4), and the control API's way to make them.

use serde_json::{Value, json};

use super::{Ashby, refusal};
use crate::harness::{Random, Reply, rfc3339};

/// One field of a form (C.4): type, path, title, required, options.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) path: String,
    pub(super) title: String,
    pub(super) required: bool,
    pub(super) options: Vec<(String, String)>,
}

/// A survey that belongs to a posting.
#[derive(Debug, Clone)]
pub(super) struct SurveyForm {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) fields: Vec<Field>,
}

#[derive(Debug)]
pub(super) struct Posting {
    pub(super) id: String,
    pub(super) job_id: String,
    pub(super) title: String,
    pub(super) location: String,
    pub(super) department: String,
    pub(super) listed: bool,
    pub(super) live: bool,
    pub(super) updated_ms: i64,
    pub(super) fields: Vec<Field>,
    pub(super) surveys: Vec<SurveyForm>,
}

impl Field {
    pub(super) fn new(random: &mut Random, kind: &str, path: Option<&str>, title: &str, required: bool) -> Self {
        let id = random.uuid();
        // A question of one's own has its id for a path.
        let path = path.map_or_else(|| id.clone(), str::to_owned);
        Self { id, kind: kind.to_owned(), path, title: title.to_owned(), required, options: Vec::new() }
    }

    pub(super) fn choosing(mut self, options: &[&str]) -> Self {
        self.options = options.iter().map(|option| ((*option).to_owned(), (*option).to_owned())).collect();
        self
    }

    fn view(&self) -> Value {
        let mut field = json!({
            "id": self.id, "type": self.kind, "path": self.path, "humanReadablePath": self.title,
            "title": self.title, "isNullable": !self.required,
        });
        if !self.options.is_empty() {
            let option = |(value, label): &(String, String)| json!({ "label": label, "value": value });
            field["selectableValues"] = self.options.iter().map(option).collect();
        }
        json!({ "isRequired": self.required, "field": field })
    }

    /// As the control API takes it: `{type, title, path?, required?, options?}`.
    fn read(random: &mut Random, given: &Value) -> Result<Self, String> {
        let text = |name: &str| given[name].as_str().ok_or_else(|| format!("a field needs {name}"));
        let required = given["required"].as_bool().unwrap_or(false);
        let mut field = Self::new(random, text("type")?, given["path"].as_str(), text("title")?, required);
        let options = given["options"].as_array().into_iter().flatten().filter_map(Value::as_str);
        field.options = options.map(|option| (option.to_owned(), option.to_owned())).collect();
        Ok(field)
    }
}

pub(super) fn definition(fields: &[Field]) -> Value {
    let fields: Vec<Value> = fields.iter().map(Field::view).collect();
    json!({ "sections": [{ "title": "", "fields": fields }] })
}

impl SurveyForm {
    pub(super) fn view(&self) -> Value {
        json!({
            "id": self.id, "organizationId": "3ae2b801-19f6-41ef-ad28-214bd731948f", "title": self.kind,
            "isArchived": false, "isDefaultForm": true, "formDefinition": definition(&self.fields),
            "surveyType": self.kind,
        })
    }
}

impl Posting {
    fn item(&self) -> Value {
        json!({
            "id": self.id, "title": self.title, "jobId": self.job_id, "departmentName": self.department,
            "teamName": self.department, "locationName": self.location,
            "locationIds": { "primaryLocationId": self.job_id, "secondaryLocationIds": [] },
            "workplaceType": if self.location.starts_with("Remote") { "Remote" } else { "OnSite" },
            "employmentType": "FullTime", "isListed": self.listed, "publishedDate": "2026-09-01",
            "externalLink": null, "applyLink": format!("https://jobs.example.com/northwind/{}", self.id),
            "shouldDisplayCompensationOnJobBoard": false, "updatedAt": rfc3339(self.updated_ms),
        })
    }

    fn info(&self) -> Value {
        let mut info = self.item();
        let text = format!("{} in {}.", self.title, self.location);
        info["descriptionPlain"] = json!(text);
        info["descriptionHtml"] = json!(format!("<p>{text}</p>"));
        info["descriptionParts"] = json!({});
        info["linkedData"] = json!({});
        info["compensation"] = json!({
            "compensationTierSummary": null, "summaryComponents": [], "compensationTiers": [],
            "shouldDisplayCompensationOnJobBoard": false,
        });
        info["applicationFormDefinition"] = definition(&self.fields);
        info["surveyFormDefinitions"] = self.surveys.iter().map(SurveyForm::view).collect();
        info
    }

    /// What the control API shows.
    pub(super) fn control_view(&self) -> Value {
        json!({
            "id": self.id, "job_id": self.job_id, "title": self.title, "live": self.live, "listed": self.listed,
            "form": definition(&self.fields), "surveys": self.surveys.iter().map(SurveyForm::view).collect::<Value>(),
        })
    }
}

impl Ashby {
    /// Published ones; unlisted ones too, unless `listedOnly`.
    pub(super) fn list_postings(&self, body: &Value) -> Reply {
        let listed_only = body["listedOnly"].as_bool().unwrap_or(false);
        let of = |name: &str, own: &str| body[name].as_str().is_none_or(|wanted| wanted == own);
        let shown = self.postings.iter().filter(|posting| {
            posting.live
                && (posting.listed || !listed_only)
                && of("location", &posting.location)
                && of("department", &posting.department)
        });
        refusal::yes(&shown.map(Posting::item).collect())
    }

    /// Which code an unknown or unpublished posting gives is not in the document; the name is chosen.
    pub(super) fn posting_info(&mut self, body: &Value) -> Reply {
        let shown = body["jobPostingId"].as_str().and_then(|id| self.posting(id)).filter(|posting| posting.live);
        match shown.map(Posting::info) {
            Some(info) => refusal::yes(&info),
            None => self.refused("job_posting_not_found", "The job posting was not found"),
        }
    }

    pub(super) fn job_info(&mut self, body: &Value) -> Reply {
        let found = self.postings.iter().find(|posting| body["id"] == posting.job_id.as_str()).map(|posting| {
            json!({
                "id": posting.job_id, "title": posting.title, "confidential": false, "employmentType": "FullTime",
                "status": if posting.live { "Open" } else { "Closed" }, "jobPostingIds": [posting.id],
                "hiringTeam": [], "customFields": [], "updatedAt": rfc3339(posting.updated_ms),
            })
        });
        match found {
            Some(job) => refusal::yes(&job),
            None => self.refused("job_not_found", "The job was not found"),
        }
    }

    pub(super) fn survey_form(&mut self, body: &Value) -> Reply {
        let surveys = self.postings.iter().flat_map(|posting| &posting.surveys);
        let found = surveys.into_iter().find(|survey| body["surveyFormDefinitionId"] == survey.id.as_str());
        match found.map(SurveyForm::view) {
            Some(survey) => refusal::yes(&survey),
            None => self.refused("survey_form_definition_not_found", "The survey form was not found"),
        }
    }

    /// `{title, fields?, surveys?: [{type, fields}], location?, listed?, live?}`. Without fields: name, e-mail, résumé.
    pub(super) fn publish(&mut self, body: &Value, now_ms: i64) -> Result<Value, String> {
        let title = body["title"].as_str().ok_or("a job needs a title")?.to_owned();
        let random = &mut self.random;
        let read = |random: &mut Random, list: &Value| -> Result<Vec<Field>, String> {
            list.as_array().into_iter().flatten().map(|field| Field::read(random, field)).collect()
        };
        let mut fields = super::seed::standard(random);
        fields.extend(read(random, &body["fields"])?);
        let mut surveys = Vec::new();
        for given in body["surveys"].as_array().into_iter().flatten() {
            let kind = given["type"].as_str().ok_or("a survey needs a type")?.to_owned();
            let fields = read(random, &given["fields"])?;
            surveys.push(SurveyForm { id: random.uuid(), kind, fields });
        }
        let posting = Posting {
            id: random.uuid(),
            job_id: random.uuid(),
            title,
            location: body["location"].as_str().unwrap_or("Berlin, Germany").to_owned(),
            department: "Engineering".to_owned(),
            listed: body["listed"].as_bool().unwrap_or(true),
            live: body["live"].as_bool().unwrap_or(true),
            updated_ms: now_ms,
            fields,
            surveys,
        };
        let view = posting.control_view();
        self.postings.push(posting);
        Ok(view)
    }

    pub(super) fn set_live(&mut self, id: &str, body: &Value, now_ms: i64) -> Result<Value, String> {
        let live = body["live"].as_bool().ok_or("live is true or false")?;
        let posting = self.postings.iter_mut().find(|posting| posting.id == id).ok_or("no such job")?;
        posting.live = live;
        posting.updated_ms = now_ms;
        Ok(posting.control_view())
    }
}
