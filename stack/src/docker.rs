//! The Docker engine of this machine, asked over its socket: enough to know whether there is one, and
//! to remove what was left running, without a client.

use crate::StackError;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Whether an engine answers.
///
/// # Errors
/// A sentence that says why not.
pub fn docker_answers() -> Result<(), String> {
    match call("GET", "/_ping") {
        Ok(200) => Ok(()),
        Ok(status) => Err(format!("the Docker engine answers {status}")),
        Err(error) => Err(format!("no Docker engine answers at {}: {error}", socket())),
    }
}

/// Ends and removes a container; one that is not there is no error.
fn remove(id: &str) -> std::io::Result<()> {
    match call("DELETE", &format!("/containers/{id}?force=true&v=true"))? {
        200..300 | 404 => Ok(()),
        status => Err(std::io::Error::other(format!("the Docker engine answers {status}"))),
    }
}

/// Removes the containers that the files of `dir` are named by. Returns how many there were.
pub(crate) fn remove_named(dir: &Path) -> Result<usize, StackError> {
    let mut removed = 0;
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        remove(&entry.file_name().to_string_lossy())
            .and_then(|()| fs::remove_file(entry.path()))
            .map_err(StackError::io("remove the container named by", entry.path()))?;
        removed += 1;
    }
    Ok(removed)
}

/// The status of the engine's answer.
fn call(method: &str, path: &str) -> std::io::Result<u16> {
    let mut stream = UnixStream::connect(socket())?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    let status = answer.get(9..).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

fn socket() -> String {
    let host = crate::environment("DOCKER_HOST").unwrap_or_default();
    host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock").to_owned()
}
