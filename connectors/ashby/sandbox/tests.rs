//! Each documented example answer, and each rule of the vendor that the sandbox claims to keep or claims not to.

use serde_json::{Value, json};

use crate::harness::testing::{Answer, Bench};

const BOUNDARY: &str = "sandbox-test-7";

struct Org {
    bench: Bench,
    key: String,
}

impl Org {
    async fn open() -> Self {
        let bench = Bench::start("ashby").await;
        let key = data_encoding::BASE64.encode(format!("{}:", bench.credential("api_key")).as_bytes());
        bench.control("settings", &json!({ "visibility_lag_ms": 0 })).await;
        Self { bench, key: format!("Basic {key}") }
    }

    async fn ask(&self, verb: &str, body: &Value) -> Answer {
        self.bench.json("POST", &format!("/{verb}"), &self.key, body).await
    }

    /// The results of a call that says yes.
    async fn yes(&self, verb: &str, body: &Value) -> Value {
        let answer = self.ask(verb, body).await;
        let mut said = answer.json();
        assert_eq!((answer.status, &said["success"]), (200, &json!(true)), "{verb}: {said}");
        said["results"].take()
    }

    /// The code of a call that says no, with status 200.
    async fn no(&self, verb: &str, body: &Value) -> String {
        let answer = self.ask(verb, body).await;
        let said = answer.json();
        assert_eq!((answer.status, &said["success"]), (200, &json!(false)), "{verb}: {said}");
        assert_eq!(said["errors"], json!([said["errorInfo"]["code"]]), "both ways of saying it: {said}");
        assert!(said["errorInfo"]["requestId"].is_string() && said["errorInfo"]["message"].is_string(), "{said}");
        said["errorInfo"]["code"].as_str().unwrap().to_owned()
    }

    async fn set(&self, settings: Value) {
        self.bench.control("settings", &settings).await;
    }

    async fn posting(&self, title: &str) -> Value {
        let jobs = self.bench.look("records").await["jobs"].take();
        jobs.as_array().unwrap().iter().find(|job| job["title"] == title).unwrap().clone()
    }

    async fn publish(&self, job: &Value) -> Value {
        self.bench.control("jobs", job).await
    }

    async fn records(&self, of: &str) -> Vec<Value> {
        self.bench.look("records").await[of].as_array().unwrap().clone()
    }

    /// A file's handle, and what came with it.
    async fn handle(&self) -> Value {
        let wanted = json!({ "fileUploadContext": "ApplicationForm", "filename": "cv.pdf", "contentType": "application/pdf", "contentLength": 3 });
        self.yes("file.createFileUploadHandle", &wanted).await
    }

    async fn upload(&self, handle: &Value, fields: &[(&str, &str)], file: &str, key: &str) -> u16 {
        let mut body = String::new();
        for (name, value) in fields {
            body.push_str(&format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            ));
        }
        body.push_str(&format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{file}\"; filename=\"cv.pdf\"\r\n\r\nABC\r\n--{BOUNDARY}--\r\n"
        ));
        let content = format!("multipart/form-data; boundary={BOUNDARY}");
        let mut headers = vec![("content-type", content.as_str())];
        if !key.is_empty() {
            headers.push(("authorization", key));
        }
        let (_, path) = handle["url"].as_str().unwrap().split_once("/storage/").unwrap();
        self.bench.send("POST", &format!("/storage/{path}"), &headers, body).await.unwrap().status
    }

    async fn uploaded(&self) -> String {
        let handle = self.handle().await;
        let text = |name: &str| handle["fields"][name].as_str().unwrap().to_owned();
        let (key, policy) = (text("key"), text("Policy"));
        assert_eq!(self.upload(&handle, &[("key", &key), ("Policy", &policy)], "file", "").await, 204);
        handle["handle"].as_str().unwrap().to_owned()
    }
}

fn form(posting: &Value, email: &str, more: &[(&str, Value)]) -> Value {
    let mut fields = vec![
        json!({ "path": "_systemfield_name", "value": "Gob Bluth" }),
        json!({ "path": "_systemfield_email", "value": email }),
    ];
    fields.extend(more.iter().map(|(path, value)| json!({ "path": path, "value": value })));
    json!({ "jobPostingId": posting["id"], "applicationForm": { "fieldSubmissions": fields } })
}

#[tokio::test]
async fn the_key_is_asked_for_in_three_ways() {
    let org = Org::open().await;
    for (key, status) in [("", 401), ("Basic d3Jvbmc6", 403), ("Bearer x", 401)] {
        let answer = org.bench.json("POST", "/jobPosting.list", key, &json!({})).await;
        assert_eq!((answer.status, &answer.json()["success"]), (status, &json!(false)), "{key}");
    }
    org.set(json!({ "permissions": ["jobsRead"] })).await;
    let answer = org.ask("candidate.search", &json!({})).await;
    assert_eq!((answer.status, &answer.json()["errorInfo"]["code"]), (403, &json!("missing_endpoint_permission")));
    assert_eq!(org.ask("jobPosting.list", &json!({})).await.status, 200);
    org.set(json!({ "credentials_valid": false })).await;
    assert_eq!(org.ask("jobPosting.list", &json!({})).await.status, 403, "a disabled key looks like a wrong one");
}

#[tokio::test]
async fn the_key_says_what_it_holds_and_the_limit_is_kept() {
    let org = Org::open().await;
    org.set(json!({ "permissions": ["jobsRead", "candidatesRead", "apiKeysRead"] })).await;
    let key = org.yes("apiKey.info", &json!({})).await;
    assert_eq!(key["title"], "Custom Job Board API key");
    assert_eq!(key["scopes"], json!(["jobs:read", "candidates:read", "apiKeys:read"]));
    org.set(json!({ "rate_limit": { "calls": 2, "window_ms": 3_600_000 } })).await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(org.ask("jobPosting.list", &json!({})).await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn postings_and_their_forms_are_as_documented() {
    let org = Org::open().await;
    let all = org.yes("jobPosting.list", &json!({})).await;
    let listed = org.yes("jobPosting.list", &json!({ "listedOnly": true })).await;
    assert_eq!((all.as_array().unwrap().len(), listed.as_array().unwrap().len()), (7, 6), "unlisted ones by default");
    let members = [
        "id",
        "title",
        "jobId",
        "departmentName",
        "teamName",
        "locationName",
        "locationIds",
        "employmentType",
        "isListed",
        "publishedDate",
        "applyLink",
        "shouldDisplayCompensationOnJobBoard",
        "updatedAt",
    ];
    for member in members {
        assert!(!all[0][member].is_null(), "{member} is required");
    }
    let posting = org.posting("Backend Engineer").await;
    let info = org.yes("jobPosting.info", &json!({ "jobPostingId": posting["id"] })).await;
    let fields = info["applicationFormDefinition"]["sections"][0]["fields"].as_array().unwrap();
    for field in fields {
        for member in ["id", "type", "path", "humanReadablePath", "title", "isNullable"] {
            assert!(!field["field"][member].is_null(), "{member}: {field}");
        }
    }
    assert_eq!((&fields[0]["isRequired"], &fields[0]["field"]["path"]), (&json!(true), &json!("_systemfield_name")));
    let sales = org.posting("Account Executive").await;
    let info = org.yes("jobPosting.info", &json!({ "jobPostingId": sales["id"] })).await;
    let kinds: Vec<&str> =
        info["surveyFormDefinitions"].as_array().unwrap().iter().filter_map(|one| one["surveyType"].as_str()).collect();
    assert_eq!(kinds, ["CandidateDataConsent", "EEOC", "Diversity", "Questionnaire"]);
    let survey = &info["surveyFormDefinitions"][1];
    let read = org.yes("surveyFormDefinition.info", &json!({ "surveyFormDefinitionId": survey["id"] })).await;
    assert_eq!(&read, survey);
    let job = org.yes("job.info", &json!({ "id": info["jobId"] })).await;
    assert_eq!((&job["status"], &job["jobPostingIds"]), (&json!("Open"), &json!([sales["id"]])));
    for verb in ["jobPosting.info", "job.info", "surveyFormDefinition.info"] {
        assert!(org.no(verb, &json!({ "id": "x", "jobPostingId": "x" })).await.ends_with("not_found"), "{verb}");
    }
}

#[tokio::test]
async fn a_submission_is_kept_and_answered_without_an_application() {
    let org = Org::open().await;
    let posting = org.posting("Field Technician").await;
    let mut body = form(&posting, "gob@example.org", &[("unasked", json!("not kept"))]);
    body["utmData"] = json!({ "utm_source": "newsletter" });
    let stored = org.yes("applicationForm.submit", &body).await;
    assert_eq!(stored["formMessages"], json!({ "blocked": false }));
    assert_eq!(stored["submittedFormInstance"]["submittedValues"]["_systemfield_name"], "Gob Bluth");
    assert!(stored["submittedFormInstance"]["formDefinition"]["sections"].is_array());
    let text = stored.to_string();
    assert!(!text.contains("applicationId") && !text.contains("candidateId"), "{text}");

    let instance = &stored["submittedFormInstance"]["id"];
    let read = org.yes("application.info", &json!({ "submittedFormInstanceId": instance })).await;
    let kept = org.records("applications").await.remove(0);
    assert_eq!((&read["id"], &read["candidate"]["id"]), (&kept["id"], &kept["candidate_id"]));
    assert_eq!((&read["job"]["id"], &read["appliedViaJobPostingId"]), (&posting["job_id"], &posting["id"]));
    assert!(kept["values"].get("unasked").is_none(), "{kept}");
    let both = json!({ "applicationId": kept["id"], "submittedFormInstanceId": "another" });
    assert_eq!(org.yes("application.info", &both).await["id"], kept["id"], "the application's id wins");
    assert_eq!(org.no("application.info", &json!({ "applicationId": "x" })).await, "application_not_found");
    let ledger = org.bench.ledger().await;
    let entry = ledger.iter().find(|entry| entry["operation"] == "applicationForm.submit").unwrap();
    assert_eq!((&entry["committed"], &entry["record"]), (&json!(true), &kept));
}

#[tokio::test]
async fn the_vendor_validates_and_says_so_inside_a_200() {
    let org = Org::open().await;
    let posting = org.posting("Field Technician").await;
    let refused = |body: Value| {
        let org = &org;
        async move { org.no("applicationForm.submit", &body).await }
    };
    assert_eq!(refused(form(&posting, "testing-fail-validation@example.com", &[])).await, "invalid_input");
    assert_eq!(refused(form(&posting, "no address", &[])).await, "invalid_input");
    assert_eq!(refused(json!({ "jobPostingId": posting["id"] })).await, "invalid_input");
    let nameless = json!([{ "path": "_systemfield_email", "value": "gob@example.org" }]);
    let body = json!({ "jobPostingId": posting["id"], "applicationForm": { "fieldSubmissions": nameless } });
    assert_eq!(refused(body).await, "invalid_input", "required fields are enforced");
    let closed = org.posting("Payroll Specialist").await;
    let mut body = form(&closed, "gob@example.org", &[]);
    body["allowSubmissionForUnpublishedJobPosting"] = json!(false);
    assert_eq!(refused(body).await, "job_posting_not_published");
    assert_eq!(org.records("applications").await.len(), 0);
    org.yes("applicationForm.submit", &form(&closed, "gob@example.org", &[])).await;
    assert_eq!(org.records("applications").await.len(), 1, "true is the default, and takes it");
}

#[tokio::test]
async fn each_type_takes_its_documented_shape_and_no_other() {
    let org = Org::open().await;
    for (kind, takes, refuses) in [
        ("Boolean", json!(true), json!("true")),
        ("Date", json!("2026-09-01"), json!("1 September")),
        ("Email", json!("a@example.org"), json!("a")),
        ("Number", json!(7), json!("7")),
        ("RichText", json!({ "type": "PlainText", "value": "A plain text string" }), json!("A plain text string")),
        ("Score", json!({ "score": 4 }), json!({ "score": 5 })),
        ("Phone", json!("555-555-5555"), json!(5_555)),
        ("ValueSelect", json!("one"), json!("three")),
        ("MultiValueSelect", json!(["one", "two"]), json!("one")),
        ("Location", json!({ "country": "USA", "city": "San Francisco", "region": "California" }), json!("USA")),
        ("Location", json!({ "city": "San Francisco" }), json!({ "town": "San Francisco" })),
        (
            "EducationHistory",
            json!([{ "schoolName": "University of California, Berkeley", "startDate": "2020-09-01", "isCurrent": true }]),
            json!([{ "schoolName": "A", "endDate": "2024-05-15", "isCurrent": true }]),
        ),
    ] {
        let field = json!({ "type": kind, "title": "Asked", "path": "asked", "options": ["one", "two"] });
        let posting = org.publish(&json!({ "title": kind, "fields": [field] })).await;
        org.yes("applicationForm.submit", &form(&posting, "gob@example.org", &[("asked", takes)])).await;
        let code = org.no("applicationForm.submit", &form(&posting, "gob@example.org", &[("asked", refuses)])).await;
        assert_eq!(code, "invalid_input", "{kind}");
    }
}

#[tokio::test]
async fn a_handle_wants_its_fields_the_file_last_and_lives_ten_minutes() {
    let org = Org::open().await;
    assert_eq!(org.bench.look("settings").await["handle_ttl_ms"], 600_000);
    let handle = org.handle().await;
    assert!(!handle["url"].as_str().unwrap().starts_with(&org.bench.setting("base_url")), "another host: {handle}");
    let text = |name: &str| handle["fields"][name].as_str().unwrap().to_owned();
    let (key, policy) = (text("key"), text("Policy"));
    let whole = [("key", key.as_str()), ("Policy", policy.as_str())];
    for (fields, file, auth) in [
        (&whole[..1], "file", ""),
        (&[("key", key.as_str()), ("Policy", "other")][..], "file", ""),
        (&whole[..], "upload", ""),
        (&whole[..], "file", org.key.as_str()),
    ] {
        assert_eq!(org.upload(&handle, fields, file, auth).await, 403, "{fields:?} {file}");
    }
    let posting = org.posting("Field Technician").await;
    let resume = |handle: &Value| form(&posting, "gob@example.org", &[("_systemfield_resume", handle.clone())]);
    assert_eq!(
        org.no("applicationForm.submit", &resume(&handle["handle"])).await,
        "invalid_input",
        "nothing is there yet"
    );
    assert_eq!(org.upload(&handle, &whole, "file", "").await, 204);
    org.yes("applicationForm.submit", &resume(&handle["handle"])).await;
    // SHA-256 of "ABC".
    let kept = org.records("applications").await.remove(0);
    assert_eq!(kept["resume_sha256"], "b5d4045c3f466fa91fe2cc6abe79232a1a57cdf104f7a26e716e0a1e2789df78");
    assert_eq!(org.no("applicationForm.submit", &resume(&json!("no handle"))).await, "invalid_input");

    org.set(json!({ "handle_ttl_ms": 0 })).await;
    let late = org.handle().await;
    let text = |name: &str| late["fields"][name].as_str().unwrap().to_owned();
    let fields = [("key", text("key")), ("Policy", text("Policy"))];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(org.upload(&late, &fields, "file", "").await, 403, "too late");
    for wrong in
        [json!({}), json!({ "fileUploadContext": "Other", "filename": "a", "contentType": "b", "contentLength": 1 })]
    {
        assert_eq!(org.no("file.createFileUploadHandle", &wrong).await, "invalid_input");
    }
}

#[tokio::test]
async fn a_file_may_come_as_a_part_named_like_its_value() {
    let org = Org::open().await;
    let posting = org.posting("Field Technician").await;
    let body = form(&posting, "gob@example.org", &[("_systemfield_resume", json!("resume_1"))]);
    let text = |name: &str, value: String| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let sent = [
        text("jobPostingId", body["jobPostingId"].as_str().unwrap().to_owned()),
        text("applicationForm", body["applicationForm"].to_string()),
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"resume_1\"; filename=\"cv.pdf\"\r\n\r\nABC\r\n--{BOUNDARY}--\r\n"),
    ]
    .concat();
    let content = format!("multipart/form-data; boundary={BOUNDARY}");
    let headers = [("content-type", content.as_str()), ("authorization", org.key.as_str())];
    let answer = org.bench.send("POST", "/applicationForm.submit", &headers, sent).await.unwrap();
    assert_eq!(answer.json()["success"], true, "{}", answer.json());
    assert!(org.records("applications").await[0]["resume_sha256"].is_string());
}

#[tokio::test]
async fn a_blocked_submission_is_a_success_that_creates_nothing() {
    let org = Org::open().await;
    let posting = org.posting("Field Technician").await;
    org.yes("applicationForm.submit", &form(&posting, "gob@example.org", &[])).await;
    org.set(json!({ "application_limit": 1 })).await;
    let silent = org.yes("applicationForm.submit", &form(&posting, "GOB@example.org", &[])).await;
    assert_eq!(silent["formMessages"], json!({ "blocked": true }), "no message: the candidate is not to be told");
    let message = "<div><p>Candidates may not apply more than 2 times in any 60 day span.</p></div>";
    org.set(json!({ "block_message_html": message })).await;
    let told = org.yes("applicationForm.submit", &form(&posting, "gob@example.org", &[])).await;
    assert_eq!(told["formMessages"], json!({ "blocked": true, "blockMessageForCandidateHtml": message }));
    assert_eq!((org.records("applications").await.len(), org.records("blocked").await.len()), (1, 2));
    let instance = json!({ "submittedFormInstanceId": told["submittedFormInstance"]["id"] });
    assert_eq!(org.no("application.info", &instance).await, "application_blocked");
    let committed = org.bench.ledger().await.iter().filter(|entry| entry["committed"] == true).count();
    assert_eq!(committed, 1);
}

#[tokio::test]
async fn people_are_found_by_address_and_name_after_the_lag() {
    let org = Org::open().await;
    let (one, two) = (org.posting("Field Technician").await, org.posting("Backend Engineer").await);
    org.yes("applicationForm.submit", &form(&one, "gob@example.org", &[])).await;
    let other = org.publish(&json!({ "title": "Magician" })).await;
    org.yes("applicationForm.submit", &form(&other, "GOB@example.org", &[])).await;
    let found = org.yes("candidate.search", &json!({ "email": "Gob@Example.org" })).await;
    assert_eq!(found.as_array().unwrap().len(), 1, "one candidate for one address");
    assert_eq!(found[0]["applicationIds"].as_array().unwrap().len(), 2);
    assert_eq!(found[0]["primaryEmailAddress"]["value"], "gob@example.org");
    for (terms, count) in [
        (json!({ "email": "gob@example.org", "name": "Somebody Else" }), 0),
        (json!({ "name": "gob bluth" }), 1),
        (json!({ "email": "gob@example.com" }), 0),
    ] {
        assert_eq!(org.yes("candidate.search", &terms).await.as_array().unwrap().len(), count, "{terms}");
    }
    let list = |body: Value| {
        let org = &org;
        async move { org.ask("application.list", &body).await.json() }
    };
    assert_eq!(list(json!({ "jobId": one["job_id"] })).await["results"].as_array().unwrap().len(), 1);
    assert_eq!(list(json!({ "jobId": two["job_id"] })).await["results"], json!([]));
    assert_eq!(list(json!({ "createdAfter": 4_102_444_800_000_i64 })).await["results"], json!([]), "milliseconds");
    let first = list(json!({ "limit": 1 })).await;
    assert_eq!(first["moreDataAvailable"], true);
    let second = list(json!({ "limit": 1, "cursor": first["nextCursor"] })).await;
    assert_eq!((&second["moreDataAvailable"], second["results"].as_array().unwrap().len()), (&json!(false), 1));
    assert_ne!(first["results"][0]["id"], second["results"][0]["id"]);

    org.set(json!({ "visibility_lag_ms": 3_600_000, "info_lag_ms": 3_600_000 })).await;
    assert_eq!(org.yes("candidate.search", &json!({ "email": "gob@example.org" })).await, json!([]));
    let id = org.records("applications").await[0]["id"].clone();
    assert_eq!(org.no("application.info", &json!({ "applicationId": id })).await, "application_not_found");
}

#[tokio::test]
async fn a_survey_needs_all_four_and_an_application_that_is_theirs() {
    let org = Org::open().await;
    let posting = org.posting("Account Executive").await;
    org.yes("applicationForm.submit", &form(&posting, "gob@example.org", &[])).await;
    let kept = org.records("applications").await.remove(0);
    let whole = json!({
        "candidateId": kept["candidate_id"], "applicationId": kept["id"],
        "surveyFormDefinitionId": posting["surveys"][1]["id"],
        "submittedValues": { "_systemfield_eeoc_gender": "Female" },
    });
    let taken = org.yes("surveySubmission.create", &whole).await;
    assert_eq!((&taken["surveyType"], &taken["submittedValues"]), (&json!("EEOC"), &whole["submittedValues"]));
    for member in ["id", "submittedAt", "candidateId", "applicationId", "surveyFormDefinitionId"] {
        assert!(taken[member].is_string(), "{member}");
    }
    for member in ["candidateId", "applicationId", "surveyFormDefinitionId", "submittedValues"] {
        let mut part = whole.clone();
        part.as_object_mut().unwrap().remove(member);
        org.no("surveySubmission.create", &part).await;
    }
    org.yes("surveySubmission.create", &whole).await;
    assert_eq!(org.records("surveys").await.len(), 2, "a repeat is a second submission");
}

#[tokio::test]
async fn what_is_not_documented_is_not_offered() {
    let org = Org::open().await;
    assert_eq!(org.ask("candidate.merge", &json!({})).await.status, 404);
    assert_eq!(org.bench.json("GET", "/jobPosting.list", &org.key, &Value::Null).await.status, 404, "POST alone");
    let headers = [("authorization", org.key.as_str()), ("content-type", "application/json")];
    let answer = org.bench.send("POST", "/jobPosting.list", &headers, "{").await.unwrap();
    assert_eq!(answer.json()["errorInfo"]["code"], "invalid_input", "the sample's words for a malformed payload");
    assert_eq!(answer.json()["errorInfo"]["message"], "Request payload is malformed");
    let handle = org.uploaded().await;
    assert!(!handle.is_empty());
    assert_eq!(org.bench.look("records").await["uploads"], 1);
}
