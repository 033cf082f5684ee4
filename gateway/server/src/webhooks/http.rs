//! `GET /v1/webhooks/deliveries` on the management listener: the page of past messages, for keys with the scope `read`.
//!
//! A key sees the messages of its own world, real or test, and of its own tenant; the URL names no more than ids.

use std::sync::Arc;

use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use causeway_core::ids::{EndpointId, MessageId};
use causeway_core::problem::{Code, Problem};
use http::{HeaderValue, header};
use serde_json::json;

use crate::ingress::auth::Caller;
use crate::intake::{Refusal, unavailable};
use crate::openapi::{Operation, Routes};
use crate::store::setup::Scope;
use crate::store::webhooks::{MessagePage, MessageQuery, MessageStatus, Webhooks};

/// Messages shown unless asked otherwise, and at most.
const SHOWN: usize = 50;
const SHOWN_MOST: usize = 500;

/// The routes, to stand under `/v1/webhooks`.
pub fn routes() -> Routes<Arc<dyn Webhooks>> {
    let about = Operation::new("webhookDeliveries", "What the career site was told by webhooks, and is to be")
        .details("Newest first. A key sees its own world, real or test.")
        .needs(&[Scope::Read, Scope::Support])
        .query(
            "limit",
            "So many at most; 50 if not given.",
            |_| json!({ "type": "integer", "minimum": 1, "maximum": SHOWN_MOST }),
        )
        .query("before", "Older than this one: `next` of the page before.", |schemas| {
            schemas.subschema_for::<MessageId>().to_value()
        })
        .query("endpoint", "To this endpoint only.", |schemas| schemas.subschema_for::<EndpointId>().to_value())
        .query("status", "That stand there only.", |schemas| schemas.subschema_for::<MessageStatus>().to_value())
        .answers::<MessagePage>(200, "A page; `next` names where the next one begins.")
        .refuses(&[Code::QueryInvalid, Code::NotFound]);
    Routes::new().get("/deliveries", deliveries, about)
}

async fn deliveries(
    State(store): State<Arc<dyn Webhooks>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    caller.require(&[Scope::Read, Scope::Support])?;
    let mut asked = question(query.as_deref().unwrap_or_default())?;
    asked.test = Some(caller.sender().test);
    let page = store.messages(caller.tenant(), asked).await;
    let page = page.map_err(|error| unavailable("webhook messages", &error))?;
    let body = serde_json::to_vec(&page).map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        Refusal::from(Code::Internal)
    })?;
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(([kind, (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], body).into_response())
}

/// What is asked for; anything that is not understood is refused, and its value not repeated.
fn question(query: &str) -> Result<MessageQuery, Refusal> {
    let mut asked = MessageQuery { limit: SHOWN, ..MessageQuery::default() };
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=SHOWN_MOST).contains(limit));
                asked.limit = limit.ok_or_else(|| wrong("limit", "is a whole number from 1 to 500"))?;
            }
            "before" => asked.before = Some(value.parse().map_err(|_| wrong("before", "is a message's id"))?),
            "endpoint" => asked.endpoint = Some(value.parse().map_err(|_| wrong("endpoint", "is an endpoint's id"))?),
            "status" => {
                let status = value.parse().map_err(|_| wrong("status", "is waiting, delivered or given_up"))?;
                asked.status = Some(status);
            }
            _ => return Err(wrong("A parameter", "is not known: limit, before, endpoint and status are")),
        }
    }
    Ok(asked)
}

fn wrong(name: &str, is: &str) -> Refusal {
    Problem::new(Code::QueryInvalid).detail(format!("The query cannot be asked: {name} {is}.")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_understood_whole_or_refused() {
        let check = |query: &str, told: Result<(usize, Option<MessageStatus>), &str>| {
            let asked = question(query);
            match told {
                Ok(expected) => {
                    let asked = asked.unwrap_or_else(|_| panic!("{query} is a question"));
                    assert_eq!((asked.limit, asked.status), expected, "{query}");
                }
                Err(word) => {
                    let refusal = asked.err().unwrap_or_else(|| panic!("{query} is no question"));
                    let detail = refusal.problem.detail.unwrap_or_default();
                    assert!(detail.contains(word) && !detail.contains("ada"), "{query}: {detail}");
                }
            }
        };
        check("", Ok((50, None)));
        check("limit=5&status=given_up", Ok((5, Some(MessageStatus::GivenUp))));
        check("limit=0", Err("limit"));
        check("limit=501", Err("limit"));
        check("limit=ada", Err("limit"));
        check("status=lost", Err("status"));
        check("before=ada", Err("before"));
        check("endpoint=acc_1", Err("endpoint"));
        check("email=ada@example.org", Err("not known"));
    }
}
