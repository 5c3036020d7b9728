//! One call to misbehave about.

use super::{Decline, Mischief, PutOff, REMEMBERED_MAX};
use crate::misbehaviours::Misbehaviour;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use std::sync::Arc;
use std::time::Duration;

/// A call, and the honest handler to ask as often as wanted.
pub(super) struct Call<'a> {
    pub(super) mischief: &'a Arc<Mischief>,
    pub(super) parts: Parts,
    pub(super) body: Bytes,
    pub(super) next: Next,
    /// Decline a stake.
    pub(super) decline: bool,
    /// Answer the items of a chunk `pending`.
    pub(super) put_off: bool,
}

impl Call<'_> {
    pub(super) fn is(&self, path: &str) -> bool {
        self.parts.uri.path() == path
    }

    /// The same request anew.
    pub(super) fn request(&self) -> Request {
        let mut parts = self.parts.clone();
        if self.decline {
            parts.extensions.insert(Decline);
        }
        if self.put_off {
            parts.extensions.insert(PutOff);
        }
        Request::from_parts(parts, Body::from(self.body.clone()))
    }

    /// What the wallet answers.
    pub(super) async fn honest(&self) -> Response {
        self.next.clone().run(self.request()).await
    }

    /// What it answers to a request that is a little other.
    pub(super) async fn honest_to(&self, request: Request) -> Response {
        self.next.clone().run(request).await
    }

    /// What a misbehaving wallet answers; the wallet's own answer where there is nothing to misbehave about.
    pub(super) async fn misbehaved(&self, which: Option<Misbehaviour>) -> Response {
        let Some(which) = which else { return self.honest().await };
        let face = *self.mischief.counts().misbehaved.of(which);
        match self.act(which, face).await {
            Ok(response) => {
                self.mischief.count_misbehaved(which);
                response
            }
            Err(response) => response,
        }
    }

    /// Applies `request` in so long, and does `then` after it; false if too many wait already.
    pub(super) fn later(
        &self,
        wait: Duration,
        request: Request,
        then: impl FnOnce(&Mischief) + Send + 'static,
    ) -> bool {
        let (mischief, next) = (Arc::clone(self.mischief), self.next.clone());
        if REMEMBERED_MAX <= mischief.later.len() {
            return false;
        }
        let applying = async move {
            tokio::select! {
                () = tokio::time::sleep(wait) => {
                    next.run(request).await;
                    then(&mischief);
                }
                () = mischief.shutdown.cancelled() => {}
            }
        };
        self.mischief.later.spawn(applying);
        true
    }
}
