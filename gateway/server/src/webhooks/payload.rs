//! A message's body: the same bytes at every try. It says what happened to which application, in ids, states and reasons;
//! who the person is, is not in it.

use bytes::Bytes;
use causeway_core::ids::{DeliveryId, SubmissionId};
use causeway_core::reason::Reason;
use jiff::Timestamp;
use serde::Serialize;

use crate::store::webhooks::{EventType, Message};

#[derive(Serialize)]
struct Payload<'a> {
    r#type: EventType,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<SubmissionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<DeliveryId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    test: bool,
}

pub(super) fn of(message: &Message) -> Bytes {
    let about = message.about.as_ref();
    let data = Data {
        application: about.map(|about| about.application),
        code: about.map(|about| about.code.as_str()),
        job: about.map(|about| about.job.as_str()),
        delivery: about.and_then(|about| about.delivery),
        account: about.and_then(|about| about.account.as_deref()),
        state: about.map(|about| about.state.as_str()),
        reason: about.and_then(|about| about.reason),
        test: message.test,
    };
    let payload = Payload { r#type: message.r#type, timestamp: message.at, data };
    // Plain data with text keys always has a JSON form.
    serde_json::to_vec(&payload).map(Bytes::from).unwrap_or_default()
}
