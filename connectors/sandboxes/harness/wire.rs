//! The listener and its connections. Our own accept loop, because a scripted fault may have to reset a connection in the
//! middle of an exchange, which a server framework does not let a handler do.
//!
//! HTTP/1.1 only: the vendors speak HTTP/2 over TLS, and a sandbox has none.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use anyhow::Context as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Sandbox;
use super::reply::{Answered, Ending};

/// A sandbox that listens.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    announcement: Value,
    stop: CancellationToken,
    task: JoinHandle<()>,
    sandbox: Arc<Sandbox>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The ready line: `{"sandbox", "listening", "credentials", "settings"}`.
    pub fn announcement(&self) -> &Value {
        &self.announcement
    }

    /// A request to the control API without a socket: a `GET` without a body, a `POST` with one.
    ///
    /// # Errors
    /// What makes no sense, in the control API's words.
    pub fn control(&self, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        self.sandbox.control(path, body)
    }

    /// Stops accepting, breaks open connections, and waits until both is done.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Err(failure) = (&mut self.task).await
            && failure.is_panic()
        {
            std::panic::resume_unwind(failure.into_panic());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Binds, and serves in a task of its own.
pub(crate) async fn listen(name: &str, address: SocketAddr, sandbox: Arc<Sandbox>) -> anyhow::Result<Running> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    let base = format!("http://{address}");
    let account = sandbox.open(&base);
    let announcement = json!({
        "sandbox": name, "listening": base, "credentials": account["credentials"], "settings": account["settings"],
    });
    let stop = CancellationToken::new();
    #[expect(clippy::disallowed_methods, reason = "the task's owner is the `Running` that is returned")]
    let task = tokio::spawn(accept(listener, Arc::clone(&sandbox), stop.clone()));
    Ok(Running { address, announcement, stop, task, sandbox })
}

async fn accept(listener: TcpListener, sandbox: Arc<Sandbox>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&sandbox)));
                }
                // Out of descriptors, or the peer left already: the next accept may do better.
                Err(_) => tokio::task::yield_now().await,
            },
        }
    }
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, sandbox: Arc<Sandbox>) {
    // Small answers must not wait for the client's delayed acknowledgement.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let reset = CancellationToken::new();
    let wire = Wire { stream, reset: reset.clone() };
    let service = service_fn(|request| {
        let (sandbox, reset) = (Arc::clone(&sandbox), reset.clone());
        async move {
            match sandbox.serve(request).await {
                Ending::Answer(response) => Answered::Ok(response),
                Ending::Drop => {
                    reset.cancel();
                    std::future::pending().await
                }
                Ending::Hang => std::future::pending().await,
            }
        }
    });
    let exchange = http1::Builder::new().serve_connection(TokioIo::new(wire), service);
    tokio::select! {
        () = reset.cancelled() => {}
        // How a connection ended is the client's affair.
        _ended = exchange => {}
    }
}

/// A stream that goes down with a reset instead of a farewell when it was told to.
struct Wire {
    stream: TcpStream,
    reset: CancellationToken,
}

impl Drop for Wire {
    fn drop(&mut self) {
        // With zero linger, closing sends RST. Failing that, the close itself still loses the answer.
        if self.reset.is_cancelled() && self.stream.set_zero_linger().is_err() {
            self.reset.cancel();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
