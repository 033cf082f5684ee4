//! What the stack's own layers have in common: an async function around the next service, and nothing else.
//!
//! A layer implements [`Around`]. It never meets `poll_ready`: the next service is driven by a clone that is made ready
//! and called at once, so no permit can be reserved and forgotten and no clone is called that was never ready.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use causeway_core::connector::SendError;
use http::{Request, Response};
use tower::{Layer, Service, ServiceExt};

/// What every service of the stack answers.
pub(super) type Answer = Result<Response<Bytes>, SendError>;

/// A service of the stack.
pub(super) trait Wire:
    Service<Request<Bytes>, Response = Response<Bytes>, Error = SendError, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S> Wire for S where
    S: Service<Request<Bytes>, Response = Response<Bytes>, Error = SendError, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// The next service, to be called any number of times.
pub(super) struct Next<S>(S);

impl<S: Wire> Next<S> {
    pub(super) async fn call(&self, request: Request<Bytes>) -> Answer {
        self.0.clone().oneshot(request).await
    }
}

/// A layer's job.
pub(super) trait Around: Send + Sync + 'static {
    fn around<S: Wire>(&self, request: Request<Bytes>, next: Next<S>) -> impl Future<Output = Answer> + Send;
}

/// Makes the layer. Its state is shared by every clone of the service.
pub(super) fn around<A: Around>(job: A) -> AroundLayer<A> {
    AroundLayer(Arc::new(job))
}

pub(super) struct AroundLayer<A>(Arc<A>);

impl<A, S> Layer<S> for AroundLayer<A> {
    type Service = AroundService<A, S>;

    fn layer(&self, inner: S) -> Self::Service {
        AroundService { job: Arc::clone(&self.0), inner }
    }
}

pub(super) struct AroundService<A, S> {
    job: Arc<A>,
    inner: S,
}

impl<A, S: Clone> Clone for AroundService<A, S> {
    fn clone(&self) -> Self {
        Self { job: Arc::clone(&self.job), inner: self.inner.clone() }
    }
}

impl<A: Around, S: Wire> Service<Request<Bytes>> for AroundService<A, S> {
    type Response = Response<Bytes>;
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (job, next) = (Arc::clone(&self.job), Next(self.inner.clone()));
        Box::pin(async move { job.around(request, next).await })
    }
}
