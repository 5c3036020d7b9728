//! Output that somebody may stop reading, as `head` does.

use anyhow::Context;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, ErrorKind};

/// A closed output is the reader's wish to hear no more, and no error.
///
/// # Errors
/// Any other.
pub(super) fn ends_well(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Prints one JSON document.
///
/// # Errors
/// If it is none.
pub(super) fn json(document: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(document).context("the answer is not JSON")?);
    Ok(())
}

/// Prints a report, as one JSON document or for people.
///
/// # Errors
/// As [`json`].
pub(super) fn report(report: &(impl Serialize + Display), as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return json(report);
    }
    print!("{report}");
    Ok(())
}
