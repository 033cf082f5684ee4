//! The tally: what became of every submission, counted from what was answered to the sender and from the vendors' own
//! ledgers. It never reads the gateway's tables; a wrong count here would otherwise prove itself.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use super::cast::Kind;

/// What the sender knows of one submission.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) kind: Kind,
    pub(super) email: String,
    pub(super) job: String,
    /// The status that was answered and, for a refusal, the first reason's code.
    pub(super) status: u16,
    pub(super) reason: Option<String>,
    /// The accounts a 202 named.
    pub(super) targets: Vec<String>,
}

/// One account's vendor, as its ledger shows it.
pub(super) struct VendorLedger {
    pub(super) account: String,
    pub(super) entries: Vec<Value>,
    pub(super) records: Value,
}

/// The demonstration's one JSON object.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    pub(super) submitted: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) targets: u64,
    pub(super) delivered: u64,
    pub(super) refused_by_vendor: u64,
    pub(super) parked: u64,
    pub(super) held: u64,
    pub(super) cancelled: u64,
    pub(super) lost: u64,
    pub(super) duplicates_at_vendor: u64,
    pub(super) examples: Vec<Example>,
}

/// One submission of each kind, to look up.
#[derive(Debug, Serialize)]
pub(super) struct Example {
    pub(super) kind: Kind,
    pub(super) email: String,
    pub(super) job: String,
    pub(super) expect: Expect,
}

/// What `causeway why` is expected to say of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Expect {
    pub(super) code: String,
    pub(super) who_acts: &'static str,
}

/// What a vendor's ledger says of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Delivered,
    RefusedByVendor,
    Held,
    Parked,
    Lost,
}

/// Joins what was sent with what the vendors wrote down. `gave_up_after` is how many failed tries end a delivery.
pub(super) fn tally(sent: &[Sent], vendors: &[VendorLedger], gave_up_after: usize) -> Summary {
    let mut summary = Summary { submitted: sent.len() as u64, ..Summary::default() };
    let books: HashMap<&str, Book> =
        vendors.iter().map(|vendor| (vendor.account.as_str(), Book::read(vendor))).collect();
    for one in sent {
        if one.status != 202 {
            summary.refused += 1;
            example(&mut summary, one, &[]);
            continue;
        }
        summary.accepted += 1;
        let mut fates = Vec::new();
        for account in &one.targets {
            let Some(book) = books.get(account.as_str()) else { continue };
            let records = book.records.get(&(one.email.clone(), one.job.clone())).copied().unwrap_or(0);
            summary.duplicates_at_vendor += records.saturating_sub(1);
            fates.push(book.fate(one, records, gave_up_after));
        }
        for fate in &fates {
            summary.targets += 1;
            match fate {
                Fate::Delivered => summary.delivered += 1,
                Fate::RefusedByVendor => summary.refused_by_vendor += 1,
                Fate::Held => summary.held += 1,
                Fate::Parked => summary.parked += 1,
                Fate::Lost => summary.lost += 1,
            }
        }
        example(&mut summary, one, &fates);
    }
    summary
}

fn example(summary: &mut Summary, one: &Sent, fates: &[Fate]) {
    if summary.examples.iter().any(|example| example.kind == one.kind) {
        return;
    }
    let expect = expectation(one, fates.iter().copied().max());
    let (email, job) = (one.email.clone(), one.job.clone());
    summary.examples.push(Example { kind: one.kind, email, job, expect });
}

fn expectation(one: &Sent, worst: Option<Fate>) -> Expect {
    let expect = |code: &str, who_acts| Expect { code: code.to_owned(), who_acts };
    match worst {
        Some(Fate::Delivered) => expect("delivered", "nobody"),
        Some(Fate::RefusedByVendor) => expect("posting_closed", "admin"),
        Some(Fate::Held) => expect("credentials_refused", "admin"),
        Some(Fate::Parked) => expect("retries_exhausted", "us"),
        Some(Fate::Lost) => expect("lost", "us"),
        None => {
            let code = one.reason.clone().unwrap_or_else(|| one.status.to_string());
            let who_acts = match code.as_str() {
                "answer_missing" | "file_refused" | "value_invalid" => "candidate",
                "posting_closed" => "admin",
                _ => "site",
            };
            Expect { code, who_acts }
        }
    }
}

/// A vendor's ledger, read once.
struct Book {
    /// Records by applicant and job.
    records: HashMap<(String, String), u64>,
    /// What was answered to each applicant's attempts, in order.
    answers: HashMap<String, Vec<u64>>,
    /// The vendor answered at least one attempt with "not this credential".
    refused_credentials: bool,
    /// Jobs the vendor no longer shows.
    closed: Vec<String>,
}

impl Book {
    fn read(vendor: &VendorLedger) -> Self {
        let mut book =
            Self { records: HashMap::new(), answers: HashMap::new(), refused_credentials: false, closed: Vec::new() };
        for job in vendor.records["jobs"].as_array().into_iter().flatten() {
            if job["live"] == false {
                book.closed.push(plain(&job["id"]));
            }
        }
        for application in vendor.records["applications"].as_array().into_iter().flatten() {
            *book.records.entry((plain(&application["email"]), plain(&application["job_post_id"]))).or_default() += 1;
        }
        let contact_of = contacts_of_tickets(&vendor.records);
        for ticket in vendor.records["tickets"].as_array().into_iter().flatten() {
            let email = contact_of.get(&plain(&ticket["id"])).cloned().unwrap_or_default();
            let job = plain(&ticket["properties"]["causeway_posting_id"]);
            *book.records.entry((email, job)).or_default() += 1;
        }
        for entry in vendor.entries.iter().filter(|entry| entry["operation"] == "submit") {
            let status = entry["status"].as_u64().unwrap_or(0);
            let job = plain(&entry["path"]).rsplit('/').next().unwrap_or_default().to_owned();
            // A closed job is answered like a wrong credential; only the public board tells them apart.
            book.refused_credentials |= status == 401 && entry["fault"].is_null() && !book.closed.contains(&job);
            book.answers.entry(plain(&entry["about"])).or_default().push(status);
        }
        book
    }

    fn fate(&self, one: &Sent, records: u64, gave_up_after: usize) -> Fate {
        let answers = self.answers.get(&one.email).map_or(&[][..], Vec::as_slice);
        if records > 0 {
            Fate::Delivered
        } else if self.closed.contains(&one.job) {
            Fate::RefusedByVendor
        } else if self.refused_credentials {
            Fate::Held
        } else if answers.len() > gave_up_after && answers.iter().all(|status| *status >= 500) {
            Fate::Parked
        } else {
            Fate::Lost
        }
    }
}

/// The address of the contact that each ticket is associated with.
fn contacts_of_tickets(records: &Value) -> HashMap<String, String> {
    let rows = |member: &str| records[member].as_array().map_or(&[][..], Vec::as_slice);
    let addresses: HashMap<String, String> =
        rows("contacts").iter().map(|row| (plain(&row["id"]), plain(&row["properties"]["email"]))).collect();
    let associations = rows("associations").iter();
    let to_contacts = associations.filter(|row| row["from_object"] == "tickets" && row["to_object"] == "contacts");
    to_contacts
        .filter_map(|row| Some((plain(&row["from_id"]), addresses.get(&plain(&row["to_id"]))?.clone())))
        .collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(kind: Kind, email: &str, status: u16) -> Sent {
        Sent {
            kind,
            email: email.to_owned(),
            job: "7".to_owned(),
            status,
            reason: (status != 202).then(|| "answer_missing".to_owned()),
            targets: if status == 202 { vec!["ats".to_owned()] } else { Vec::new() },
        }
    }

    fn ats(applications: &Value, entries: &Value) -> VendorLedger {
        VendorLedger {
            account: "ats".to_owned(),
            entries: entries.as_array().cloned().unwrap_or_default(),
            records: json!({ "applications": applications, "jobs": [{ "id": 7, "live": true }] }),
        }
    }

    #[test]
    fn every_target_is_counted_once_and_the_sums_agree() {
        let ledger = ats(
            &json!([{ "email": "a@example.org", "job_post_id": 7 }]),
            &json!([
                { "operation": "submit", "status": 503, "about": "b@example.org" },
                { "operation": "submit", "status": 503, "about": "b@example.org" }
            ]),
        );
        let all = [
            sent(Kind::Ordinary, "a@example.org", 202),
            sent(Kind::NeverAnswered, "b@example.org", 202),
            sent(Kind::LostAnswer, "c@example.org", 202),
            sent(Kind::MissingAnswer, "d@example.org", 422),
        ];
        let summary = tally(&all, &[ledger], 1);
        assert_eq!((summary.submitted, summary.accepted, summary.refused), (4, 3, 1));
        assert_eq!((summary.delivered, summary.parked, summary.lost), (1, 1, 1));
        assert_eq!(summary.targets, 3);
        assert_eq!(summary.examples.len(), 4, "one of each kind");
    }

    #[test]
    fn two_records_of_one_application_are_a_duplicate() {
        let twice =
            json!([{ "email": "a@example.org", "job_post_id": 7 }, { "email": "a@example.org", "job_post_id": 7 }]);
        let summary = tally(&[sent(Kind::Ordinary, "a@example.org", 202)], &[ats(&twice, &json!([]))], 1);
        assert_eq!((summary.delivered, summary.duplicates_at_vendor), (1, 1));
    }
}
