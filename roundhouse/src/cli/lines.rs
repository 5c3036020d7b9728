//! Output that somebody may stop reading, as `head` does.

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
