//! Output that somebody may stop reading, as `head` does.

use anyhow::Context;
use runtime::telemetry::plain_json;
use serde::Serialize;
use std::fmt::{self, Display};
use std::io::{self, ErrorKind, Write};

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

/// Writes to somebody who may have stopped reading.
fn say(out: &mut impl Write, text: fmt::Arguments<'_>) -> io::Result<()> {
    ends_well(out.write_fmt(text).and_then(|()| out.flush()))
}

/// Prints one JSON document.
///
/// # Errors
/// If it is none, or the output takes nothing.
pub(super) fn json(document: &impl Serialize) -> anyhow::Result<()> {
    let document = serde_json::to_string(document).context("the answer is not JSON")?;
    Ok(say(&mut io::stdout(), format_args!("{}\n", plain_json(&document)))?)
}

/// Prints a report, as one JSON document or for people.
///
/// # Errors
/// As [`json`].
pub(super) fn report(report: &(impl Serialize + Display), as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return json(report);
    }
    Ok(say(&mut io::stdout(), format_args!("{report}"))?)
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

    /// An output that fails.
    struct Fails(ErrorKind);

    impl Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_reader_that_stops_is_no_error_and_a_full_disk_is() {
        assert!(say(&mut Fails(ErrorKind::BrokenPipe), format_args!("a\nb\n")).is_ok());
        assert!(say(&mut Fails(ErrorKind::StorageFull), format_args!("a")).is_err());
        let mut out = Vec::new();
        say(&mut out, format_args!("{}\n", 1)).unwrap();
        assert_eq!(out, b"1\n");
    }

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
