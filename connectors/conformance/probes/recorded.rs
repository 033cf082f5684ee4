//! Recorded answers: the connector alone, answered from its `testdata/`.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::connector::{Connector, Http, SendError};
use causeway_core::outcome::Class;
use http::{Request, Response};
use serde_json::{Value, json};

use super::Shown;
use crate::data::{self, Recorded};
use crate::parcel::Parcel;
use crate::watch::Watch;
use crate::world::{Wish, World};

/// A vendor that gives these answers in turn, whatever is asked.
struct Script(Mutex<VecDeque<Response<Bytes>>>);

#[async_trait]
impl Http for Script {
    async fn send(&self, _: Request<Bytes>) -> Result<Response<Bytes>, SendError> {
        let next = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        next.ok_or(SendError::NotSent("the script is at its end"))
    }
}

/// Answers in turn, and the class the last of them gets.
struct Case {
    name: String,
    answers: Vec<Response<Bytes>>,
    class: Class,
}

pub(super) async fn probe(connector: Arc<dyn Connector>) -> Result<Shown> {
    let world = World::set(&connector, &Wish::default()).await?;
    let recorded = world.described.recorded.clone();
    let asked = Arc::clone(&world);
    let (mut shown, mut wrong) = (0, Vec::new());
    let mut classes = BTreeSet::new();
    for one in recorded {
        for case in cases(connector.describe().name, &one)? {
            match judged(&asked, &one, case.answers).await {
                Ok(class) if class == case.class => {}
                Ok(class) => wrong.push(format!("{}: {class} instead of {}", case.name, case.class)),
                Err(error) => wrong.push(format!("{}: {error:#}", case.name)),
            }
            classes.insert(case.class.as_str());
            shown += 1;
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What the vendor's answers can be is all there; the rest is said never to be.
    for class in Class::ALL {
        let never = world.described.never.contains_key(class.as_str()) || class == Class::AlreadyThere;
        ensure!(never || classes.contains(class.as_str()), "no recorded answer is {class}");
    }
    Ok(shown)
}

async fn judged(world: &Arc<World>, recorded: &Recorded, answers: Vec<Response<Bytes>>) -> Result<Class> {
    // What the files and questions become is the fates' matter.
    let bare = [("/attachments".to_owned(), json!([])), ("/answers".to_owned(), json!([]))].into();
    let (_, document) = world.document(&bare)?;
    let (at, recorded) = (Arc::clone(world), recorded.clone());
    world
        .live(Watch::new(), async move |life| {
            let mut parcel = Parcel::new(&at, &life.record().await?.account, &document)?.with_refs(&recorded.refs);
            let script = Script(Mutex::new(answers.into()));
            let outcome = parcel.step(&*at.connector, &recorded.step, &script).await;
            let left = script.0.lock().unwrap_or_else(PoisonError::into_inner).len();
            ensure!(left == 0, "{:?}: {left} answers were not asked for", recorded.answers);
            Ok(outcome.class)
        })
        .await
}

/// One file with a list of cases, or files with an answer each.
fn cases(name: &str, recorded: &Recorded) -> Result<Vec<Case>> {
    let read = |file: &String| -> Result<Value> {
        serde_json::from_str(&data::text(name, &format!("testdata/{file}"))?).with_context(|| file.clone())
    };
    let files = recorded.answers.iter().map(read).collect::<Result<Vec<_>>>()?;
    let [Value::Array(list)] = files.as_slice() else {
        let answers = files.iter().map(answer).collect::<Result<Vec<_>>>()?;
        let class = recorded.class.context("a class is needed where no case says it")?;
        return Ok(vec![Case { name: recorded.answers.join(", "), answers, class }]);
    };
    let mut cases = Vec::new();
    for one in list {
        let expected = &one["expect"]["class"];
        let class: Class = expected.as_str().and_then(|text| text.parse().ok()).context("a case expects a class")?;
        let mut answers = vec![answer(one)?];
        if let Some(board) = one["board"].as_str() {
            for look in looks(board)? {
                answers.push(answer(&look)?);
            }
        }
        cases.push(Case { name: data::plain(&one["name"]), answers, class });
    }
    ensure!(!cases.is_empty(), "{:?} holds no case", recorded.answers);
    Ok(cases)
}

/// What the further looks at the vendor bring where a case says what its board shows: at the posting, and at the list of
/// all where the posting is not there.
fn looks(board: &str) -> Result<Vec<Value>> {
    let gone = || json!({ "status": 404 });
    Ok(match board {
        "shows" => vec![json!({ "status": 200, "body": { "id": 1, "title": "Welder" } })],
        "shows_not" => vec![gone(), json!({ "status": 200, "body": { "jobs": [] } })],
        "is_not_there" => vec![gone(), gone()],
        "cannot_tell" => vec![json!({ "status": 503 })],
        other => match other.strip_prefix("wait_") {
            Some(seconds) => vec![json!({ "status": 429, "headers": { "retry-after": seconds } })],
            None => bail!("no board is {other:?}"),
        },
    })
}

fn answer(stored: &Value) -> Result<Response<Bytes>> {
    let Some(status) = stored["status"].as_u64() else { bail!("an answer has a status: {stored}") };
    let mut response = Response::builder().status(u16::try_from(status)?);
    for (name, value) in stored["headers"].as_object().into_iter().flatten() {
        response = response.header(name.as_str(), data::plain(value));
    }
    let body = match &stored["body"] {
        Value::Null => String::new(),
        body => data::plain(body),
    };
    Ok(response.body(Bytes::from(body))?)
}
