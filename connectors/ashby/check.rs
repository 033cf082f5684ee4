//! What a key may do, found out by reads that change nothing.
//!
//! A refused key and a missing permission are one status at this vendor, so a "no" names every cause that is left.

use causeway_core::connector::{Permission, Verdict};
use causeway_core::outcome::{Class, Outcome};
use causeway_core::reason::Reason;
use serde_json::{Value, json};

use super::outcome;
use super::wire::Api;

/// An address nobody has: the search is only there to see whether it is answered.
const NOBODY: &str = "nobody@example.org";

/// Each permission in turn.
pub(super) async fn permissions(api: &Api<'_>) -> Vec<Permission> {
    let jobs = probe(api, "list jobs", "Jobs: Read", "jobPosting.list", &json!({ "listedOnly": true })).await;
    let candidates =
        probe(api, "look up applications", "Candidates: Read", "candidate.search", &json!({ "email": NOBODY })).await;
    vec![jobs, candidates, submit(api).await]
}

/// The permission to write can only be tried by writing; the key may say itself what it holds.
async fn submit(api: &Api<'_>) -> Permission {
    let scopes = match api.call("apiKey.info", &json!({})).await {
        Ok(answer) => outcome::judge(&answer).ok().and_then(|envelope| {
            let scopes = envelope.results?.get("scopes")?.as_array()?.clone();
            Some(scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>())
        }),
        Err(_) => None,
    };
    let told = match scopes {
        Some(scopes) if !scopes.is_empty() => {
            format!(" The key says it holds: {}. Candidates: Write is needed.", scopes.join(", "))
        }
        Some(_) | None => " See in Admin > Integrations > API Keys whether Candidates: Write is set.".to_owned(),
    };
    Permission {
        name: "submit applications",
        verdict: Verdict::NotTestable,
        text: format!("It can only be tried by a real application.{told}"),
    }
}

async fn probe(api: &Api<'_>, name: &'static str, permission: &str, verb: &str, body: &Value) -> Permission {
    let refused = match api.call(verb, body).await {
        Ok(answer) => outcome::judge(&answer).err(),
        Err(error) => Some(outcome::unanswered(&error, api.now)),
    };
    match refused {
        None => Permission { name, verdict: Verdict::Yes, text: "It answers.".to_owned() },
        Some(no) => Permission { name, verdict: verdict(no.outcome.class), text: remedy(&no.outcome, permission) },
    }
}

/// No answer is no verdict.
const fn verdict(class: Class) -> Verdict {
    match class {
        Class::NotNow | Class::Unavailable | Class::Unknown => Verdict::NotTestable,
        Class::Accepted | Class::AlreadyThere | Class::Refused | Class::Unauthorised => Verdict::No,
    }
}

/// What to do about it, in plain words.
fn remedy(outcome: &Outcome, permission: &str) -> String {
    match (outcome.class, outcome.reason, outcome.vendor_status) {
        (_, Some(Reason::PermissionMissing), _) => {
            format!("The key lacks a permission: set {permission} in Admin > Integrations > API Keys.")
        }
        (_, Some(Reason::CredentialsRefused), Some(401)) => "The vendor saw no key: set api_key.".to_owned(),
        (_, Some(Reason::CredentialsRefused), _) => format!(
            "The vendor refused the key and does not say why. Three causes are possible: the key is wrong, the key was \
             disabled (a disabled key cannot be enabled again: create a new one), or it lacks the permission {permission}."
        ),
        (_, Some(Reason::AccountMisconfigured), _) => "base_url is wrong, or api_key is not set.".to_owned(),
        (Class::NotNow, _, _) => {
            "It could not be tried now: the vendor asked to slow down. Try again later.".to_owned()
        }
        (Class::Unavailable | Class::Unknown, _, _) => {
            "It could not be tried now: no usable answer. Try again later.".to_owned()
        }
        (Class::Accepted | Class::AlreadyThere | Class::Refused | Class::Unauthorised, _, _) => {
            "The vendor refused the request.".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_403_that_does_not_say_why_is_told_with_all_three_causes() {
        let refused = Outcome::new(Class::Unauthorised).because(Reason::CredentialsRefused).said(403, "Forbidden");
        let text = remedy(&refused, "Jobs: Read");
        for cause in ["wrong", "disabled", "Jobs: Read"] {
            assert!(text.contains(cause), "{text}");
        }
        let missing = Outcome::new(Class::Unauthorised).because(Reason::PermissionMissing).said(403, "");
        assert!(remedy(&missing, "Jobs: Read").contains("lacks a permission"));
    }
}
