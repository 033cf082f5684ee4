//! The answers of `webhooks` and of `keys receipts` for people. Pure.

use causeway_core::ids::EndpointId;
use data_encoding::BASE64;

use super::table::{at, maybe, rows};
use crate::store::receipts::ReceiptKey;
use crate::store::webhooks::{Endpoint, Message, MessagePage};

pub(super) fn made(endpoint: &Endpoint, secret: &str) -> String {
    format!(
        "{secret}\n\nThis signs what {} gets at {}. It is shown only now: give it to whoever verifies the signatures.",
        endpoint.id, endpoint.url
    )
}

pub(super) fn endpoints(endpoints: &[Endpoint]) -> String {
    rows(
        &["endpoint", "URL", "events", "state", "since"],
        endpoints.iter().map(|endpoint| {
            let names: Vec<&str> = endpoint.events.iter().map(|event| event.as_str()).collect();
            let events = if names.is_empty() { "all".to_owned() } else { names.join(", ") };
            let state = match (&endpoint.disabled, endpoint.failing_since) {
                (Some(disabled), _) => format!("disabled since {}: {}", at(disabled.since), disabled.reason),
                (None, Some(since)) => format!("failing since {}", at(since)),
                (None, None) => "running".to_owned(),
            };
            let test = if endpoint.test { "; of tests only" } else { "" };
            vec![
                endpoint.id.to_string(),
                endpoint.url.clone(),
                format!("{events}{test}"),
                state,
                at(endpoint.created_at),
            ]
        }),
    )
}

pub(super) fn tested(endpoint: EndpointId, taken: bool, said: &str) -> String {
    let word = if taken { "took the test" } else { "did NOT take the test" };
    format!("{endpoint} {word}: {said}.")
}

pub(super) fn messages(page: &MessagePage) -> String {
    let table = rows(
        &["when (UTC)", "what", "about", "status", "tries", "last", "next try", "message"],
        page.messages.iter().map(message),
    );
    match page.next {
        Some(next) => format!("{table}\nThere are older ones: --before {next}"),
        None => table,
    }
}

fn message(message: &Message) -> Vec<String> {
    let about = message.about.as_ref().map(|about| {
        let account = about.account.as_ref().map_or(String::new(), |account| format!(" at {account}"));
        format!("{} for {}{account}", about.code, about.job)
    });
    vec![
        at(message.at),
        message.r#type.as_str().to_owned(),
        maybe(about),
        message.status.as_str().to_owned(),
        message.attempts.to_string(),
        maybe(message.last_said.as_ref()),
        maybe(message.next_at.map(at)),
        message.id.to_string(),
    ]
}

pub(super) fn receipt_keys(keys: &[ReceiptKey]) -> String {
    rows(
        &["key", "signs since", "Ed25519 public key"],
        keys.iter().map(|key| vec![key.id.to_string(), at(key.since), BASE64.encode(&key.public)]),
    )
}
