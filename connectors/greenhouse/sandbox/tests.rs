//! Each documented example answer, and each rule of the vendor that the sandbox claims to keep or claims not to.

use serde_json::{Value, json};

use crate::harness::testing::{Answer, Bench};

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", data_encoding::BASE64.encode(format!("{user}:{password}").as_bytes()))
}

struct Board {
    bench: Bench,
    key: String,
    root: String,
}

impl Board {
    async fn open() -> Self {
        let bench = Bench::start("greenhouse").await;
        let key = basic(&bench.credential("board_api_key"), "");
        let root = format!("/v1/boards/{}/jobs", bench.setting("board_token"));
        bench.control("settings", &json!({ "visibility_lag_ms": 0 })).await;
        Self { bench, key, root }
    }

    async fn get(&self, path: &str) -> Answer {
        self.bench.send("GET", &format!("{}{path}", self.root), &[], "").await.unwrap()
    }

    /// The first posting for which this holds, as the control API shows it.
    async fn job(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let records = self.bench.look("records").await;
        records["jobs"].as_array().unwrap().iter().find(|job| wanted(job)).unwrap().clone()
    }

    async fn apply_to(&self, job: &Value, application: &Value) -> Answer {
        self.bench.json("POST", &format!("{}/{job}", self.root), &self.key, application).await
    }

    async fn apply(&self, application: &Value) -> Answer {
        let job = self.job(|job| job["live"] == true).await;
        self.apply_to(&job["id"], application).await
    }

    async fn token(&self) -> String {
        let answer = self.grant(&self.bench.setting("harvest_user_id")).await;
        format!("Bearer {}", answer.json()["access_token"].as_str().unwrap())
    }

    async fn grant(&self, sub: &str) -> Answer {
        let client =
            basic(&self.bench.credential("harvest_client_id"), &self.bench.credential("harvest_client_secret"));
        let headers = [("authorization", client.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        let form = format!("grant_type=client_credentials&sub={sub}");
        self.bench.send("POST", "/token", &headers, form).await.unwrap()
    }

    async fn harvest(&self, token: &str, path: &str) -> Answer {
        self.bench.json("GET", &format!("/v3/{path}"), token, &Value::Null).await
    }
}

fn ana() -> Value {
    json!({ "first_name": "Ana", "last_name": "Example", "email": "ana@example.org" })
}

fn with(more: &Value) -> Value {
    let mut application = ana();
    application.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    application
}

#[tokio::test]
async fn a_submission_is_answered_without_an_id_and_kept() {
    let board = Board::open().await;
    let answer = board.apply(&with(&json!({ "phone": "555-555-5555", "resume_text": "Ten years." }))).await;
    assert_eq!((answer.status, answer.json()), (200, json!({ "success": "Candidate saved successfully" })));
    let ledger = board.bench.ledger().await;
    assert_eq!(ledger.len(), 1, "control calls are not the vendor's");
    let (entry, record) = (&ledger[0], &ledger[0]["record"]);
    assert_eq!(
        (&entry["operation"], &entry["committed"], &entry["answered"]),
        (&json!("submit"), &json!(true), &json!(true))
    );
    assert_eq!(record["fields"], json!(["first_name", "last_name", "email", "phone", "resume_text"]));
    assert_eq!(record["resume_sha256"], "2731eb16755df09137d5cb350d2816bdad51df2f834ed12810c40ea8c989e907");
    assert_eq!(board.bench.look("records").await["applications"], json!([record]));
}

#[tokio::test]
async fn required_questions_are_not_enforced_and_what_has_no_field_is_not_kept() {
    let board = Board::open().await;
    let job = board
        .job(|job| {
            job["questions"]
                .as_array()
                .unwrap()
                .iter()
                .any(|q| q["required"] == true && q["label"].as_str().unwrap().starts_with("Why"))
        })
        .await;
    let sent = with(&json!({
        "location": "Berlin", "latitude": "52.5", "portfolio_3": "third", "question_1": "unknown question",
        "attachment_content": "QQ==", "attachment_content_filename": "third.pdf",
    }));
    assert_eq!(board.apply_to(&job["id"], &sent).await.status, 200);
    let record = board.bench.ledger().await.remove(0)["record"].take();
    assert_eq!(record["fields"], json!(["first_name", "last_name", "email"]), "no coordinates, no location");
    assert_eq!(record["answers"], json!({}));

    let located = with(&json!({ "location": "Berlin", "latitude": "52.5", "longitude": "13.4" }));
    board.apply_to(&job["id"], &located).await;
    let record = board.bench.ledger().await.remove(1)["record"].take();
    assert_eq!(record["fields"], json!(["first_name", "last_name", "email", "location", "latitude", "longitude"]));
}

#[tokio::test]
async fn answers_are_kept_by_question_id() {
    let board = Board::open().await;
    let job = board.job(|job| job["title"] == "Nurse, Intensive Care").await;
    let fields = |kind: &str| -> Vec<(String, Value)> {
        let questions =
            job["questions"].as_array().unwrap().iter().flat_map(|question| question["fields"].as_array().unwrap());
        questions
            .filter(|field| field["type"] == kind && field["name"].as_str().unwrap().starts_with("question_"))
            .map(|field| (field["name"].as_str().unwrap().to_owned(), field["values"].clone()))
            .collect()
    };
    let (text, _) = fields("textarea").remove(0);
    let (yes_no, values) = fields("multi_value_single_select").remove(0);
    assert_eq!(values, json!([{ "value": 0, "label": "No" }, { "value": 1, "label": "Yes" }]));
    let (several, values) = fields("multi_value_multi_select").remove(0);
    let (first, second) = (values[0]["value"].clone(), values[1]["value"].clone());
    let (file, _) = fields("input_file").remove(0);
    let sent = with(&json!({
        (&text): "Because.", (&yes_no): 1, (&several): [first, second],
        (format!("{file}_content")): "QUJD", (format!("{file}_content_filename")): "work.PDF",
    }));
    assert_eq!(board.apply_to(&job["id"], &sent).await.status, 200);
    let answers = board.bench.ledger().await.remove(0)["record"]["answers"].take();
    let id = |name: &str| name.strip_prefix("question_").unwrap().to_owned();
    assert_eq!(answers[id(&text)], "Because.");
    assert_eq!(answers[id(&yes_no)], 1);
    assert_eq!(answers[id(&several)], json!([first, second]));
    // SHA-256 of "ABC".
    assert_eq!(answers[id(&file)]["sha256"], "b5d4045c3f466fa91fe2cc6abe79232a1a57cdf104f7a26e716e0a1e2789df78");

    let token = board.token().await;
    let listed = board.harvest(&token, "applications").await.json();
    let answers = listed[0]["answers"].as_array().unwrap();
    assert!(answers.contains(&json!({ "question": "Are you authorised to work in this country?", "answer": "Yes" })));
    assert!(
        answers.contains(
            &json!({ "question": "Which of these have you run in production?", "answer": "Kubernetes, Rust" })
        )
    );
}

#[tokio::test]
async fn multipart_is_read_like_json() {
    let board = Board::open().await;
    let job = board.job(|job| job["live"] == true).await;
    let part = |head: &str, body: &str| format!("--XX\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n");
    let body = [
        part("name=\"first_name\"", "Ana"),
        part("name=\"last_name\"", "Example"),
        part("name=\"email\"", "ana@example.org"),
        part("name=\"resume\"; filename=\"cv.pdf\"", "ABC"),
        "--XX--\r\n".to_owned(),
    ]
    .concat();
    let headers = [("authorization", board.key.as_str()), ("content-type", "multipart/form-data; boundary=XX")];
    let path = format!("{}/{}", board.root, job["id"]);
    let answer = board.bench.send("POST", &path, &headers, body).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.json());
    let record = board.bench.ledger().await.remove(0)["record"].take();
    assert_eq!(record["fields"], json!(["first_name", "last_name", "email", "resume"]));
    assert_eq!(record["resume_sha256"], "b5d4045c3f466fa91fe2cc6abe79232a1a57cdf104f7a26e716e0a1e2789df78");
}

#[tokio::test]
async fn what_the_vendor_refuses() {
    let board = Board::open().await;
    let file = |name: &str, content: &str| json!({ "resume_content": content, "resume_content_filename": name });
    let job = |current: bool, end: Value| {
        let start = json!({ "month": 5, "year": 2020 });
        json!({ "employments": [{ "company_name": "Example", "title": "Cook", "start_date": start, "end_date": end, "current": current }] })
    };
    let cases = [
        (json!({ "email": null }), 422),
        (json!({ "first_name": "" }), 422),
        (json!({ "last_name": "x".repeat(256) }), 422),
        (json!({ "last_name": "é".repeat(255) }), 200),
        (json!({ "first_name": "see https://example.org" }), 422),
        (json!({ "phone": "www.example.org" }), 422),
        (json!({ "email": "not an address" }), 422),
        (file("cv.exe", "QUJD"), 422),
        (file("cv", "QUJD"), 422),
        (file("cv.pdf", ""), 422),
        (file("cv.docx", "QUJD"), 200),
        (job(false, Value::Null), 422),
        (job(true, Value::Null), 200),
        (job(false, json!({ "month": 4, "year": 2020 })), 422),
        (job(false, json!({ "month": 6, "year": 2020 })), 200),
    ];
    for (more, status) in cases {
        let answer = board.apply(&with(&more)).await;
        assert_eq!(answer.status, status, "{more}: {}", answer.json());
        if status == 422 {
            let body = answer.json();
            assert_eq!(body["error"], "Failed to save person");
            assert!(body["reason"].as_str().unwrap().starts_with("Validation failed: "));
        }
    }
    let committed = board.bench.ledger().await.iter().filter(|entry| entry["committed"] == true).count();
    assert_eq!(committed, 4);
}

#[tokio::test]
async fn a_job_that_is_not_live_looks_like_a_bad_key() {
    let board = Board::open().await;
    let closed = board.job(|job| job["live"] == false).await;
    let refused = board.apply_to(&closed["id"], &ana()).await;
    assert_eq!((refused.status, refused.json()), (401, json!({ "status": 401, "error": "Failed to save person" })));
    assert_eq!(board.get(&format!("/{}", closed["id"])).await.status, 404);
    let open = board.job(|job| job["live"] == true).await;
    let other_key = basic("wrong", "");
    let path = format!("{}/{}", board.root, open["id"]);
    let bad_key = board.bench.json("POST", &path, &other_key, &ana()).await;
    assert_eq!((bad_key.status, bad_key.json()), (refused.status, refused.json()));
    assert_eq!(board.apply_to(&json!(123), &ana()).await.status, 404);

    let id = closed["id"].to_string();
    board.bench.control(&format!("jobs/{id}"), &json!({ "live": true })).await;
    assert_eq!(board.apply_to(&closed["id"], &ana()).await.status, 200);
    board.bench.control("settings", &json!({ "credentials_valid": false })).await;
    assert_eq!(board.apply_to(&closed["id"], &ana()).await.status, 401);
}

#[tokio::test]
async fn the_board_lists_what_is_live() {
    let board = Board::open().await;
    let list = board.get("").await.json();
    let jobs = list["jobs"].as_array().unwrap();
    assert_eq!((jobs.len(), &list["meta"]["total"]), (19, &json!(19)));
    let names: Vec<&str> = jobs[0].as_object().unwrap().keys().map(String::as_str).collect();
    let documented = [
        "absolute_url",
        "id",
        "internal_job_id",
        "language",
        "location",
        "metadata",
        "requisition_id",
        "title",
        "updated_at",
    ];
    assert_eq!(names, documented);
    assert!(jobs.iter().any(|job| job["internal_job_id"].is_null()), "a prospect post");
    let content = board.get("?content=true").await.json()["jobs"][0]["content"].as_str().unwrap().to_owned();
    assert!(content.starts_with("&lt;h2&gt;") && content.contains("Research &amp;amp; development"), "{content}");

    let published = board.bench.control("jobs", &json!({ "title": "Late arrival" })).await;
    assert_eq!(board.get(&format!("/{}", published["id"])).await.json()["title"], "Late arrival");
    assert_eq!(board.get("").await.json()["meta"]["total"], 20);
}

#[tokio::test]
async fn a_job_shows_its_questions_when_asked() {
    let board = Board::open().await;
    let nurse = board.job(|job| job["title"] == "Nurse, Intensive Care").await;
    let path = format!("/{}", nurse["id"]);
    assert!(board.get(&path).await.json()["questions"].is_null());
    let job = board.get(&format!("{path}?questions=true")).await.json();
    let resume = job["questions"].as_array().unwrap().iter().find(|question| question["label"] == "Resume/CV").unwrap();
    let names: Vec<&Value> = resume["fields"].as_array().unwrap().iter().map(|field| &field["name"]).collect();
    assert_eq!(names, ["resume", "resume_text"], "alternatives");
    assert_eq!(
        job["location_questions"][1]["fields"],
        json!([{ "name": "latitude", "type": "input_hidden", "values": [] }])
    );
    assert_eq!(job["demographic_questions"]["questions"][0]["answer_options"][3]["free_form"], true);
    assert_eq!(job["data_compliance"][0]["type"], "gdpr");
    assert_eq!(job["compliance"][0]["type"], "eeoc");
    let letter = board.job(|job| job["title"] == "Technical Writer").await;
    assert_eq!(letter["questions"][5]["required"], true, "a required cover letter");
}

#[tokio::test]
async fn the_token_door_tells_an_absolute_expiry() {
    let board = Board::open().await;
    let answer = board.grant("1").await;
    let names: Vec<String> = answer.json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["access_token", "expires_at", "scope", "token_type"]);
    // `sub` is no Site Admin: the token is made, the lists are closed.
    let token = format!("Bearer {}", answer.json()["access_token"].as_str().unwrap());
    assert_eq!(board.harvest(&token, "applications").await.status, 403);

    let token = board.token().await;
    assert_eq!(board.harvest(&token, "applications").await.status, 200);
    board.bench.control("settings", &json!({ "scopes": ["harvest:candidates:list"] })).await;
    assert_eq!(board.harvest(&token, "applications").await.status, 403);
    assert_eq!(board.harvest(&token, "candidates").await.status, 200);

    board.bench.control("settings", &json!({ "single_token": true })).await;
    let newer = board.token().await;
    assert_eq!(board.harvest(&token, "candidates").await.status, 401, "one active token per credential");
    assert_eq!(board.harvest(&newer, "candidates").await.status, 200);

    board.bench.control("settings", &json!({ "token_ttl_ms": 0 })).await;
    let expired = board.token().await;
    assert_eq!(board.harvest(&expired, "candidates").await.status, 401);

    let headers = [("authorization", "Basic eDp5"), ("content-type", "application/x-www-form-urlencoded")];
    let refused = board.bench.send("POST", "/token", &headers, "grant_type=client_credentials").await.unwrap();
    assert_eq!((refused.status, refused.json()), (401, json!({ "error": "invalid_client" })));
}

#[tokio::test]
async fn a_submission_is_found_by_posting_and_window_then_by_candidate() {
    let board = Board::open().await;
    let job = board.job(|job| job["live"] == true).await;
    for number in 0..3 {
        board.apply_to(&job["id"], &with(&json!({ "email": format!("p{number}@example.org") }))).await;
    }
    let token = board.token().await;
    let since = "2026-01-01T00:00:00Z";
    let list = format!("applications?job_post_ids={}&created_at=gte|{since}|lte|2099-01-01T00:00:00Z", job["id"]);
    let found = board.harvest(&token, &list).await.json();
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), 3);
    assert!(found[0]["id"].as_u64() > found[1]["id"].as_u64(), "newest first");
    assert_eq!((&found[0]["status"], &found[0]["stage_name"]), (&json!("in_process"), &json!("Application Review")));
    let people = board
        .harvest(&token, &format!("candidates?ids={},{}", found[0]["candidate_id"], found[2]["candidate_id"]))
        .await
        .json();
    let emails: Vec<&Value> =
        people.as_array().unwrap().iter().map(|one| &one["email_addresses"][0]["value"]).collect();
    assert_eq!(emails, ["p2@example.org", "p0@example.org"]);

    for (query, count) in [
        ("job_post_ids=1", 0),
        ("created_at=lt|2026-01-01T00:00:00Z", 0),
        ("status=active", 3),
        ("status=hired", 0),
        ("prospect=true", 0),
        ("unknown_parameter=1", 3),
        (&format!("ids={}", found[1]["id"]), 1),
        (&format!("candidate_ids={}", found[1]["candidate_id"]), 1),
    ] {
        let listed = board.harvest(&token, &format!("applications?{query}")).await.json();
        assert_eq!(listed.as_array().unwrap().len(), count, "{query}");
    }
    let narrow = board.harvest(&token, "applications?fields=id,status").await.json();
    assert_eq!(narrow[0].as_object().unwrap().len(), 2);
    // The record's own word is no filter.
    assert_eq!(board.harvest(&token, "applications?status=in_process").await.status, 422);
    let many = (0..51).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(board.harvest(&token, &format!("candidates?ids={many}")).await.status, 422);
}

#[tokio::test]
async fn the_cursor_travels_alone() {
    let board = Board::open().await;
    for _ in 0..3 {
        board.apply(&ana()).await;
    }
    let token = board.token().await;
    let first = board.harvest(&token, "applications?per_page=2&status=active").await;
    assert_eq!(first.json().as_array().unwrap().len(), 2);
    let link = first.header("link").unwrap().to_owned();
    let next = link.strip_prefix(&format!("<{}/v3/", board.bench.running.base_url())).unwrap();
    let next = next.strip_suffix(">; rel=\"next\"").unwrap();
    let second = board.harvest(&token, next).await;
    assert_eq!(second.json().as_array().unwrap().len(), 1);
    assert!(second.header("link").is_none());
    let refused = board.harvest(&token, &format!("{next}&per_page=2")).await;
    let said = json!({ "errors": ["When passing a cursor, do not include other query params."] });
    assert_eq!((refused.status, refused.json()), (422, said));
}

#[tokio::test]
async fn posts_and_jobs_are_read_by_their_ids() {
    let board = Board::open().await;
    let token = board.token().await;
    let closed = board.job(|job| job["live"] == false).await;
    let post = board.harvest(&token, &format!("job_posts?ids={}", closed["id"])).await.json();
    assert_eq!(
        (&post[0]["live"], &post[0]["active"], &post[0]["job_id"]),
        (&json!(false), &json!(true), &closed["internal_job_id"])
    );
    let job = board.harvest(&token, &format!("jobs?ids={}", closed["internal_job_id"])).await.json();
    assert_eq!((&job[0]["status"], &job[0]["requisition_id"]), (&json!("closed"), &closed["requisition_id"]));
    let missing = board.harvest(&token, "scorecards").await;
    assert_eq!((missing.status, missing.json()), (404, json!({ "message": "Resource not found" })));
}

#[tokio::test]
async fn new_records_show_only_after_the_lag() {
    let board = Board::open().await;
    board.bench.control("settings", &json!({ "visibility_lag_ms": 3_600_000 })).await;
    board.apply(&ana()).await;
    let token = board.token().await;
    assert_eq!(board.harvest(&token, "applications").await.json(), json!([]));
    assert_eq!(board.harvest(&token, "candidates").await.json(), json!([]));
    board.bench.control("settings", &json!({ "visibility_lag_ms": 0 })).await;
    assert_eq!(board.harvest(&token, "applications").await.json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn harvest_keeps_its_limit_and_the_board_has_none() {
    let board = Board::open().await;
    let token = board.token().await;
    let hour = 3_600_000_i64 * 24 * 365 * 200;
    board.bench.control("settings", &json!({ "rate_limit": { "calls": 1, "window_ms": hour } })).await;
    let first = board.harvest(&token, "applications").await;
    assert_eq!((first.header("x-ratelimit-limit"), first.header("x-ratelimit-remaining")), (Some("1"), Some("0")));
    assert!(first.header("x-ratelimit-reset").is_some() && first.header("retry-after").is_none());
    let second = board.harvest(&token, "applications").await;
    assert_eq!(second.status, 429);
    assert!(second.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(board.apply(&ana()).await.status, 200);
    assert_eq!(board.get("").await.status, 200);
    board.bench.control("settings", &json!({ "rate_limit": null })).await;
    assert_eq!(board.harvest(&token, "applications").await.status, 200);
}

#[tokio::test]
async fn the_recorded_200_with_an_error_body_can_be_scripted() {
    let board = Board::open().await;
    let recorded = json!({ "error": "Failed to save person", "reason": "Job application not live" });
    board
        .bench
        .fault(json!({ "operation": "submit", "times": 1, "do": "status", "status": 200, "body": recorded }))
        .await;
    let answer = board.apply(&ana()).await;
    assert_eq!((answer.status, answer.json()), (200, recorded));
    let entry = board.bench.ledger().await.remove(0);
    assert_eq!(
        (&entry["committed"], &entry["answered"], &entry["fault"]),
        (&json!(false), &json!(true), &json!("status"))
    );
    assert_eq!(board.apply(&ana()).await.status, 200);
}

#[tokio::test]
async fn one_seed_is_one_board() {
    let (one, same, other) = (
        Bench::seeded("greenhouse", 3).await,
        Bench::seeded("greenhouse", 3).await,
        Bench::seeded("greenhouse", 4).await,
    );
    let credentials = |bench: &Bench| bench.running.announcement()["credentials"].clone();
    assert_eq!(credentials(&one), credentials(&same));
    assert_ne!(credentials(&one), credentials(&other));
    assert_eq!(one.look("records").await, same.look("records").await);
}
