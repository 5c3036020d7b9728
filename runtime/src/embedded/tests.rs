use super::*;
use crate::{SystemClock, conformance};
use tempfile::TempDir;

pub(super) fn conformance_catalogue() -> Catalogue {
    Catalogue::new(conformance::TOPICS, conformance::KINDS)
}

fn open(directory: &TempDir) -> Result<Embedded, OpenError> {
    let options = Options { reserve_bytes: 0, ..Options::new(directory.path()) };
    Embedded::open(&options, conformance_catalogue(), SystemClock)
}

#[tokio::test]
async fn conforms() {
    let directory = TempDir::new().unwrap();
    let engine = open(&directory).unwrap();
    conformance::check(&engine, "first").await.unwrap();
    engine.close().await;
    // A second run on the same file: nothing of the first gets in its way.
    let engine = open(&directory).unwrap();
    conformance::check(&engine, "second").await.unwrap();
}
