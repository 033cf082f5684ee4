//! Routes that are described where they are added.

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use causeway_core::problem::Code;

use super::Operation;

/// A router and what it promises, route by route.
pub struct Routes<S = ()> {
    router: Router<S>,
    listed: Vec<Listed>,
}

/// One route and its promise.
#[derive(Debug, Clone)]
pub struct Listed {
    /// In lower case, as the document writes it.
    pub method: &'static str,
    /// The template.
    pub path: String,
    /// The promise.
    pub operation: Operation,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self { router: Router::new(), listed: Vec::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A route that is read. `HEAD` is answered too.
    #[must_use]
    pub fn get<H: Handler<T, S>, T: 'static>(self, path: &'static str, handler: H, operation: Operation) -> Self {
        self.on("get", path, handler, operation)
    }

    /// A route that is posted to.
    #[must_use]
    pub fn post<H: Handler<T, S>, T: 'static>(self, path: &'static str, handler: H, operation: Operation) -> Self {
        self.on("post", path, handler, operation)
    }

    fn on<H: Handler<T, S>, T: 'static>(
        mut self,
        method: &'static str,
        path: &'static str,
        handler: H,
        operation: Operation,
    ) -> Self {
        let filter = if method == "get" { MethodFilter::GET } else { MethodFilter::POST };
        self.router = self.router.route(path, on(filter, handler));
        self.listed.push(Listed { method, path: path.to_owned(), operation });
        self
    }

    /// These and those.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.router = self.router.merge(others.router);
        self.listed.extend(others.listed);
        self
    }

    /// What a layer around all of them refuses.
    #[must_use]
    pub fn each_refuses(mut self, codes: &[Code]) -> Self {
        self.listed = self
            .listed
            .into_iter()
            .map(|listed| Listed { operation: listed.operation.refuses(codes), ..listed })
            .collect();
        self
    }

    /// The same routes under a prefix.
    #[must_use]
    pub fn under(self, prefix: &str) -> Self {
        let listed = self.listed.into_iter().map(|one| Listed { path: format!("{prefix}{}", one.path), ..one });
        Self { listed: listed.collect(), router: Router::new().nest(prefix, self.router) }
    }

    /// The same routes inside what `around` makes of their router: layers.
    #[must_use]
    pub fn map(self, around: impl FnOnce(Router<S>) -> Router<S>) -> Self {
        Self { router: around(self.router), listed: self.listed }
    }

    /// What is promised, and nothing that serves it: for the document alone.
    #[must_use]
    pub fn unserved<T: Clone + Send + Sync + 'static>(self) -> Routes<T> {
        Routes { router: Router::new(), listed: self.listed }
    }

    /// With what the handlers need.
    #[must_use]
    pub fn with_state<T>(self, state: S) -> Routes<T> {
        Routes { router: self.router.with_state(state), listed: self.listed }
    }

    /// What is promised.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// What serves.
    pub fn into_router(self) -> Router<S> {
        self.router
    }
}
