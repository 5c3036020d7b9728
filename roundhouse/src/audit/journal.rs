//! Journals of reference wallets: JSON lines, one file per partner.

use super::books::Movement;
use anyhow::{Context, bail};
use partner_kit::movement::Entry;
use schemas::contract::RowStatus;
use schemas::settlements::Target;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// The file name extension of a journal.
const EXTENSION: &str = "jsonl";

/// The journals in `paths`: files, or directories with journals in them.
///
/// # Errors
/// If a path cannot be read or is not a journal; a line that was cut off by a crash at the very end is
/// no error, because its movement was never acknowledged.
pub fn read_all(paths: &[PathBuf]) -> anyhow::Result<BTreeMap<String, Vec<Movement>>> {
    let mut journals = BTreeMap::new();
    for file in files(paths)? {
        let (partner, movements) =
            read(&file).with_context(|| format!("{} is not a journal", file.display()))?;
        let Some(partner) = partner else { continue };
        if journals.insert(partner.clone(), movements).is_some() {
            bail!("there are two journals of partner {partner}; give one");
        }
    }
    Ok(journals)
}

fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries =
            path.read_dir().with_context(|| format!("{} cannot be listed", path.display()))?;
        for entry in entries {
            let file =
                entry.with_context(|| format!("{} cannot be listed", path.display()))?.path();
            if file.extension().is_some_and(|extension| extension == EXTENSION) {
                files.push(file);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The partner, if the journal has begun, and its movements.
fn read(path: &Path) -> anyhow::Result<(Option<String>, Vec<Movement>)> {
    let file = File::open(path).context("it cannot be opened")?;
    let mut lines = BufReader::new(file).split(b'\n').enumerate().peekable();
    let (mut partner, mut movements) = (None, Vec::new());
    while let Some((index, line)) = lines.next() {
        let line = line.context("it cannot be read")?;
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice(&line) {
            Ok(Entry::Epoch(epoch)) => partner = Some(epoch.partner),
            Ok(Entry::Movement(movement)) => {
                let partner = partner.as_deref().context("it does not begin with its partner")?;
                movements.push(of(partner, &movement));
            }
            Ok(Entry::Deposit(_) | Entry::Block(_)) => {}
            Err(_) if lines.peek().is_none() => {}
            Err(error) => {
                return Err(error).with_context(|| format!("line {} is malformed", index + 1));
            }
        }
    }
    Ok((partner, movements))
}

fn of(partner: &str, movement: &partner_kit::movement::Movement) -> Movement {
    let target = match movement.status {
        RowStatus::Held => Some(Target::Held),
        RowStatus::Settled => Some(Target::Settled(movement.payout)),
        RowStatus::Voided => Some(Target::Voided),
        RowStatus::Declined | RowStatus::Absent | RowStatus::Other => None,
    };
    Movement {
        partner: partner.to_owned(),
        player: movement.player.clone(),
        bet: movement.bet_id.clone(),
        revision: movement.revision,
        target,
        stake: movement.stake,
        currency: (movement.currency.to_string(), i64::from(movement.exponent)),
        moved: movement.moved,
        shortfall: movement.shortfall,
    }
}
