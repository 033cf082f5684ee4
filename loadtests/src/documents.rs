//! Applications of invented people, from a seed: the same number always gives the same person and the same bytes.

use anyhow::Result;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};

const GIVEN: &[&str] =
    &["Ada", "Bela", "Chioma", "Dana", "Emre", "Frida", "Goran", "Hana", "Iker", "Jun", "Kwame", "Lucía"];
const FAMILY: &[&str] = &[
    "Abebe",
    "Brandt",
    "Castellón",
    "Dvořák",
    "Eriksen",
    "Fontaine",
    "Grünewald",
    "Haddad",
    "Ivanova",
    "Jensen",
    "Kobayashi",
];

/// A person who applies once.
#[derive(Clone)]
pub(crate) struct Applicant {
    pub(crate) email: String,
    pub(crate) given: String,
    pub(crate) family: String,
    pub(crate) document: Bytes,
    pub(crate) resume: Option<Bytes>,
}

/// splitmix64: enough to vary documents reproducibly.
pub(crate) fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A résumé of about `size` bytes: a real PDF header and trailer around filler.
pub(crate) fn resume(seed: u64, number: u64, size: usize) -> Bytes {
    let mut bytes = format!("%PDF-1.4\n% applicant {number}\n1 0 obj<</Type/Catalog>>endobj\n").into_bytes();
    let mut word = mix(seed, number);
    while bytes.len() + 24 < size {
        word = mix(word, number);
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes.extend_from_slice(b"\ntrailer<</Root 1 0 R>>\n%%EOF\n");
    Bytes::from(bytes)
}

/// The document of applicant `number` for a job, with answers to the questions given as `(question, answer member)`.
pub(crate) fn applicant(
    run: &str,
    seed: u64,
    number: u64,
    job: &str,
    answers: &[Value],
    resume_bytes: usize,
) -> Applicant {
    let draw = mix(seed, number);
    let pick = |list: &[&str], shift: u32| {
        let index = usize::try_from((draw >> shift) % list.len() as u64).unwrap_or(0);
        list[index].to_owned()
    };
    let (given, family) = (pick(GIVEN, 3), pick(FAMILY, 17));
    let email = format!("{run}-{number}@example.org");
    let resume = (resume_bytes > 0).then(|| resume(seed, number, resume_bytes));
    let mut document = json!({
        "job": job,
        "person": {
            "name": { "given": given, "family": family, "as_typed": format!("{given} {family}") },
            "emails": [{ "address": email, "type": "personal" }],
            "phones": [{ "raw": format!("+49 30 {:07}", draw % 10_000_000), "type": "mobile" }],
            "address": { "lines": ["Beispielweg 1"], "city": "Berlin", "postal_code": "10115", "country": "DE" },
            "location": { "text": "Berlin", "lat": 52.52, "lng": 13.405 },
            "links": [{ "type": "linkedin", "url": format!("https://example.org/in/{number}") }],
            "languages": [{ "tag": "de", "level": "C1" }, { "tag": "en", "level": "C2" }]
        },
        "history": {
            "education": [{ "school": "Technische Universität Beispielstadt", "degree": "MSc", "discipline": "Informatics", "start": "2012-10", "end": "2017-09" }],
            "employment": [
                { "company": "Musterwerk", "title": "Engineer", "start": "2017-10", "current": true, "description": filler(draw, 900) }
            ],
            "skills": ["rust", "sql", "patience"]
        },
        "answers": answers,
        "consents": (["application", "recruiting", "retention"].map(|purpose| json!({
            "purpose": purpose, "basis": "consent", "text_id": "privacy-3", "given": true,
            "at": "2026-11-20T09:00:00Z", "channel": "web"
        }))),
        "source": { "board": "career-site", "utm": { "source": "newsletter", "medium": "email" }, "landing_url": "https://example.org/jobs" },
        "client": { "ip": "203.0.113.7", "user_agent": "loadtests", "locale": "de-DE" },
        "meta": { "site": "example.org", "submitted_at": "2026-11-20T10:00:00+01:00" }
    });
    if let Some(resume) = &resume {
        document["attachments"] = json!([{
            "id": "resume", "kind": "resume", "name": "resume.pdf", "media_type": "application/pdf", "size": resume.len()
        }]);
    }
    Applicant { email, given, family, document: Bytes::from(document.to_string()), resume }
}

/// Prose-like filler of about `size` bytes.
fn filler(seed: u64, size: usize) -> String {
    const WORDS: &[&str] =
        &["built", "services", "for", "many", "users", "with", "care", "and", "measured", "every", "change", "twice"];
    let mut text = String::with_capacity(size + 16);
    let mut word = seed;
    while text.len() < size {
        word = mix(word, text.len() as u64);
        text.push_str(WORDS[usize::try_from(word % WORDS.len() as u64).unwrap_or(0)]);
        text.push(' ');
    }
    text
}

/// Many applicants who differ in their address only: one document made once, the address written into its place. For
/// closed loops, where making documents would take the cores from the gateway.
pub(crate) struct Template {
    before: Bytes,
    after: Bytes,
    sample: Applicant,
}

impl Template {
    pub(crate) fn new(seed: u64, job: &str, answers: &[Value], resume_bytes: usize) -> Self {
        let sample = applicant("sample", seed, 0, job, answers, resume_bytes);
        let place = find(&sample.document, sample.email.as_bytes()).unwrap_or(0);
        let before = sample.document.slice(..place);
        let after = sample.document.slice(place + sample.email.len()..);
        Self { before, after, sample }
    }

    pub(crate) fn applicant(&self, run: &str, number: u64) -> Applicant {
        let email = format!("{run}-{number}@example.org");
        let document = [&self.before, email.as_bytes(), &self.after].concat();
        Applicant { email, document: Bytes::from(document), ..self.sample.clone() }
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

/// A submission: `key` is the API key, `idempotency_key` the caller's own.
pub(crate) fn request(key: &str, applicant: &Applicant, idempotency_key: &str) -> Result<Request<Full<Bytes>>> {
    let (content_type, body) = body_of(applicant);
    Ok(Request::post("/v1/applications")
        .header("host", "127.0.0.1")
        .header("authorization", format!("Bearer {key}"))
        .header("idempotency-key", idempotency_key)
        .header("content-type", content_type)
        .body(Full::new(body))?)
}

/// The request body and its content type: JSON alone, or multipart when there is a résumé.
pub(crate) fn body_of(applicant: &Applicant) -> (String, Bytes) {
    let Some(resume) = &applicant.resume else {
        return ("application/json".to_owned(), applicant.document.clone());
    };
    let boundary = "causeway-loadtests-7f3a";
    let mut body = Vec::with_capacity(applicant.document.len() + resume.len() + 512);
    body.extend_from_slice(
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"application\"\r\nContent-Type: application/json\r\n\r\n")
            .as_bytes(),
    );
    body.extend_from_slice(&applicant.document);
    body.extend_from_slice(
        format!(
            "\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"resume\"; filename=\"resume.pdf\"\r\n\
             Content-Type: application/pdf\r\n\r\n"
        )
        .as_bytes(),
    );
    body.extend_from_slice(resume);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), Bytes::from(body))
}
