//! A small career site: the jobs of the board, an apply form made from each posting's questions, and an answer the
//! applicant can read. It is a customer's site in miniature: it holds the secret key on its server, posts to the gateway
//! as any site would, and shows the gateway's reasons beside the fields.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::extract::{DefaultBodyLimit, Multipart, Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

use super::call;
use super::career_pages::{self, Notice};
use super::stage::Stage;

const UPLOAD_BYTES_MAX: usize = 11 << 20;

#[derive(Clone)]
pub(super) struct Site {
    gateway: SocketAddr,
    key: Arc<str>,
    board: SocketAddr,
    board_token: Arc<str>,
}

/// Serves the site on a free port until the program ends.
pub(super) async fn serve(stage: &Stage) -> Result<SocketAddr> {
    let board_token = stage.ats.settings["board_token"].as_str().context("a board has a token")?;
    let site = Site {
        gateway: stage.public(),
        key: stage.key.as_str().into(),
        board: stage.ats.address,
        board_token: board_token.into(),
    };
    let router = axum::Router::new()
        .route("/", get(jobs))
        .route("/jobs/{id}", get(form).post(apply))
        .layer(DefaultBodyLimit::max(UPLOAD_BYTES_MAX))
        .with_state(site);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    #[expect(clippy::disallowed_methods, reason = "the site lives as long as the demonstration's process")]
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            super::play::say(&format!("the career site stopped: {error}"));
        }
    });
    Ok(address)
}

/// What went wrong on the site's own side.
struct Broken(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Broken {
    fn into_response(self) -> Response {
        super::play::say(&format!("the career site: {:#}", self.0));
        (StatusCode::BAD_GATEWAY, Html(career_pages::broken())).into_response()
    }
}

async fn jobs(State(site): State<Site>) -> Result<Html<String>, Broken> {
    let path = format!("/v1/boards/{}/jobs", site.board_token);
    let (_, list) = call::json(site.board, "GET", &path, &[], None).await?;
    Ok(Html(career_pages::jobs(list["jobs"].as_array().map_or(&[][..], Vec::as_slice))))
}

async fn posting(site: &Site, id: &str) -> Result<Option<Value>> {
    if !id.chars().all(|c| c.is_ascii_digit()) {
        return Ok(None);
    }
    let path = format!("/v1/boards/{}/jobs/{id}?questions=true", site.board_token);
    let (status, job) = call::json(site.board, "GET", &path, &[], None).await?;
    Ok((status == 200).then_some(job))
}

async fn form(State(site): State<Site>, Path(id): Path<String>) -> Result<Response, Broken> {
    Ok(match posting(&site, &id).await? {
        Some(job) => Html(career_pages::form(&job, &HashMap::new(), &Notice::None)).into_response(),
        None => (StatusCode::NOT_FOUND, Html(career_pages::gone())).into_response(),
    })
}

async fn apply(State(site): State<Site>, Path(id): Path<String>, body: Multipart) -> Result<Response, Broken> {
    let Some(job) = posting(&site, &id).await? else {
        return Ok((StatusCode::NOT_FOUND, Html(career_pages::gone())).into_response());
    };
    let typed = Typed::read(body).await?;
    let document = document(&id, &job, &typed);
    let files: Vec<(&str, &str, &str, &[u8])> = typed
        .files
        .iter()
        .map(|file| (file.field.as_str(), file.name.as_str(), file.media_type.as_str(), &file.bytes[..]))
        .collect();
    let (content_type, body) = call::multipart(&serde_json::to_vec(&document)?, &files);
    let request = Request::post("/v1/applications")
        .header("host", site.gateway.to_string())
        .header("authorization", format!("Bearer {}", site.key))
        .header("content-type", content_type)
        .body(Full::new(body))?;
    let (status, answer) = call::send(site.gateway, request).await?;
    let answer: Value = serde_json::from_slice(&answer).unwrap_or(Value::Null);
    Ok(if status == 202 {
        Html(career_pages::thanks(&job, &answer)).into_response()
    } else {
        let page = career_pages::form(&job, &typed.texts, &Notice::Refused { answer: &answer, document: &document });
        (StatusCode::UNPROCESSABLE_ENTITY, Html(page)).into_response()
    })
}

/// What the applicant typed and chose.
struct Typed {
    texts: HashMap<String, Vec<String>>,
    files: Vec<Upload>,
}

struct Upload {
    field: String,
    name: String,
    media_type: String,
    bytes: Bytes,
}

impl Typed {
    async fn read(mut body: Multipart) -> Result<Self> {
        let mut typed = Self { texts: HashMap::new(), files: Vec::new() };
        while let Some(part) = body.next_field().await? {
            let field = part.name().unwrap_or_default().to_owned();
            match part.file_name().map(str::to_owned) {
                Some(name) => {
                    let media_type = part.content_type().unwrap_or("application/octet-stream").to_owned();
                    let bytes = part.bytes().await?;
                    if !name.is_empty() {
                        typed.files.push(Upload { field, name, media_type, bytes });
                    }
                }
                None => {
                    let text = part.text().await?;
                    if !text.trim().is_empty() {
                        typed.texts.entry(field).or_default().push(text);
                    }
                }
            }
        }
        Ok(typed)
    }

    fn first(&self, field: &str) -> Option<&str> {
        self.texts.get(field).and_then(|texts| texts.first()).map(String::as_str)
    }
}

/// The canonical application, from what was typed.
fn document(id: &str, job: &Value, typed: &Typed) -> Value {
    let mut name = serde_json::Map::new();
    for (member, field) in [("given", "first_name"), ("family", "last_name")] {
        if let Some(text) = typed.first(field) {
            name.insert(member.to_owned(), json!(text));
        }
    }
    let mut document = json!({
        "job": id,
        "person": { "name": name, "emails": [] },
        "answers": answers(job, typed),
        "attachments": attachments(typed),
        "consents": [],
        "source": { "board": "career-site" },
        "meta": { "site": "careers.example.org" }
    });
    if let Some(email) = typed.first("email") {
        document["person"]["emails"] = json!([{ "address": email }]);
    }
    if let Some(phone) = typed.first("phone") {
        document["person"]["phones"] = json!([{ "raw": phone }]);
    }
    if let Some(text) = typed.first("location") {
        // A real site asks a map service; this one knows a single place.
        document["person"]["location"] = json!({ "text": text, "lat": 52.52, "lng": 13.405 });
    }
    let given = typed.first("consent").is_some();
    let consents = ["application", "recruiting", "retention"];
    document["consents"] = consents
        .map(|purpose| json!({ "purpose": purpose, "basis": "consent", "given": given, "channel": "web" }))
        .into();
    document
}

fn answers(job: &Value, typed: &Typed) -> Vec<Value> {
    let mut answers = Vec::new();
    for field in career_pages::own_questions(job) {
        let name = field["name"].as_str().unwrap_or_default();
        let question = name.trim_end_matches("[]");
        if typed.files.iter().any(|file| file.field == question) {
            answers.push(json!({ "question": question, "attachment": question }));
            continue;
        }
        let Some(chosen) = typed.texts.get(question) else { continue };
        answers.push(match field["type"].as_str() {
            Some("multi_value_single_select") => json!({ "question": question, "option": { "id": chosen[0] } }),
            Some("multi_value_multi_select") => {
                json!({ "question": question, "options": chosen.iter().map(|id| json!({ "id": id })).collect::<Vec<_>>() })
            }
            _ => json!({ "question": question, "value": chosen[0] }),
        });
    }
    answers
}

fn attachments(typed: &Typed) -> Vec<Value> {
    let described = typed.files.iter().map(|file| {
        let kind = match file.field.as_str() {
            "resume" => "resume",
            "cover_letter" => "cover_letter",
            _ => "other",
        };
        let mut attachment = json!({
            "id": file.field, "kind": kind, "name": file.name, "media_type": file.media_type, "size": file.bytes.len()
        });
        if kind == "other" {
            attachment["question"] = json!(file.field);
        }
        attachment
    });
    described.collect()
}
