//! What a table keeps on disk: its secret, and the rounds that it has not finished.

use super::proof::Seed;
use super::{Drawn, Table, TablePlan};
use crate::files;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The secret, 32 bytes.
const SECRET: &str = "table.secret";
/// Numbers of rounds.
const ROUNDS: &str = "table.json";
/// Proofs of all draws, one JSON object a line; for everybody.
const PROOFS: &str = "proofs.jsonl";

/// Why a table cannot be kept.
#[derive(Debug, Error)]
pub enum KeptError {
    /// The file system says no.
    #[error("{0} cannot be read or written")]
    Io(PathBuf, #[source] io::Error),
    /// Not what the table wrote.
    #[error(
        "{0} is not what a table keeps: put it back from a backup, or use another --state-dir to begin a new table"
    )]
    Broken(PathBuf),
}

/// The 32 bytes that all seeds follow from. Whoever knows them knows the seeds to come.
#[derive(Clone)]
pub(super) struct Secret(pub(super) [u8; 32]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// The seed of round `number`: SHA-256 of the secret and the number, both of fixed length.
    pub(super) fn seed(&self, number: u64) -> Seed {
        let hash = Sha256::new().chain_update(self.0).chain_update(number.to_be_bytes());
        Seed::of(&hash.finalize())
    }
}

/// Numbers of rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    /// The number of the next round.
    pub(super) next: u64,
    /// Rounds that were opened, or were about to be, and have no result of ours.
    pub(super) open: BTreeSet<u64>,
}

impl Kept {
    pub(super) fn take(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open.insert(number);
        number
    }
}

/// The table's directory.
#[derive(Clone, Debug)]
pub struct Keeper {
    directory: PathBuf,
}

impl Keeper {
    /// A table in `directory`, which is made if there is none; a new table gets a new secret.
    ///
    /// # Errors
    /// [`KeptError`].
    pub fn open(directory: &Path, plan: TablePlan) -> Result<(Self, Table), KeptError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| KeptError::Io(path, error)
        };
        std::fs::create_dir_all(directory).map_err(at(directory))?;
        let keeper = Self { directory: directory.to_owned() };
        let (secret, rounds) = (directory.join(SECRET), directory.join(ROUNDS));
        let known = files::read(&secret).map_err(at(&secret))?;
        let kept = files::read(&rounds).map_err(at(&rounds))?;
        let (secret, kept) = match (known, kept) {
            (Some(bytes), kept) => {
                let secret = bytes.try_into().map_err(|_| KeptError::Broken(secret))?;
                let kept = kept.map(|bytes| serde_json::from_slice(&bytes));
                let kept = kept.transpose().map_err(|_| KeptError::Broken(rounds))?;
                (secret, kept.unwrap_or_default())
            }
            // Under another secret the rounds that are open would never be drawn.
            (None, Some(_)) => return Err(KeptError::Broken(secret)),
            (None, None) => {
                let mut fresh = [0; 32];
                let random =
                    File::open("/dev/urandom").and_then(|mut it| it.read_exact(&mut fresh));
                random.map_err(at(Path::new("/dev/urandom")))?;
                files::replace(&secret, &fresh).map_err(at(&secret))?;
                (fresh, Kept::default())
            }
        };
        Ok((keeper, Table { plan, secret: Secret(secret), kept, opened_at: None }))
    }

    /// Where the proofs are.
    pub fn proofs(&self) -> PathBuf {
        self.directory.join(PROOFS)
    }

    /// Makes the numbers of the table's rounds durable.
    ///
    /// # Errors
    /// [`KeptError`].
    pub(super) fn save(&self, table: &Table) -> Result<(), KeptError> {
        let path = self.directory.join(ROUNDS);
        let text = serde_json::to_vec(&table.kept).unwrap_or_default();
        files::replace(&path, &text).map_err(|error| KeptError::Io(path, error))
    }

    /// Adds a proof to the list. After a crash the newest may stand there twice, with the same words.
    ///
    /// # Errors
    /// [`KeptError`].
    pub(super) fn publish(&self, drawn: &Drawn) -> Result<(), KeptError> {
        let path = self.proofs();
        let line = serde_json::to_string(drawn).unwrap_or_default();
        files::add_line(&path, &line).map_err(|error| KeptError::Io(path, error))
    }
}
