//! Credentials go onto a request here and nowhere else: by the scheme the request names, never into a URL.
//!
//! Sits outside the limits: when a 401 makes it fetch a new OAuth token, the second try is a second request and pays for
//! itself. One fetch serves everybody who waits for it. A fetch holds no slot of its own, so an account that may make one
//! call at a time cannot wait for itself. A request that names no scheme goes out bare.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::account::Account;
use causeway_core::connector::{AuthScheme, Descriptor, SendError, UseAuth};
use causeway_core::ids::AccountId;
use causeway_core::pii::Secret;
use data_encoding::BASE64;
use http::{HeaderValue, Method, Request, StatusCode, header};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::around::{Answer, Around, Next, Wire};
use super::limit::SlotHeld;
use super::moments::Moments;
use super::setting;
use crate::clock::later;

/// A token is renewed so long before it expires.
const EARLY: Duration = Duration::from_secs(60);
/// How long a token whose answer names no end is believed.
const NO_END: Duration = Duration::from_mins(5);

/// Where an account's secrets come from. The store has them; egress does not know the store.
#[async_trait]
pub trait CredentialSource: Send + Sync {
    /// The account's secrets by the names its Descriptor gives them.
    ///
    /// # Errors
    /// When they cannot be read now.
    async fn credentials(&self, account: AccountId) -> Result<BTreeMap<String, Secret>, NoCredentials>;

    /// Grows when any account's secrets may have changed.
    fn generation(&self) -> u64;
}

/// The account's secrets cannot be read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the account's credentials cannot be read now")]
pub struct NoCredentials;

/// The form a token is asked with.
fn grant(subject: Option<&str>) -> Bytes {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if let Some(subject) = subject {
        form.append_pair("sub", subject);
    }
    Bytes::from(form.finish())
}

/// The layer.
pub(super) struct Auth {
    source: Arc<dyn CredentialSource>,
    descriptor: &'static Descriptor,
    account: Account,
    moments: Moments,
    /// Secrets as last read, with their generation.
    held: Mutex<Option<(u64, Arc<Held>)>>,
}

/// One generation of secrets, and the tokens fetched with them.
struct Held {
    secrets: BTreeMap<String, Secret>,
    /// By scheme name. Held over the fetch, which makes it single-flight.
    token: Mutex<BTreeMap<&'static str, Token>>,
}

#[derive(Clone)]
struct Token {
    access: Secret,
    expires: Timestamp,
}

/// A token endpoint's answer. Vendors name the end in three ways.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_at: Option<End>,
    expires: Option<End>,
    expires_in: Option<End>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum End {
    Number(i64),
    Text(String),
}

impl End {
    /// As a moment: an ISO time or seconds since 1970.
    fn moment(&self) -> Option<Timestamp> {
        match self {
            Self::Number(seconds) => Timestamp::from_second(*seconds).ok(),
            Self::Text(text) => {
                text.parse().ok().or_else(|| text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok()))
            }
        }
    }

    /// As a length in seconds.
    fn length(&self) -> Option<Duration> {
        let seconds = match self {
            Self::Number(seconds) => u64::try_from(*seconds).ok(),
            Self::Text(text) => text.parse().ok(),
        };
        seconds.map(Duration::from_secs)
    }
}

impl TokenAnswer {
    fn end(&self, now: Timestamp) -> Timestamp {
        let told =
            self.expires_at.as_ref().and_then(End::moment).or_else(|| self.expires.as_ref().and_then(End::moment));
        told.or_else(|| self.expires_in.as_ref().and_then(End::length).map(|length| later(now, length)))
            .unwrap_or_else(|| later(now, NO_END))
    }
}

fn marked(value: &str) -> Result<HeaderValue, SendError> {
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| SendError::Misconfigured("a credential has characters that no header can carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn basic(user: &str, password: &str) -> Result<HeaderValue, SendError> {
    marked(&format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes())))
}

impl Held {
    fn secret(&self, name: &str) -> Result<&Secret, SendError> {
        self.secrets.get(name).ok_or(SendError::Misconfigured("a credential the request needs is not set"))
    }
}

impl Auth {
    pub(super) fn new(
        source: Arc<dyn CredentialSource>,
        descriptor: &'static Descriptor,
        account: Account,
        moments: Moments,
    ) -> Self {
        Self { source, descriptor, account, moments, held: Mutex::new(None) }
    }

    /// The secrets as of now. Tokens fetched with them survive as long as they do not change.
    async fn held(&self) -> Result<Arc<Held>, SendError> {
        let generation = self.source.generation();
        let mut slot = self.held.lock().await;
        if let Some((of, held)) = slot.as_ref()
            && *of == generation
        {
            return Ok(Arc::clone(held));
        }
        let secrets =
            self.source.credentials(self.account.id).await.map_err(|NoCredentials| SendError::NotNow {
                until: later(self.moments.now(), Duration::from_secs(1)),
            })?;
        let held = match slot.take() {
            Some((_, held)) if held.secrets == secrets => held,
            _ => Arc::new(Held { secrets, token: Mutex::default() }),
        };
        *slot = Some((generation, Arc::clone(&held)));
        Ok(held)
    }

    fn scheme(&self, name: &str) -> Result<&'static AuthScheme, SendError> {
        self.descriptor
            .auth
            .iter()
            .find(|scheme| scheme.name() == name)
            .ok_or(SendError::Misconfigured("the request names a scheme the connector does not declare"))
    }

    async fn header<S: Wire>(
        &self,
        scheme: &'static AuthScheme,
        held: &Held,
        stale: Option<&HeaderValue>,
        next: &Next<S>,
    ) -> Result<HeaderValue, SendError> {
        match scheme {
            AuthScheme::BasicUser { user, .. } => basic(held.secret(user)?.reveal(), ""),
            AuthScheme::Bearer { token, .. } => marked(&format!("Bearer {}", held.secret(token)?.reveal())),
            AuthScheme::ClientCredentials { name, .. } => {
                let mut tokens = held.token.lock().await;
                if let Some(token) = tokens.get(name) {
                    let value = marked(&format!("Bearer {}", token.access.reveal()))?;
                    // Somebody who waited behind a refresh finds another token than the one refused to him.
                    if stale != Some(&value) && token.expires > later(self.moments.now(), EARLY) {
                        return Ok(value);
                    }
                }
                let token = self.fetch(scheme, held, next).await?;
                let value = marked(&format!("Bearer {}", token.access.reveal()))?;
                tokens.insert(name, token);
                Ok(value)
            }
        }
    }

    async fn fetch<S: Wire>(&self, scheme: &AuthScheme, held: &Held, next: &Next<S>) -> Result<Token, SendError> {
        let AuthScheme::ClientCredentials { token_url, client_id, client_secret, subject, .. } = scheme else {
            return Err(SendError::Misconfigured("the scheme has no token endpoint"));
        };
        let url = setting(self.descriptor, &self.account, token_url)
            .ok_or(SendError::Misconfigured("the token endpoint is not set"))?;
        let subject = subject.and_then(|name| setting(self.descriptor, &self.account, name));
        let request = Request::builder()
            .method(Method::POST)
            .uri(url)
            .header(
                header::AUTHORIZATION,
                basic(held.secret(client_id)?.reveal(), held.secret(client_secret)?.reveal())?,
            )
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .extension(SlotHeld)
            .body(grant(subject.as_deref()))
            .map_err(|_| SendError::Misconfigured("the token endpoint is not a URL"))?;
        // Whatever goes wrong here, the request itself was not sent.
        let answer = match next.call(request).await {
            Ok(answer) => answer,
            Err(SendError::Unknown(_) | SendError::NotSent(_)) => {
                return Err(SendError::NotSent("the token endpoint did not answer"));
            }
            Err(error @ (SendError::NotNow { .. } | SendError::Refused(_) | SendError::Misconfigured(_))) => {
                return Err(error);
            }
        };
        if answer.status().is_server_error() || answer.status() == StatusCode::TOO_MANY_REQUESTS {
            return Err(SendError::NotSent("the token endpoint is unavailable"));
        }
        if matches!(answer.status(), StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(SendError::Refused(answer.status().as_u16()));
        }
        if !answer.status().is_success() {
            return Err(SendError::Misconfigured("the token endpoint is no token endpoint"));
        }
        let token: TokenAnswer = serde_json::from_slice(answer.body())
            .map_err(|_| SendError::NotSent("the token endpoint's answer cannot be read"))?;
        let expires = token.end(self.moments.now());
        Ok(Token { access: Secret::new(token.access_token), expires })
    }

    /// Is this credential set?
    pub(super) async fn has(&self, name: &str) -> bool {
        self.held().await.is_ok_and(|held| held.secrets.contains_key(name))
    }
}

impl Around for Arc<Auth> {
    async fn around<S: Wire>(&self, mut request: Request<Bytes>, next: Next<S>) -> Answer {
        let Some(UseAuth(name)) = request.extensions_mut().remove::<UseAuth>() else {
            return next.call(request).await;
        };
        let scheme = self.scheme(name)?;
        let held = self.held().await?;
        let value = self.header(scheme, &held, None, &next).await?;
        request.headers_mut().insert(header::AUTHORIZATION, value.clone());
        let may_refresh = matches!(scheme, AuthScheme::ClientCredentials { .. });
        if !may_refresh {
            return next.call(request).await;
        }
        let mut again = request.clone();
        let answer = next.call(request).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let fresh = self.header(scheme, &held, Some(&value), &next).await?;
        again.headers_mut().insert(header::AUTHORIZATION, fresh);
        next.call(again).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_token_in_every_spelling() {
        let now = Timestamp::from_second(1_000).unwrap();
        for (json, seconds) in [
            (r#"{"access_token":"t","expires_at":"1970-01-01T01:00:00Z"}"#, 3_600),
            (r#"{"access_token":"t","expires":"1970-01-01T01:00:00Z"}"#, 3_600),
            (r#"{"access_token":"t","expires":5000}"#, 5_000),
            (r#"{"access_token":"t","expires_in":600}"#, 1_600),
            (r#"{"access_token":"t","expires_in":"600"}"#, 1_600),
            (r#"{"access_token":"t","expires_at":"soon","expires_in":600}"#, 1_600),
            (r#"{"access_token":"t"}"#, 1_300),
        ] {
            let answer: TokenAnswer = serde_json::from_str(json).unwrap();
            assert_eq!(answer.end(now).as_second(), seconds, "{json}");
        }
    }
}
