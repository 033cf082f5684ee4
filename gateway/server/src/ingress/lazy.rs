//! Copies the service below only when a request reaches it.
//!
//! Every `from_fn` layer copies all that stands below it for each request, and so does every layer above it: with n of
//! them a request pays for n² copies, a fifth of what an accept costs. Under this layer a copy is one reference count, and
//! what is below is copied once, by the request that uses it. It changes nothing else: readiness is asked of the copy
//! that will serve the call.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::extract::Request;
use axum::middleware::{FromFnLayer, from_fn_with_state};
use tower::layer::util::Stack;
use tower::{Layer, Service};

/// The layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct LazyLayer;

/// A function around everything below it, as `from_fn_with_state` makes it, over a lazily copied rest.
pub(super) fn around<F, S, T>(state: S, function: F) -> Stack<LazyLayer, FromFnLayer<F, S, T>> {
    Stack::new(LazyLayer, from_fn_with_state(state, function))
}

impl<S> Layer<S> for LazyLayer {
    type Service = Lazy<S>;

    fn layer(&self, below: S) -> Lazy<S> {
        Lazy { below: Arc::new(below), own: None }
    }
}

/// See the module.
pub(super) struct Lazy<S> {
    below: Arc<S>,
    /// The copy that was found ready, for the next call.
    own: Option<S>,
}

impl<S> Clone for Lazy<S> {
    fn clone(&self) -> Self {
        Self { below: Arc::clone(&self.below), own: None }
    }
}

impl<S: Service<Request> + Clone> Service<Request> for Lazy<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let own = self.own.get_or_insert_with(|| S::clone(&self.below));
        ready!(own.poll_ready(context))?;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> S::Future {
        // Taken, not kept: a copy that served is dropped with its future, and the next call asks readiness anew.
        let own = self.own.take();
        own.unwrap_or_else(|| S::clone(&self.below)).call(request)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{Ready, ready};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::{Context, Poll};

    use axum::body::Body;
    use axum::extract::Request;
    use tower::{Layer as _, Service, ServiceExt as _};

    use super::LazyLayer;

    /// Counts its copies, and answers whether the copy that serves was asked for readiness.
    struct Below {
        copies: Arc<AtomicUsize>,
        asked: bool,
    }

    impl Clone for Below {
        fn clone(&self) -> Self {
            self.copies.fetch_add(1, SeqCst);
            Self { copies: Arc::clone(&self.copies), asked: false }
        }
    }

    impl Service<Request> for Below {
        type Response = bool;
        type Error = Infallible;
        type Future = Ready<Result<bool, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.asked = true;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request) -> Self::Future {
            ready(Ok(self.asked))
        }
    }

    #[tokio::test]
    async fn only_a_request_pays_for_a_copy_and_the_copy_that_serves_was_ready() {
        let copies = Arc::new(AtomicUsize::new(0));
        let lazy = LazyLayer.layer(LazyLayer.layer(Below { copies: Arc::clone(&copies), asked: false }));
        let held: Vec<_> = (0..10).map(|_| lazy.clone()).collect();
        assert_eq!(copies.load(SeqCst), 0);
        for (served, one) in held.into_iter().enumerate() {
            assert!(one.oneshot(Request::new(Body::empty())).await.unwrap());
            assert_eq!(copies.load(SeqCst), served + 1);
        }
        // The same instance serves again, with a new copy.
        let mut again = lazy.clone();
        for _ in 0..2 {
            assert!(again.ready().await.unwrap().call(Request::new(Body::empty())).await.unwrap());
        }
        assert_eq!(copies.load(SeqCst), 12);
    }
}
