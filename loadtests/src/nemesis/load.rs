//! The clients: a steady stream of applicants, each with one key, sent until the answer is definite. Their ledger is the
//! first of the three: what was intended, every attempt with its times, and what came back.
//!
//! Clients know the gateways' doors and nothing else. A door that does not answer is left for the next one.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use causeway::hash::sha256_hex;
use serde_json::Value;

use super::clock::RunClock;
use crate::accept::futures_join;
use crate::checker::Sent;
use crate::client::Client;
use crate::documents::{self, Applicant};
use crate::postings::Open;

/// As many as a gateway that hangs for long keeps waiting, and some.
const CLIENTS: u64 = 128;
/// Every so manyth applicant is the second tenant's.
const SECOND_TENANT_EVERY: u64 = 4;
const RESUME_BYTES: usize = 24 * 1024;
const ANSWER_MAX: Duration = Duration::from_secs(5);
const GIVE_UP: Duration = Duration::from_secs(120);
/// A refusal that is no request to come back is believed when it was given so often.
const REFUSED_AFTER: u64 = 6;

/// How one attempt went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 202, and the receipt's id.
    Accepted(String),
    Status(u16),
    NoAnswer,
}

/// One request of one client.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) number: u64,
    /// Which gateway's, from 0.
    pub(crate) door: usize,
    pub(crate) sent: Duration,
    pub(crate) done: Duration,
    pub(crate) outcome: Outcome,
}

/// Whom an applicant applies to: a key, and what is open there.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    pub(crate) key: String,
    pub(crate) postings: Vec<Open>,
}

/// Who sends what where.
pub(crate) struct Load {
    pub(crate) seed: u64,
    pub(crate) submissions: u64,
    /// They are sent evenly over so long.
    pub(crate) length: Duration,
    pub(crate) doors: Vec<SocketAddr>,
    /// By tenant.
    pub(crate) to: Vec<Applied>,
    pub(crate) clock: RunClock,
    next: AtomicU64,
    attempts: Mutex<Vec<Attempt>>,
    all_sent: AtomicBool,
}

/// The tenant that applicant `number` applies to.
pub(crate) fn tenant_of(number: u64) -> usize {
    usize::from(number % SECOND_TENANT_EVERY == SECOND_TENANT_EVERY - 1)
}

/// What the addresses of a tenant's applicants begin with.
pub(crate) fn run_of(tenant: usize) -> &'static str {
    if tenant == 0 { "nemesis" } else { "umbra" }
}

/// The address of applicant `number`.
pub(crate) fn email(number: u64) -> String {
    format!("{}-{number}@example.org", run_of(tenant_of(number)))
}

/// The caller's key. One of the second tenant is that of the first's applicant before: keys of two tenants never meet.
fn idempotency_key(number: u64) -> String {
    let of = if tenant_of(number) == 0 { number } else { number - 1 };
    format!("nemesis-{of}")
}

impl Load {
    pub(crate) fn new(
        (seed, submissions, length): (u64, u64, Duration),
        doors: Vec<SocketAddr>,
        to: Vec<Applied>,
        clock: RunClock,
    ) -> Self {
        Self {
            seed,
            submissions,
            length,
            doors,
            to,
            clock,
            next: AtomicU64::new(0),
            attempts: Mutex::default(),
            all_sent: AtomicBool::new(false),
        }
    }

    pub(crate) fn all_sent(&self) -> bool {
        self.all_sent.load(Ordering::Relaxed)
    }

    /// Sends all of it. The ledger ends when the last answer is definite or was given up.
    pub(crate) async fn send_all(&self) -> Result<Vec<Sent>> {
        let began = self.clock.now();
        let clients = (0..CLIENTS).map(|_| async move {
            let mut doors = Doors::new(&self.doors);
            let mut sent = Vec::new();
            loop {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                if number >= self.submissions {
                    return Ok(sent);
                }
                #[expect(clippy::cast_precision_loss, reason = "counts of requests")]
                let share = number as f64 / self.submissions as f64;
                self.clock.until(began + self.length.mul_f64(share)).await;
                let (one, mut entry) = self.applicant(number)?;
                // Each door is knocked at all the time, also after a while in which nobody was there.
                doors.home(number);
                entry.accepted = self.until_definite(&one, number, &mut doors).await?;
                sent.push((number, entry));
            }
        });
        let mut sent: Vec<(u64, Sent)> = futures_join(clients).await?.into_iter().flatten().collect();
        sent.sort_by_key(|(number, _)| *number);
        self.all_sent.store(true, Ordering::Relaxed);
        Ok(sent.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Sends some of it once more with the same keys: what never got an answer, and one in ten of the rest.
    pub(crate) async fn send_again(&self, sent: &mut [Sent]) -> Result<()> {
        let mut doors = Doors::new(&self.doors);
        for (number, entry) in (0_u64..).zip(sent) {
            if entry.accepted.is_some() && !number.is_multiple_of(10) {
                continue;
            }
            let (one, _) = self.applicant(number)?;
            let again = self.until_definite(&one, number, &mut doors).await?;
            entry.accepted = entry.accepted.take().or(again);
        }
        Ok(())
    }

    pub(crate) fn take_attempts(&self) -> Vec<Attempt> {
        std::mem::take(&mut *self.attempts.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Accepts so far that were sent after `since`.
    pub(crate) fn accepted_since(&self, since: Duration) -> bool {
        let attempts = self.attempts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let after = attempts.iter().rev().take_while(|attempt| attempt.done >= since);
        after.into_iter().any(|attempt| attempt.sent >= since && matches!(attempt.outcome, Outcome::Accepted(_)))
    }

    fn applicant(&self, number: u64) -> Result<(Applicant, Sent)> {
        let draw = documents::mix(self.seed, number ^ 0x5eed);
        let tenant = tenant_of(number);
        let postings = &self.to[tenant].postings;
        let posting = &postings[usize::try_from(draw % postings.len() as u64)?];
        let with_resume = posting.needs_resume || draw.is_multiple_of(4);
        let size = if with_resume { RESUME_BYTES } else { 0 };
        let one = documents::applicant(run_of(tenant), self.seed, number, &posting.id, &posting.answers, size);
        let entry = Sent {
            email: one.email.clone(),
            job: posting.id.clone(),
            given: one.given.clone(),
            family: one.family.clone(),
            resume_sha256: one.resume.as_deref().map(sha256_hex),
            accepted: None,
        };
        Ok((one, entry))
    }

    async fn until_definite(&self, one: &Applicant, number: u64, doors: &mut Doors) -> Result<Option<String>> {
        let give_up = self.clock.now() + GIVE_UP;
        let mut refused = 0;
        loop {
            let request = documents::request(&self.to[tenant_of(number)].key, one, &idempotency_key(number))?;
            let sent = self.clock.now();
            let answer = doors.current().send(request).await;
            let outcome = match answer {
                Ok(response) if response.status() == 202 => {
                    let receipt: Value = serde_json::from_slice(response.body())?;
                    Outcome::Accepted(receipt["id"].as_str().context("a receipt has an id")?.to_owned())
                }
                Ok(response) => Outcome::Status(response.status().as_u16()),
                Err(_) => Outcome::NoAnswer,
            };
            let attempt = Attempt { number, door: doors.at, sent, done: self.clock.now(), outcome };
            let outcome = attempt.outcome.clone();
            self.attempts.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(attempt);
            match outcome {
                Outcome::Accepted(id) => return Ok(Some(id)),
                Outcome::Status(status) if status < 500 && !matches!(status, 408 | 409 | 429) => refused += 1,
                Outcome::Status(_) => {}
                Outcome::NoAnswer => doors.next(),
            }
            if refused >= REFUSED_AFTER || self.clock.now() > give_up {
                return Ok(None);
            }
            let pause = 40 + documents::mix(self.seed, self.clock.now().subsec_nanos().into()) % 60;
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
}

/// One client's connections, one to each door, used one at a time.
struct Doors {
    clients: Vec<Client>,
    at: usize,
}

impl Doors {
    fn new(addresses: &[SocketAddr]) -> Self {
        Self { clients: addresses.iter().map(|address| Client::new(*address, ANSWER_MAX)).collect(), at: 0 }
    }

    /// The door where this one begins.
    fn home(&mut self, number: u64) {
        self.at = usize::try_from(documents::mix(0, number)).unwrap_or(0) % self.clients.len().max(1);
    }

    fn current(&mut self) -> &mut Client {
        &mut self.clients[self.at]
    }

    fn next(&mut self) {
        self.at = (self.at + 1) % self.clients.len();
    }
}
