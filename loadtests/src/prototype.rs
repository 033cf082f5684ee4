//! The least that could accept: what the machine gives to a server that compares a token, parses, validates against the
//! canonical schema and commits the same three bare rows in groups. The gateway's rate beside it says what its promises
//! cost; its own rate beside the ceiling says what ratio the machine has to give at all.
//!
//! It seals nothing, knows no idempotency key, repeat, audit, quota or limit, and answers two members. It is no part of
//! the gateway and shares only the schema with it.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use causeway::schema::Schemas;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::accept::{insert_bare, open_bare};
use crate::rig;

/// What waits for the next commit.
#[derive(Default)]
struct Waiting {
    list: Mutex<Vec<(Bytes, oneshot::Sender<u64>)>>,
    filled: Condvar,
}

/// Serves until the process is ended. The first line on standard output is the address.
#[expect(clippy::print_stdout, reason = "the parent reads the address")]
pub(crate) async fn serve(folder: &Path, token: &str) -> Result<()> {
    let waiting = Arc::new(Waiting::default());
    let (connection, for_writer) = (open_bare(folder)?, waiting.clone());
    std::thread::spawn(move || write(&connection, &for_writer));
    let shared = Arc::new((Schemas::new(&causeway_connectors::all())?, format!("Bearer {token}"), waiting));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let shared = shared.clone();
        // Those that ended are forgotten as new ones come.
        while connections.try_join_next().is_some() {}
        connections.spawn(async move {
            let service = hyper::service::service_fn(|request| answer(request, shared.clone()));
            // A client that goes away is no concern of a prototype.
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<(Schemas, String, Arc<Waiting>)>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let status = |status: StatusCode, text: String| {
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        Ok(response)
    };
    let (schemas, bearer, waiting) = &*shared;
    if request.headers().get(http::header::AUTHORIZATION).is_none_or(|sent| sent.as_bytes() != bearer.as_bytes()) {
        return status(StatusCode::UNAUTHORIZED, String::new());
    }
    #[expect(clippy::disallowed_methods, reason = "the body is wrapped in Limited first")]
    let Ok(body) = Limited::new(request.into_body(), 1 << 20).collect().await else {
        return status(StatusCode::BAD_REQUEST, String::new());
    };
    let body = body.to_bytes();
    let is_valid = serde_json::from_slice::<Value>(&body).is_ok_and(|document| schemas.is_canonical(&document));
    if !is_valid {
        return status(StatusCode::UNPROCESSABLE_ENTITY, String::new());
    }
    let (reply, committed) = oneshot::channel();
    waiting.list.lock().unwrap_or_else(PoisonError::into_inner).push((body, reply));
    waiting.filled.notify_one();
    match committed.await {
        Ok(id) => status(StatusCode::ACCEPTED, format!("{{\"id\":{id},\"status\":\"accepted\"}}")),
        Err(_) => status(StatusCode::SERVICE_UNAVAILABLE, String::new()),
    }
}

/// Each commit takes the whole list that gathered during the last one. Ends when a commit fails.
fn write(connection: &rusqlite::Connection, waiting: &Waiting) {
    let mut id = 0_u64;
    loop {
        let mut list = waiting.list.lock().unwrap_or_else(PoisonError::into_inner);
        while list.is_empty() {
            list = waiting.filled.wait(list).unwrap_or_else(PoisonError::into_inner);
        }
        let batch = std::mem::take(&mut *list);
        drop(list);
        let first = id + 1;
        id += batch.len() as u64;
        if insert_bare(connection, first, batch.iter().map(|(body, _)| &body[..])).is_err() {
            return;
        }
        for (at, (_, reply)) in (first..).zip(batch) {
            // A client that went away asks nobody.
            if reply.send(at).is_err() {
                continue;
            }
        }
    }
}

/// A prototype in a process of its own.
pub(crate) struct Prototype {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Prototype {
    pub(crate) fn start(folder: &Path, token: &str) -> Result<Self> {
        let child = Command::new(std::env::current_exe()?)
            .args(["prototype", "--token", token, "--folder"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut prototype = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let told = prototype.child.stdout.take().context("its standard output")?;
        let mut line = String::new();
        BufReader::new(told).read_line(&mut line)?;
        prototype.address = line.trim().parse().context("the prototype's address")?;
        Ok(prototype)
    }

    pub(crate) fn cpu_s(&self) -> Result<f64> {
        rig::cpu_s(self.child.id())
    }
}

impl Drop for Prototype {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
