//! Posts to a URL that a tenant's admin gave: the career site's. No vendor, no account, no credential.
//!
//! The same last word as for vendors: https, no user info, addresses judged when a name is resolved and again when the
//! connection is made, so that a name cannot be public when it is added and private when it is used. Redirects are answers,
//! and of an answer only the head is used. Whoever calls bounds how often; nothing is tried twice here.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use causeway_core::clock::Clock;
use causeway_core::connector::SendError;
use http::{HeaderMap, Request, Uri};
use url::{Host, Url};

use super::classify::retry_after;
use super::client::{Resolver, WirePolicy, Wired};
use super::guard;
use crate::clock::machines;

/// The figures.
#[derive(Debug, Clone)]
pub struct SitePolicy {
    /// The wire's.
    pub wire: WirePolicy,
    /// One request, connection and answer included.
    pub deadline: Duration,
}

impl Default for SitePolicy {
    fn default() -> Self {
        let wire = WirePolicy { connect: Duration::from_secs(5), body_cap: 16 * 1024, ..WirePolicy::default() };
        Self { wire, deadline: Duration::from_secs(15) }
    }
}

/// Why nothing is sent to a URL, in words for whoever gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefused {
    /// It names no host, or spells it in an unusual way.
    #[error("it is no URL such as https://jobs.example.org/webhooks")]
    NotAUrl,
    /// A password in it would be stored in the open.
    #[error("it holds a user name or a password; sign-in belongs to whoever verifies the signature")]
    UserInfo,
    /// It would go over the net in the open.
    #[error("only https is sent to; plain http only to this machine, with --allow-private")]
    NotHttps,
    /// Our own network, or nobody's.
    #[error("its address is private or reserved; --allow-private allows private ones")]
    Address,
    /// Nobody knows the name.
    #[error("its host's name cannot be resolved")]
    Unresolved,
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SiteAnswer {
    /// The status.
    pub status: u16,
    /// How long the site asked to be left alone.
    pub retry_after: Option<Duration>,
}

/// See the module's documentation.
pub struct SiteClient {
    public: Wired,
    private: Wired,
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    deadline: Duration,
}

impl SiteClient {
    /// Calls nobody yet.
    pub fn new(policy: &SitePolicy, resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Self {
        let wired = |allow| Wired::new(policy.wire.clone(), Arc::clone(&resolver), allow);
        let (public, private) = (wired(false), wired(true));
        Self { public, private, resolver, clock, deadline: policy.deadline }
    }

    /// The URL as it is kept, if anything may be sent there: its name is resolved now, and every address judged.
    ///
    /// # Errors
    /// [`UrlRefused`].
    pub async fn look(&self, text: &str, allow_private: bool) -> Result<String, UrlRefused> {
        let mut url = Url::parse(text).map_err(|_| UrlRefused::NotAUrl)?;
        url.set_fragment(None);
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlRefused::UserInfo);
        }
        let host = url.host().map(|host| host.to_owned()).ok_or(UrlRefused::NotAUrl)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(UrlRefused::NotHttps);
        }
        let literal = match &host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(*address)),
            Host::Ipv6(address) => Some(IpAddr::V6(*address)),
        };
        let allowed = |address: IpAddr| guard::allowed(address, allow_private);
        match (literal, &host) {
            (Some(address), _) if !allowed(address) => return Err(UrlRefused::Address),
            (None, Host::Domain(name)) => {
                let resolved = tokio::time::timeout(self.deadline, self.resolver.resolve(name)).await;
                let addresses = resolved.ok().and_then(Result::ok).filter(|addresses| !addresses.is_empty());
                let addresses = addresses.ok_or(UrlRefused::Unresolved)?;
                if !addresses.iter().all(|address| allowed(address.ip())) {
                    return Err(UrlRefused::Address);
                }
            }
            (Some(_) | None, _) => {}
        }
        let uri: Uri = url.as_str().parse().map_err(|_| UrlRefused::NotAUrl)?;
        // What is left is the scheme: the guard has the last word on it.
        guard::place(&uri, allow_private).map_err(|_| UrlRefused::NotHttps)?;
        Ok(url.into())
    }

    /// Posts once.
    ///
    /// # Errors
    /// [`SendError`]: it was not sent, or whether it arrived is not known.
    pub async fn post(
        &self,
        url: &str,
        allow_private: bool,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<SiteAnswer, SendError> {
        let uri: Uri = url.parse().map_err(|_| SendError::Misconfigured("the URL cannot be read"))?;
        guard::place(&uri, allow_private)?;
        let mut request = Request::post(uri).body(body).map_err(|_| SendError::Misconfigured("no request"))?;
        *request.headers_mut() = headers;
        let wire = if allow_private { &self.private } else { &self.public };
        let head = tokio::time::timeout(self.deadline, wire.head(request)).await;
        let head = head.map_err(|_| SendError::Unknown("the site did not answer in time"))??;
        let retry_after = retry_after(&head.headers, machines(&*self.clock));
        Ok(SiteAnswer { status: head.status.as_u16(), retry_after })
    }
}

#[cfg(test)]
#[path = "site_tests.rs"]
mod tests;
