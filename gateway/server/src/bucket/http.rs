//! The object store's way out: one request, one whole answer, within a deadline.
//!
//! hyper's client over rustls, as for vendors; the library would bring a client of its own that retries and follows where it
//! is sent. Redirects are not followed here, and the environment's proxies are not read.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService,
};
use tower::Service;

const CONNECT: Duration = Duration::from_secs(3);
const IDLE: Duration = Duration::from_secs(30);
/// Three times the largest attachment, and much more than a page of names.
const LARGEST: usize = 16 * 1024 * 1024;

/// May plain http go there?
pub(super) fn is_ours(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

/// The machine's resolver; for plain http, of addresses that are ours only.
#[derive(Debug, Clone)]
struct Resolver {
    plain: bool,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let plain = self.plain;
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if plain && !addresses.iter().all(|address| is_ours(address.ip())) {
                let text = "blobs.endpoint: http is for a loopback or private address only";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
            Ok(addresses.into_iter())
        })
    }
}

type Pool = Client<HttpsConnector<TcpConnector<Resolver>>, HttpRequestBody>;

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    pool: Pool,
    request: Duration,
}

impl Connector {
    /// # Errors
    /// When this machine has no usable root certificates.
    pub(super) fn new(plain: bool, request: Duration) -> io::Result<Self> {
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let tls = if plain {
            tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
        } else {
            tls.with_native_roots()?.with_no_client_auth()
        };
        let mut tcp = TcpConnector::new_with_resolver(Resolver { plain });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls);
        let builder = if plain { builder.https_or_http() } else { builder.https_only() };
        let connector = builder.enable_http1().wrap_connector(tcp);
        let pool = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Self { pool, request })
    }

    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.pool.request(request).await.map_err(|error| {
            let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Interrupted };
            HttpError::new(kind, error)
        })?;
        let (head, body) = answer.into_parts();
        #[expect(clippy::disallowed_methods, reason = "the body is wrapped in Limited first")]
        let body = Limited::new(body, LARGEST).collect().await.map_err(|error| {
            let kind = if error.is::<http_body_util::LengthLimitError>() {
                HttpErrorKind::Decode
            } else {
                HttpErrorKind::Interrupted
            };
            HttpError::new(kind, io::Error::other(error))
        })?;
        let body = Full::new(body.to_bytes()).map_err(|never| match never {});
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        match tokio::time::timeout(self.request, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(late) => Err(HttpError::new(HttpErrorKind::Timeout, late)),
        }
    }
}
