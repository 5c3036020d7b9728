//! Who said what, in a data directory of its own.

use super::*;
use runtime::embedded::{Embedded, Options};
use runtime::{Append, SystemClock};
use schemas::acts::by_hand;

const HOUR_MS: Millis = 3_600_000;

#[tokio::test]
async fn what_was_done_is_kept_and_found_by_time() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new(directory.path());
    let engine = Embedded::open(&options, crate::engine::catalogue(), SystemClock).unwrap();
    let act = |at, what: &str| by_hand(("desk", at), what, "acme".to_owned(), "ticket 1");
    let (early, first, last) = (act(9, "set"), act(10, "paused"), act(3 * HOUR_MS, "resumed"));
    for act in [&last, &early, &first, &first] {
        keep(&engine, act).await.unwrap();
    }
    let found = since(&engine, 10, 4 * HOUR_MS).await.unwrap();
    assert_eq!((found.acts, found.unreadable), (vec![first.clone(), last], 0));
    let of_the_hour = since(&engine, 0, 20).await.unwrap();
    assert_eq!(of_the_hour.acts, [early, first.clone()]);

    // What cannot be read is counted, and hides nothing else.
    let mut broken = Fact::from(acts::fact(&first, 7).unwrap().into_parts());
    broken.body = "no act".into();
    let batch = Batch { facts: vec![vec![broken]], ..Batch::of_records(Vec::<Append>::new()) };
    engine.apply(None, batch).await.unwrap();
    let found = since(&engine, 10, 20).await.unwrap();
    assert_eq!((found.acts, found.unreadable), (vec![first], 1));
    engine.close().await;
}
