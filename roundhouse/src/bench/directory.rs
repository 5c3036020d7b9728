//! Grounds of the embedded engine: directories.

use super::ground::{Floors, Ground, Grounds};
use super::journal::PlainJournal;
use super::plain_file::{PlainFile, PlainFileSettler};
use super::settling::Settled;
use super::tail::Tail;
use crate::config::{Config, Overrides};
use crate::serve::open;
use anyhow::{Context, ensure};
use runtime::embedded::Embedded;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// An empty directory, with a directory for each ground below.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    made: AtomicU32,
}

impl Directory {
    /// Below this directory.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), made: AtomicU32::new(0) }
    }
}

impl Grounds for Directory {
    type Ground = DataDir;

    async fn engine(&self) -> anyhow::Result<String> {
        Ok("embedded".to_owned())
    }

    /// `data` below the directory, then `data-1`, `data-2` and so on.
    async fn make(&self) -> anyhow::Result<DataDir> {
        let name = match self.made.fetch_add(1, Ordering::Relaxed) {
            0 => "data".to_owned(),
            number => format!("data-{number}"),
        };
        let path = self.path.join(name);
        ensure!(!path.exists(), "{} is there already; give an empty directory", path.display());
        std::fs::create_dir_all(&path)
            .with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(DataDir { path })
    }
}

/// A data directory.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
}

impl Ground for DataDir {
    // Those of a settler alone are said of Kafka.
    const FLOORS: Floors =
        Floors { confirmed_us: 400_000, topic_us: None, outcomes_per_core_s: None };
    const LOOK_PERIOD: Duration = Duration::from_millis(10);
    type Engine = Embedded;
    type Plain = PlainFile;
    type PlainSettler = PlainFileSettler;
    type Watcher = Tail;

    fn configure(&self, config: &mut Config) {
        config.storage.data_dir.clone_from(&self.path);
    }

    async fn open(&self) -> anyhow::Result<Embedded> {
        let mut config = Config::load(None, Vec::new(), Overrides::default())?;
        self.configure(&mut config);
        open::embedded(&config).await
    }

    async fn watch(&self, engine: &Embedded, topic: &'static str) -> anyhow::Result<Tail> {
        Tail::start(engine, topic).await
    }

    async fn plain(&self) -> anyhow::Result<PlainFile> {
        Ok(PlainFile::new(PlainJournal::create(&self.path.join("plain"))?))
    }

    async fn plain_settler(
        &self,
        engine: &Embedded,
        settled: Settled,
    ) -> anyhow::Result<PlainFileSettler> {
        PlainFileSettler::of(&self.path, engine, settled).await
    }

    async fn drop_all(self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            eprintln!("bench: left {}: {error}", self.path.display());
        }
    }

    async fn leave(self, _amiss: bool, _journals: &Path) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ground_is_never_one_that_was_there() {
        let parent = tempfile::tempdir().unwrap();
        let directory = Directory::new(parent.path());
        let [first, second] = [directory.make().await.unwrap(), directory.make().await.unwrap()];
        assert_ne!(first.path, second.path);
        assert!(Directory::new(parent.path()).make().await.is_err());
        first.drop_all().await;
        assert!(Directory::new(parent.path()).make().await.is_ok());
    }
}
