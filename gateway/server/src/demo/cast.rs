//! The cast: who applies to what in the demonstration, and what is meant to happen to each. Invented people, from a seed.
//!
//! It knows nothing of the gateway beyond the document it sends. What really happened is read from the vendors' ledgers
//! (`tally`), never assumed from the plan made here.

use causeway_core::clock::{Entropy, SeededEntropy};
use serde::Serialize;
use serde_json::{Value, json};

/// What a submission is seeded to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// An ordinary application.
    Ordinary,
    /// Required answers are missing.
    MissingAnswer,
    /// The file is no résumé: a program by another name.
    BadResume,
    /// The job was closed, and the gateway knows.
    ClosedJob,
    /// The ATS closed the job after the gateway's last sync.
    ClosedMeanwhile,
    /// The account's credential is wrong.
    WrongCredential,
    /// The ATS committed the application, and its answer was lost.
    LostAnswer,
    /// Sent while the ATS told everybody to slow down.
    RateLimited,
    /// Sent while the CRM was down; it came back.
    OutageRecovered,
    /// The ATS never answers well for this one.
    NeverAnswered,
}

impl Kind {
    /// Every kind, with how many of the cast play it.
    pub(super) const CAST: [(Self, usize); 10] = [
        (Self::OutageRecovered, 30),
        (Self::Ordinary, 150),
        (Self::RateLimited, 30),
        (Self::LostAnswer, 6),
        (Self::MissingAnswer, 12),
        (Self::BadResume, 5),
        (Self::ClosedJob, 5),
        (Self::ClosedMeanwhile, 4),
        (Self::WrongCredential, 8),
        (Self::NeverAnswered, 2),
    ];
}

/// One applicant with a document that is ready to send.
#[derive(Debug, Clone)]
pub(super) struct Applicant {
    pub(super) kind: Kind,
    pub(super) email: String,
    pub(super) job: String,
    pub(super) document: Value,
    pub(super) files: Vec<File>,
}

/// A file to send with it.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) id: &'static str,
    pub(super) name: String,
    pub(super) media_type: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// A posting as the cast sees it: its id and answers to its required questions.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) job: String,
    pub(super) answers: Vec<Value>,
    /// Required files, by attachment kind or by the question they answer.
    pub(super) files: Vec<(&'static str, Option<String>)>,
}

struct People {
    locale: &'static str,
    country: &'static str,
    city: &'static str,
    dial: &'static str,
    given: &'static [&'static str],
    family: &'static [&'static str],
    note: &'static str,
}

const PEOPLE: &[People] = &[
    People {
        locale: "de-DE",
        country: "DE",
        city: "Köln",
        dial: "+49 221",
        given: &["Jürgen", "Anneliese", "Björn", "Käthe"],
        family: &["Müßig", "Großmann", "Weißenfels", "Öztürk"],
        note: "Ich freue mich auf ein Gespräch.",
    },
    People {
        locale: "fr-FR",
        country: "FR",
        city: "Besançon",
        dial: "+33 3 81",
        given: &["Zoë", "François", "Hélène", "Gaël"],
        family: &["Lefèvre", "Château", "D'Aubigné", "Saint-Exemple"],
        note: "Disponible dès janvier.",
    },
    People {
        locale: "pl-PL",
        country: "PL",
        city: "Łódź",
        dial: "+48 42",
        given: &["Łucja", "Zbigniew", "Małgorzata", "Żaneta"],
        family: &["Wiśniewska", "Przykładny", "Źródlany", "Gęś"],
        note: "Chętnie opowiem więcej.",
    },
    People {
        locale: "ja-JP",
        country: "JP",
        city: "札幌市",
        dial: "+81 11",
        given: &["葵", "蓮", "陽菜", "湊"],
        family: &["見本", "例田", "試山", "仮名"],
        note: "よろしくお願いいたします。",
    },
    People {
        locale: "ar-EG",
        country: "EG",
        city: "الإسكندرية",
        dial: "+20 3",
        given: &["ليلى", "كريم", "نور", "سلمى"],
        family: &["المثال", "النموذجي", "التجريبي", "عيّنة"],
        note: "شكراً لوقتكم.",
    },
    People {
        locale: "en-GB",
        country: "GB",
        city: "Aberystwyth",
        dial: "+44 1970",
        given: &["Siân", "Angharad", "Oluwaseun", "Priya"],
        family: &["O'Sample", "Llewellyn-Jones", "Adeyemi", "Specimen"],
        note: "Happy to talk any afternoon.",
    },
];

/// The cast is the same for the same seed.
pub(super) struct Dice(SeededEntropy);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    fn roll(&self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn pick<'a, T>(&self, list: &'a [T]) -> &'a T {
        let length = list.len().max(1) as u64;
        &list[usize::try_from(self.roll() % length).unwrap_or(0)]
    }
}

/// A person who applies to one of the stages.
pub(super) fn applicant(dice: &Dice, kind: Kind, number: usize, stages: &[Stage]) -> Applicant {
    let people = dice.pick(PEOPLE);
    let (given, family) = (*dice.pick(people.given), *dice.pick(people.family));
    let stage = dice.pick(stages).clone();
    let email = format!("{}.{number}@example.org", kind_slug(kind));
    let mut files = Vec::new();
    let mut attachments = Vec::new();
    let mut answers = if kind == Kind::MissingAnswer { Vec::new() } else { stage.answers.clone() };
    if kind != Kind::MissingAnswer {
        add_files(&stage, kind, number, &mut files, &mut attachments, &mut answers);
    }
    let document = json!({
        "job": stage.job,
        "person": {
            "name": { "given": given, "family": family, "as_typed": format!("{given} {family}") },
            "emails": [{ "address": email, "type": "personal" }],
            "phones": [{ "raw": format!("{} {:06}", people.dial, dice.roll() % 1_000_000), "type": "mobile", "country": people.country }],
            "location": { "text": people.city, "lat": 51.5, "lng": 7.0 },
            "languages": [{ "tag": people.locale, "level": "C2" }]
        },
        "history": {
            "employment": [{ "company": "Musterwerk & Söhne", "title": "Engineer", "start": "2019-04", "current": true, "description": people.note }]
        },
        "attachments": attachments,
        "answers": answers,
        "consents": (["application", "recruiting", "retention"].map(|purpose| json!({
            "purpose": purpose, "basis": "consent", "text_id": "privacy-7", "given": true,
            "at": "2026-11-20T08:30:00Z", "channel": "web"
        }))),
        "source": { "board": "career-site" },
        "client": { "locale": people.locale },
        "meta": { "site": "careers.example.org", "submitted_at": "2026-11-20T09:30:00+01:00" }
    });
    Applicant { kind, email, job: stage.job, document, files }
}

fn add_files(
    stage: &Stage,
    kind: Kind,
    number: usize,
    files: &mut Vec<File>,
    attachments: &mut Vec<Value>,
    answers: &mut Vec<Value>,
) {
    let mut wanted = stage.files.clone();
    if wanted.is_empty() && (kind == Kind::BadResume || number.is_multiple_of(3)) {
        wanted.push(("resume", None));
    }
    for (index, (attachment_kind, question)) in wanted.into_iter().enumerate() {
        let id = ["file-1", "file-2", "file-3", "file-4"][index.min(3)];
        let bytes = if kind == Kind::BadResume { program() } else { pdf(number) };
        let mut attachment = json!({
            "id": id, "kind": attachment_kind, "name": format!("{attachment_kind}.pdf"),
            "media_type": "application/pdf", "size": bytes.len()
        });
        if let Some(question) = question {
            attachment["question"] = json!(question);
            answers.push(json!({ "question": question, "attachment": id }));
        }
        attachments.push(attachment);
        files.push(File { id, name: format!("{attachment_kind}.pdf"), media_type: "application/pdf", bytes });
    }
}

fn kind_slug(kind: Kind) -> &'static str {
    match kind {
        Kind::Ordinary => "applicant",
        Kind::MissingAnswer => "hurried",
        Kind::BadResume => "wrongfile",
        Kind::ClosedJob => "toolate",
        Kind::ClosedMeanwhile => "justtoolate",
        Kind::WrongCredential => "stranded",
        Kind::LostAnswer => "unheard",
        Kind::RateLimited => "patient",
        Kind::OutageRecovered => "weathered",
        Kind::NeverAnswered => "forlorn",
    }
}

/// A small PDF that opens.
fn pdf(number: usize) -> Vec<u8> {
    let text = format!("Applicant {number}");
    let stream = format!("BT /F1 24 Tf 72 720 Td ({text}) Tj ET");
    format!(
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
         3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>endobj\n\
         4 0 obj<</Length {}>>stream\n{stream}\nendstream endobj\n\
         5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
        stream.len()
    )
    .into_bytes()
}

/// The beginning of an executable.
fn program() -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\x00".to_vec();
    bytes.resize(512, 0);
    bytes
}
