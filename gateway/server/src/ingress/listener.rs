//! Below HTTP: accepting connections, bounding them, and ending them well.
//!
//! Own loop, because the limits that protect against slow and many clients live here: connections in all and per
//! address, time for a request's header, for taking an answer and for doing nothing, streams and header sizes. Out of file descriptors, it waits and goes on. It
//! knows nothing of routes.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::HeaderValue;
use http::header::CONNECTION;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::Config;
use super::activity::Activity;
use super::metrics::Metrics;
use super::stall::Impatient;

const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: u32 = 64 * 1024;
const MAX_STREAMS: u32 = 256;
/// How long to wait when the system has no file descriptor left.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// One listening socket and its bounds.
pub(super) struct Listener {
    socket: TcpListener,
    router: Router,
    http: Arc<Builder<TokioExecutor>>,
    times: Times,
    drain: Duration,
    room: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    metrics: Arc<Metrics>,
    closing: CancellationToken,
}

/// How long a connection may do nothing.
#[derive(Debug, Clone, Copy)]
struct Times {
    header_read: Duration,
    /// An answer that is not taken.
    stall: Duration,
    /// No request at all.
    idle: Duration,
}

impl Listener {
    /// Once `closing` is cancelled, connections end with their next answer.
    pub(super) fn new(
        socket: TcpListener,
        router: Router,
        config: &Config,
        metrics: Arc<Metrics>,
        closing: CancellationToken,
    ) -> Self {
        Self {
            socket,
            router,
            http: Arc::new(protocol(config.header_read)),
            times: Times { header_read: config.header_read, stall: config.body_progress, idle: config.idle },
            drain: config.drain,
            room: Arc::new(Semaphore::new(config.max_connections.clamp(1, Semaphore::MAX_PERMITS))),
            addresses: Arc::new(Addresses { most: config.max_connections_per_address, open: Mutex::default() }),
            metrics,
            closing,
        }
    }

    /// Serves until `stop`, then lets requests under way finish, for a bounded time.
    pub(super) async fn run(self, stop: CancellationToken) {
        let connections = TaskTracker::new();
        let graceful = GracefulShutdown::new();
        let cut = CancellationToken::new();
        while let Some((stream, address, place)) = self.next(&stop).await {
            self.metrics.connections_accepted.fetch_add(1, Ordering::Relaxed);
            let Some(counted) = Addresses::enter(&self.addresses, address) else {
                self.metrics.connections_refused.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            // Answers are one small write: waiting to fill a packet only adds latency. A socket that refuses is used as it is.
            if stream.set_nodelay(true).is_err() {
                tracing::debug!("a connection ended before it was served");
            }
            let stream = Impatient::new(stream, self.times.stall);
            let router = (self.router.clone(), address, self.closing.clone());
            let serving = serve(stream, router, Arc::clone(&self.http), graceful.watcher(), self.times);
            let (metrics, cut) = (Arc::clone(&self.metrics), cut.clone());
            connections.spawn(async move {
                let _open = Open::new(metrics);
                cut.run_until_cancelled(serving).await;
                drop((place, counted));
            });
        }
        drop(self.socket);
        connections.close();
        if tokio::time::timeout(self.drain, graceful.shutdown()).await.is_err() {
            tracing::warn!(open = connections.len(), "connections were cut at stop");
            cut.cancel();
        }
        connections.wait().await;
    }

    /// The next connection there is room for; `None` once stopped.
    async fn next(&self, stop: &CancellationToken) -> Option<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
        let place = tokio::select! {
            () = stop.cancelled() => return None,
            place = Arc::clone(&self.room).acquire_owned() => place.ok()?,
        };
        let (stream, address) = tokio::select! {
            () = stop.cancelled() => return None,
            accepted = patiently(|| self.socket.accept(), &self.metrics) => accepted,
        };
        Some((stream, address.ip().to_canonical(), place))
    }
}

/// Accepts until it succeeds. Out of file descriptors it waits between two tries, or it would spin.
async fn patiently<T, F>(mut accept: impl FnMut() -> F, metrics: &Metrics) -> T
where
    F: Future<Output = io::Result<T>>,
{
    loop {
        match accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                metrics.accept_errors.fetch_add(1, Ordering::Relaxed);
                if !is_the_clients(&error) {
                    tracing::error!(%error, "cannot accept connections now");
                    tokio::time::sleep(EXHAUSTED).await;
                }
            }
        }
    }
}

/// The client was gone before it was accepted; everything else is the system's want, which does not end at once.
fn is_the_clients(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

fn protocol(header_read: Duration) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_read)
        .max_headers(MAX_HEADERS)
        .max_buf_size(usize::try_from(MAX_HEADER_BYTES).unwrap_or(usize::MAX))
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(header_read);
    http
}

/// One connection, from its first byte to its last.
async fn serve(
    stream: Impatient<TcpStream>,
    (router, address, closing): (Router, IpAddr, CancellationToken),
    http: Arc<Builder<TokioExecutor>>,
    watcher: Watcher,
    times: Times,
) {
    let spoke = Arc::new(AtomicBool::new(false));
    let (speaks, activity) = (Arc::clone(&spoke), Activity::new());
    let acts = Arc::clone(&activity);
    let many = Arc::new(AtomicBool::new(false));
    let is_many = Arc::clone(&many);
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        speaks.store(true, Ordering::Relaxed);
        let shares = request.version() == http::Version::HTTP_2;
        is_many.store(shares, Ordering::Relaxed);
        let watched = shares.then(|| (acts.work(), Arc::clone(&acts)));
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(address));
        let answered = router.clone().oneshot(request);
        let closing = closing.clone();
        async move {
            let mut answer = answered.await?;
            // HTTP/2 has a way of its own to say so, which the listener's end uses.
            if closing.is_cancelled() && !shares {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(match &watched {
                Some((_working, activity)) => answer.map(|body| activity.answer(body)),
                None => answer,
            })
        }
    });
    let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
    let mut connection = pin!(watcher.watch(connection));
    // The library's header timeout starts once it knows the protocol; a client that never says that much is ours to end.
    let first = tokio::time::timeout(times.header_read.saturating_mul(2), connection.as_mut()).await;
    if first.is_ok() || !spoke.load(Ordering::Relaxed) {
        return;
    }
    let ends = async {
        // HTTP/1.1 has its own: the header's time between two requests, the socket's for an answer.
        if many.load(Ordering::Relaxed) {
            activity.ends(times.stall, times.idle).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        // A connection's own end (reset, malformed request, timeout) is the client's affair, and is answered if it can be.
        ended = connection => if ended.is_err() {
            tracing::debug!("a connection ended early");
        },
        () = ends => tracing::debug!("a connection that did nothing was cut"),
    }
}

/// Where a request's connection comes from: the client, or the proxy before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Open connections by address.
struct Addresses {
    most: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

struct Counted {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    fn enter(addresses: &Arc<Self>, address: IpAddr) -> Option<Counted> {
        let mut open = addresses.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= addresses.most {
            return None;
        }
        *count += 1;
        Some(Counted { addresses: Arc::clone(addresses), address })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.addresses.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// Counts the connection as open until it is dropped.
struct Open(Arc<Metrics>);

impl Open {
    fn new(metrics: Arc<Metrics>) -> Self {
        metrics.connections_open.fetch_add(1, Ordering::Relaxed);
        Self(metrics)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections_open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const EMFILE: i32 = 24;

    #[tokio::test(start_paused = true)]
    async fn out_of_descriptors_it_waits_and_recovers() {
        let metrics = Metrics::default();
        for (error, waits) in [
            (io::Error::from_raw_os_error(EMFILE), EXHAUSTED * 50),
            // A client that went away is no want of ours: the next is accepted at once.
            (io::ErrorKind::ConnectionAborted.into(), Duration::ZERO),
        ] {
            let mut tries = 0;
            let began = Instant::now();
            let accept = || {
                tries += 1;
                std::future::ready(match (tries <= 50, error.raw_os_error()) {
                    (true, Some(code)) => Err(io::Error::from_raw_os_error(code)),
                    (true, None) => Err(error.kind().into()),
                    (false, _) => Ok("a connection"),
                })
            };
            assert_eq!(patiently(accept, &metrics).await, "a connection");
            // Paused time moves only when everybody waits: without the wait it would not have moved.
            assert_eq!((tries, began.elapsed()), (51, waits), "{error}");
        }
        assert_eq!(metrics.accept_errors.load(Ordering::Relaxed), 100);
    }
}
