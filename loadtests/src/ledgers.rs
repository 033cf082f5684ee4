//! Reading the two ledgers that are not the client's: what the support lookup says, and what the vendors hold.
//!
//! Both are asked over HTTP, as a support engineer and a vendor's admin would. Nothing here reads the gateway's tables.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::accept::futures_join;
use crate::checker::{Created, Found, Lookups, Seen, Sent, Vendor};
use crate::client::Client;
use crate::rig::Sandbox;

/// Asked at once.
const ENGINEERS: usize = 6;
/// Of one engineer's share, this many that are not done are enough to know.
const UNSETTLED: usize = 10;
const ANSWER_MAX: Duration = Duration::from_secs(30);
const TRIES: u32 = 6;

/// Where support asks.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) management: SocketAddr,
    pub(crate) key: String,
}

/// Looks every accepted application up until none is on its way any more, or none has settled for so long.
pub(crate) async fn look_up(desk: &Desk, sent: &[Sent], patience: Duration) -> Result<Lookups> {
    let mut lookups = Lookups::new();
    let mut open: Vec<&Sent> = sent.iter().filter(|one| one.accepted.is_some()).collect();
    let mut settled_last = Instant::now();
    loop {
        let gives_up = settled_last.elapsed() > patience;
        // Whoever works these off needs the machine more than we do: a few that are not done say that it goes on.
        let unsettled = if gives_up { usize::MAX } else { UNSETTLED };
        let size = open.len().div_ceil(ENGINEERS).max(1);
        let answers = futures_join(open.chunks(size).map(|share| ask(desk, share, unsettled))).await?;
        lookups.extend(answers.into_iter().flatten());
        let before = open.len();
        open.retain(|one| !one.accepted.as_deref().and_then(|id| lookups.get(id)).is_some_and(settled));
        if open.is_empty() {
            return Ok(lookups);
        }
        if open.len() < before {
            settled_last = Instant::now();
        } else if gives_up {
            eprintln!("{} applications never settled", open.len());
            return Ok(lookups);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

fn settled(found: &Found) -> bool {
    found.targets.iter().all(|target| {
        matches!(target.state.as_str(), "delivered" | "refused" | "parked" | "held" | "cancelled" | "erased")
    })
}

/// Asks for each, until so many were found that are not done.
async fn ask(desk: &Desk, share: &[&Sent], unsettled: usize) -> Result<Vec<(String, Found)>> {
    let mut client = Client::new(desk.management, ANSWER_MAX);
    let (mut answers, mut on_their_way) = (Vec::with_capacity(share.len()), 0);
    for one in share {
        let id = one.accepted.as_deref().context("only what was accepted is asked for")?;
        let query = json!({ "email": one.email, "job": one.job });
        let found = found(&asked(&mut client, desk, &query).await?, id);
        on_their_way += usize::from(!settled(&found));
        answers.push((id.to_owned(), found));
        if on_their_way >= unsettled {
            break;
        }
    }
    Ok(answers)
}

/// The desk's answer, asked for again while there is none: what was broken may still be getting up.
async fn asked(client: &mut Client, desk: &Desk, query: &Value) -> Result<Value> {
    for _ in 1..TRIES {
        match client.json("POST", "/v1/support/lookup", Some(&desk.key), Some(query)).await {
            Ok((200, answer)) => return Ok(answer),
            Ok((status, answer)) => ensure!(status >= 500 || status == 429, "lookup: {status} {answer}"),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let (status, answer) = client.json("POST", "/v1/support/lookup", Some(&desk.key), Some(query)).await?;
    ensure!(status == 200, "lookup: {status} {answer}");
    Ok(answer)
}

fn found(answer: &Value, id: &str) -> Found {
    let submissions: Vec<&Value> = answer["submissions"].as_array().into_iter().flatten().collect();
    let ids: HashSet<&str> = submissions.iter().filter_map(|submission| submission["id"].as_str()).collect();
    let Some(submission) = submissions.iter().find(|submission| submission["id"] == id) else {
        return Found { targets: Vec::new(), submissions: ids.len() as u64 };
    };
    let targets = submission["deliveries"].as_array().into_iter().flatten().map(seen).collect();
    Found { targets, submissions: ids.len() as u64 }
}

fn seen(delivery: &Value) -> Seen {
    let unknown =
        |attempts: &Vec<Value>| attempts.iter().filter(|attempt| attempt["class"] == "unknown").count() as u64;
    Seen {
        vendor: if delivery["account"] == "greenhouse" { Vendor::Ats } else { Vendor::Crm },
        state: delivery["state"].as_str().unwrap_or_default().to_owned(),
        has_reason: delivery["reason"].is_object() || delivery["reason"].is_string(),
        possible_duplicate: delivery["possible_duplicate"] == true,
        ambiguous: delivery["attempts"].as_array().map_or(0, unknown),
    }
}

/// What the vendors say they created, and how many answers they dropped after committing.
pub(crate) async fn at_vendors(ats: &Sandbox, crm: &Sandbox) -> Result<(Vec<Created>, u64)> {
    let mut created = Vec::new();
    let mut dropped = 0;
    for entry in ats.ledger().await?.iter().filter(|entry| entry["operation"] == "submit" && entry["committed"] == true)
    {
        let answer_lost = entry["answered"] == false;
        dropped += u64::from(answer_lost);
        let record = &entry["record"];
        created.push(Created {
            vendor: Vendor::Ats,
            email: text(&record["email"]),
            job: record["job_post_id"].as_str().map_or_else(|| record["job_post_id"].to_string(), str::to_owned),
            given: text(&record["first_name"]),
            family: text(&record["last_name"]),
            resume_sha256: record["resume_sha256"].as_str().map(str::to_owned),
            answer_lost,
        });
    }
    created.extend(tickets(&crm.control("GET", "/_sandbox/records", None).await?));
    Ok((created, dropped))
}

/// An application at the CRM is a ticket that belongs to a contact.
fn tickets(crm: &Value) -> Vec<Created> {
    let contacts: HashMap<String, &Value> = crm["contacts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|contact| (text(&contact["id"]), &contact["properties"]))
        .collect();
    let mut contact_of: HashMap<String, String> = HashMap::new();
    for association in crm["associations"].as_array().into_iter().flatten() {
        if association["from_object"] == "tickets" && association["to_object"] == "contacts" {
            contact_of.insert(text(&association["from_id"]), text(&association["to_id"]));
        }
    }
    let tickets = crm["tickets"].as_array().into_iter().flatten();
    tickets
        .filter_map(|ticket| {
            let contact = contact_of.get(&text(&ticket["id"])).and_then(|id| contacts.get(id))?;
            Some(Created {
                vendor: Vendor::Crm,
                email: text(&contact["email"]),
                job: text(&ticket["properties"]["causeway_posting_id"]),
                given: text(&contact["firstname"]),
                family: text(&contact["lastname"]),
                resume_sha256: None,
                answer_lost: false,
            })
        })
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
