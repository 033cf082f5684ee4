//! The wire: a pooled client over TLS, with every address judged when it connects and every answer capped.
//!
//! Two clients, one for accounts that may reach private addresses and one for the rest, so that neither can use the
//! other's connections. Connecting and the TLS handshake have a deadline of their own: a peer that never answers the
//! handshake was provably sent nothing. The pool may resend by itself only what it could not begin to write to a dying
//! connection (`retry_canceled_requests`); anything after that is an unknown outcome and belongs to dispatch.
//!
//! Proxy variables of the environment are not read. Roots are the machine's, loaded when first needed.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::connector::SendError;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::client::legacy::{Builder, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use tower::timeout::TimeoutLayer;
use tower::{Service, ServiceBuilder};

use super::around::Answer;
use super::{guard, tls};

/// How long a body that nobody needs is read.
const DRAIN: Duration = Duration::from_secs(1);

/// How answers are bounded and connections kept.
#[derive(Debug, Clone)]
pub struct WirePolicy {
    /// Name lookup, connection and TLS handshake together.
    pub connect: Duration,
    /// The largest body that is read.
    pub body_cap: usize,
    /// The largest head that is read.
    pub head_cap: usize,
    /// The most header lines that are read.
    pub headers: usize,
    /// How long an idle connection is kept.
    pub idle: Duration,
    /// The authorities whose certificates are believed; the machine's when there are none here.
    pub roots: Option<Arc<RootCertStore>>,
}

impl Default for WirePolicy {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            body_cap: 1024 * 1024,
            head_cap: 64 * 1024,
            headers: 128,
            idle: Duration::from_secs(30),
            roots: None,
        }
    }
}

/// Turns names into addresses.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// Every address of this name.
    ///
    /// # Errors
    /// When it has none or the lookup fails.
    async fn resolve(&self, name: &str) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.collect())
    }
}

/// Asks the resolver and passes on its addresses only if every one of them is allowed.
#[derive(Clone)]
pub(super) struct GuardedResolver {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) allow_private: bool,
}

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let addresses = this.resolver.resolve(name.as_str()).await?;
            if addresses.iter().all(|address| guard::allowed(address.ip(), this.allow_private)) {
                Ok(addresses.into_iter())
            } else {
                Err(io::Error::new(io::ErrorKind::PermissionDenied, "an address of the host is not allowed"))
            }
        })
    }
}

type Pooled = Arc<dyn Fn(Request<Full<Bytes>>) -> Exchange + Send + Sync>;
type Exchange = Pin<Box<dyn Future<Output = Result<Response<Incoming>, SendError>> + Send>>;

/// The innermost service.
#[derive(Clone)]
pub(super) struct Wired(Arc<Shared>);

struct Shared {
    policy: WirePolicy,
    plain: Pooled,
    tls: OnceLock<Option<Pooled>>,
    http: HttpConnector<GuardedResolver>,
}

impl Wired {
    pub(super) fn new(policy: WirePolicy, resolver: Arc<dyn Resolver>, allow_private: bool) -> Self {
        let mut http = HttpConnector::new_with_resolver(GuardedResolver { resolver, allow_private });
        http.enforce_http(false);
        http.set_nodelay(true);
        let plain = pooled(&policy, http.clone());
        Self(Arc::new(Shared { policy, plain, tls: OnceLock::new(), http }))
    }

    /// Sends a request of which only the answer's head matters. A short body is read, so that the connection can be used
    /// again; a long or slow one is not waited for.
    pub(super) async fn head(&self, request: Request<Bytes>) -> Result<http::response::Parts, SendError> {
        let (pool, cap) = (self.pool(&request)?, self.0.policy.body_cap);
        let response = pool(request.map(Full::new)).await?;
        let (head, body) = response.into_parts();
        drop(tokio::time::timeout(DRAIN, read(Response::new(body), cap)).await);
        Ok(head)
    }

    fn pool(&self, request: &Request<Bytes>) -> Result<Pooled, SendError> {
        if request.uri().scheme_str() != Some("https") {
            return Ok(Arc::clone(&self.0.plain));
        }
        let pool = self.0.tls.get_or_init(|| match tls::config(self.0.policy.roots.clone()) {
            Ok(config) => {
                let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_only();
                let connector = builder.enable_all_versions().wrap_connector(self.0.http.clone());
                Some(pooled(&self.0.policy, connector))
            }
            Err(error) => {
                tracing::error!(%error, "this machine has no usable root certificates: no https call can be made");
                None
            }
        });
        pool.clone().ok_or(SendError::NotSent("this machine has no usable root certificates"))
    }
}

fn pooled<C>(policy: &WirePolicy, connector: C) -> Pooled
where
    C: Service<http::Uri> + Clone + Send + Sync + 'static,
    C::Future: Send + 'static,
    C::Error: Into<tower::BoxError> + 'static,
    C: Connect,
    C::Response:
        hyper::rt::Read + hyper::rt::Write + hyper_util::client::legacy::connect::Connection + Unpin + Send + 'static,
{
    let timed = ServiceBuilder::new().map_future(Box::pin).layer(TimeoutLayer::new(policy.connect)).service(connector);
    let client: Client<_, Full<Bytes>> = builder(policy).build(timed);
    Arc::new(move |request| {
        let client = client.clone();
        Box::pin(async move {
            client.request(request).await.map_err(|error| {
                if error.is_connect() {
                    SendError::NotSent(tls::no_connection(&error))
                } else if tls::was_not_processed(&error) {
                    SendError::NotSent("the vendor said that it did not look at the request")
                } else {
                    SendError::Unknown("the connection ended before an answer was read")
                }
            })
        })
    })
}

fn builder(policy: &WirePolicy) -> Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    // Without the pool's timer idle connections are never closed; without the other, time-outs cannot be set.
    builder
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(policy.idle)
        .http1_max_buf_size(policy.head_cap.max(8192))
        .http1_max_headers(policy.headers)
        .http2_max_header_list_size(u32::try_from(policy.head_cap).unwrap_or(u32::MAX));
    builder
}

#[expect(clippy::disallowed_methods, reason = "the body is wrapped in Limited first")]
async fn read(response: Response<Incoming>, cap: usize) -> Answer {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, cap).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            SendError::Unknown("the vendor's answer is larger than the cap")
        } else {
            SendError::Unknown("the vendor's answer broke off")
        }
    })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

impl Service<Request<Bytes>> for Wired {
    type Response = Response<Bytes>;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (pool, cap) = (self.pool(&request), self.0.policy.body_cap);
        Box::pin(async move {
            let answer = pool?(request.map(Full::new)).await?;
            read(answer, cap).await
        })
    }
}
