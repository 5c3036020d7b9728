//! Routes with and without a slash at their end.

use axum::Router;
use axum::routing::MethodRouter;

/// `routes` below `prefix`; and without it too, for a process that serves nothing else.
pub(super) fn below(prefix: &str, routes: Router, alone: bool) -> Router {
    let nested = Router::new().nest(prefix, routes.clone());
    if alone { nested.merge(routes) } else { nested }
}

/// Routes that answer the same with a slash at the end.
pub(super) trait Slashed<S> {
    /// Adds `path`, and `path` with a slash at its end.
    fn slashed(self, path: &str, answers: MethodRouter<S>) -> Self;
}

impl<S: Clone + Send + Sync + 'static> Slashed<S> for Router<S> {
    fn slashed(self, path: &str, answers: MethodRouter<S>) -> Self {
        self.route(path, answers.clone()).route(&format!("{path}/"), answers)
    }
}
