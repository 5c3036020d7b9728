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

/// Minor units, as digits with or without a sign, in words of the major one.
pub(super) fn major(units: &str, exponent: u8) -> String {
    let digits = usize::from(exponent);
    if digits == 0 {
        return units.to_owned();
    }
    let (sign, units) = units.strip_prefix('-').map_or(("", units), |units| ("-", units));
    let padded = format!("{units:0>width$}", width = digits + 1);
    let (whole, rest) = padded.split_at(padded.len() - digits);
    format!("{sign}{whole}.{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_units_in_words_of_the_major_one() {
        for (units, exponent, words) in [
            ("0", 2, "0.00"),
            ("5", 2, "0.05"),
            ("-5", 2, "-0.05"),
            ("-12345", 2, "-123.45"),
            ("12345", 0, "12345"),
            ("1", 8, "0.00000001"),
        ] {
            assert_eq!(major(units, exponent), words);
        }
    }
}
