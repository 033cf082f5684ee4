//! Credentials go onto a request here and nowhere else: by the scheme the request names, never into a URL.
//!
//! Sits outside the limits: when a 401 makes it fetch a new OAuth token, the second try is a second request and pays for
//! itself. One fetch serves everybody who waits for it. A fetch holds no slot of its own, so an account that may make one
//! call at a time cannot wait for itself. A request that names no scheme goes out bare.
//!
//! While two sets of secrets live, the newer is tried first. Where it is refused (401, 403, or no token for it) and the older
//! is not, the older serves for a while: a "no" was not processed, so the same request may go again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use causeway_core::account::{Account, Which};
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
/// A newer set that was refused is not tried again for so long.
const REST: Duration = Duration::from_mins(5);
/// The use of secrets is written down this often, not with every request.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// Where an account's secrets come from. The store has them; egress does not know the store.
#[async_trait]
pub trait CredentialSource: Send + Sync {
    /// The account's secrets by the names its Descriptor gives them.
    ///
    /// # Errors
    /// When they cannot be read now.
    async fn credentials(&self, account: AccountId) -> Result<BTreeMap<String, Secret>, NoCredentials>;

    /// The newer set, while two live.
    ///
    /// # Errors
    /// When they cannot be read now.
    async fn next(&self, _account: AccountId) -> Result<Option<Newer>, NoCredentials> {
        Ok(None)
    }

    /// The vendor took these, or refused them while it took the others.
    async fn used(&self, _account: AccountId, _which: Which, _refused: bool) {}

    /// Grows when any account's secrets may have changed.
    fn generation(&self) -> u64;
}

/// The newer of two living sets.
#[derive(Debug, Clone)]
pub struct Newer {
    /// By the names the Descriptor gives them.
    pub secrets: BTreeMap<String, Secret>,
    /// Since when it is held. The same secrets given anew are given another chance.
    pub since: Timestamp,
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
    held: Mutex<Option<(u64, Sets)>>,
    /// The newer set of this moment was refused while the older was not: it rests until then.
    next_rests: Mutex<Option<(Timestamp, Timestamp)>>,
}

/// The living sets.
#[derive(Clone)]
struct Sets {
    current: Arc<Held>,
    /// With the moment since when it is held.
    next: Option<(Arc<Held>, Timestamp)>,
}

/// One generation of secrets, and the tokens fetched with them.
struct Held {
    secrets: BTreeMap<String, Secret>,
    /// By scheme name. Held over the fetch, which makes it single-flight.
    token: Mutex<BTreeMap<&'static str, Token>>,
    /// When their use was last written down.
    noted: Mutex<Option<Timestamp>>,
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
        Self { source, descriptor, account, moments, held: Mutex::new(None), next_rests: Mutex::new(None) }
    }

    /// The secrets as of now. Tokens fetched with a set survive as long as it does not change.
    async fn held(&self) -> Result<Sets, SendError> {
        let generation = self.source.generation();
        let mut slot = self.held.lock().await;
        if let Some((of, held)) = slot.as_ref()
            && *of == generation
        {
            return Ok(held.clone());
        }
        let unread = |NoCredentials| SendError::NotNow { until: later(self.moments.now(), Duration::from_secs(1)) };
        let current = self.source.credentials(self.account.id).await.map_err(unread)?;
        let next = self.source.next(self.account.id).await.map_err(unread)?;
        let before: Vec<Arc<Held>> = slot.take().map_or_else(Vec::new, |(_, Sets { current, next })| {
            std::iter::once(current).chain(next.map(|(held, _)| held)).collect()
        });
        // A finished rotation makes the newer set the current one: its token is as good as before.
        let held = |secrets: BTreeMap<String, Secret>| {
            let same = before.iter().find(|held| held.secrets == secrets).cloned();
            same.unwrap_or_else(|| Arc::new(Held { secrets, token: Mutex::default(), noted: Mutex::default() }))
        };
        let sets = Sets { current: held(current), next: next.map(|newer| (held(newer.secrets), newer.since)) };
        *slot = Some((generation, sets.clone()));
        Ok(sets)
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
            AuthScheme::BasicUser { user, .. } => Ok(basic(held.secret(user)?.reveal(), "")?),
            AuthScheme::Bearer { token, .. } => Ok(marked(&format!("Bearer {}", held.secret(token)?.reveal()))?),
            AuthScheme::ClientCredentials { name, .. } => {
                let mut tokens = held.token.lock().await;
                if let Some(token) = tokens.get(name) {
                    let value = marked(&format!("Bearer {}", token.access.reveal()))?;
                    // Somebody who waited behind a refresh finds another token than the one refused to him.
                    if stale != Some(&value) && token.expires > later(self.moments.machines(), EARLY) {
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
        let expires = token.end(self.moments.machines());
        Ok(Token { access: Secret::new(token.access_token), expires })
    }

    /// Is this credential set?
    pub(super) async fn has(&self, name: &str) -> bool {
        let has = |held: &Arc<Held>| held.secrets.contains_key(name);
        self.held().await.is_ok_and(|sets| has(&sets.current) || sets.next.is_some_and(|(newer, _)| has(&newer)))
    }

    /// The request with one set of secrets; an OAuth token that is refused is fetched once more.
    async fn with<S: Wire>(
        &self,
        held: &Held,
        scheme: &'static AuthScheme,
        mut request: Request<Bytes>,
        next: &Next<S>,
    ) -> Result<Answer, SendError> {
        let value = self.header(scheme, held, None, next).await?;
        request.headers_mut().insert(header::AUTHORIZATION, value.clone());
        if !matches!(scheme, AuthScheme::ClientCredentials { .. }) {
            return Ok(next.call(request).await);
        }
        let mut again = request.clone();
        let answer = next.call(request).await;
        if !answer.as_ref().is_ok_and(|answer| answer.status() == StatusCode::UNAUTHORIZED) {
            return Ok(answer);
        }
        let fresh = self.header(scheme, held, Some(&value), next).await?;
        again.headers_mut().insert(header::AUTHORIZATION, fresh);
        Ok(next.call(again).await)
    }

    async fn rests(&self, since: Timestamp) -> bool {
        self.next_rests.lock().await.is_some_and(|(of, until)| of == since && self.moments.now() < until)
    }

    /// The newer set first; the older where that was refused.
    async fn with_either<S: Wire>(
        &self,
        sets: &Sets,
        scheme: &'static AuthScheme,
        request: Request<Bytes>,
        next: &Next<S>,
    ) -> Answer {
        let (newer, since) = match &sets.next {
            Some((newer, since)) if !self.rests(*since).await => (newer, *since),
            Some(_) | None => {
                let tried = self.with(&sets.current, scheme, request, next).await;
                self.note(&tried, &sets.current, Which::Current).await;
                return tried?;
            }
        };
        let tried = self.with(newer, scheme, request.clone(), next).await;
        if !is_refused(&tried) {
            self.note(&tried, newer, Which::Next).await;
            return tried?;
        }
        let older = self.with(&sets.current, scheme, request, next).await;
        if is_refused(&older) {
            // Both: it is not the set that is wrong.
            return older?;
        }
        if matches!(&older, Ok(Ok(_))) {
            tracing::warn!(account = %self.account.id, "the newer secrets were refused and the older ones taken");
            *self.next_rests.lock().await = Some((since, later(self.moments.now(), REST)));
            self.source.used(self.account.id, Which::Next, true).await;
            self.note(&older, &sets.current, Which::Current).await;
        }
        older?
    }

    async fn note(&self, tried: &Result<Answer, SendError>, held: &Held, which: Which) {
        if !matches!(tried, Ok(Ok(_))) || is_refused(tried) {
            return;
        }
        let now = self.moments.now();
        let mut noted = held.noted.lock().await;
        if noted.is_none_or(|at| later(at, NOTED_EVERY) <= now) {
            *noted = Some(now);
            // Nobody waits for the pen.
            drop(noted);
            self.source.used(self.account.id, which, false).await;
        }
    }
}

/// The vendor said no to the credentials, so that it did nothing.
fn is_refused(tried: &Result<Answer, SendError>) -> bool {
    match tried {
        Ok(Ok(answer)) => matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN),
        Err(SendError::Refused(_)) => true,
        Ok(Err(_)) | Err(_) => false,
    }
}

impl Around for Arc<Auth> {
    async fn around<S: Wire>(&self, mut request: Request<Bytes>, next: Next<S>) -> Answer {
        let Some(UseAuth(name)) = request.extensions_mut().remove::<UseAuth>() else {
            return next.call(request).await;
        };
        let scheme = self.scheme(name)?;
        let sets = self.held().await?;
        self.with_either(&sets, scheme, request, &next).await
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
