//! A bare JSON array, written page by page while it is read: its length costs no memory.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use std::future::Future;

/// A page, and where the next one begins; the last page has no next.
pub(super) struct Page<C, T> {
    /// The items.
    pub(super) items: Vec<T>,
    /// Where to go on.
    pub(super) next: Option<C>,
}

/// Answers with the items of `first` and of all pages that `more` gives behind it, as one array.
///
/// An answer that has begun cannot become a refusal: if a page fails, the body breaks off.
pub(super) fn array<C, T, F, E>(
    first: Page<C, T>,
    more: impl Fn(C) -> F + Send + 'static,
) -> Response
where
    C: Send + 'static,
    T: Serialize + Send + 'static,
    F: Future<Output = Result<Page<C, T>, E>> + Send + 'static,
    E: std::fmt::Debug + Send + 'static,
{
    let mut head = vec![b'['];
    let comma = write(&mut head, &first.items, false);
    let left = follow(first.next, comma, &mut head);
    let rest = stream::unfold((left, more), |(left, more)| async move {
        let (after, comma) = left?;
        let page = match more(after).await {
            Ok(page) => page,
            Err(error) => {
                let error = std::io::Error::other(format!("{error:?}"));
                return Some((Err(error), (None, more)));
            }
        };
        let mut chunk = Vec::new();
        let comma = write(&mut chunk, &page.items, comma);
        let left = follow(page.next, comma, &mut chunk);
        Some((Ok(Bytes::from(chunk)), (left, more)))
    });
    let head = stream::once(std::future::ready(Ok(Bytes::from(head))));
    let body = Body::from_stream(futures_util::StreamExt::chain(head, rest));
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
}

/// What is still to be written: the page behind a cursor, and whether items came before it.
fn follow<C>(next: Option<C>, comma: bool, chunk: &mut Vec<u8>) -> Option<(C, bool)> {
    if next.is_none() {
        chunk.push(b']');
    }
    next.map(|after| (after, comma))
}

/// Writes `items`, and says whether a further one needs a comma.
fn write<T: Serialize>(chunk: &mut Vec<u8>, items: &[T], mut comma: bool) -> bool {
    for item in items {
        // Our own bodies are always JSON.
        let Ok(json) = serde_json::to_vec(item) else { continue };
        if comma {
            chunk.push(b',');
        }
        chunk.extend(json);
        comma = true;
    }
    comma
}
