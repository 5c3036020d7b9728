//! Processes that are not, or no longer, children of this one.

use crate::StackError;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a server may take to end by itself.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// The process with this mark on its command line. A dead one that nobody waited for does not count.
pub(crate) fn running(mark: &str) -> Option<u32> {
    let entries = fs::read_dir("/proc").ok()?;
    entries.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        line.split(|byte| *byte == 0).any(|word| word == mark.as_bytes()).then_some(pid)
    })
}

pub(crate) fn signal(pid: u32, signal: Signal) -> std::io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(std::io::ErrorKind::InvalidInput)?;
    Ok(kill_process(pid, signal)?)
}

/// Ends whatever has the mark, and waits until it is gone. False if there was nothing.
pub(crate) fn end(mark: &str, politely: bool) -> Result<bool, StackError> {
    let Some(pid) = running(mark) else { return Ok(false) };
    let started = Instant::now();
    let mut polite = politely;
    // A stopped process does not hear SIGTERM.
    let mut next = if polite { vec![Signal::TERM, Signal::CONT] } else { vec![Signal::KILL] };
    while running(mark) == Some(pid) {
        for each in next.drain(..) {
            match signal(pid, each) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    // ESRCH is "gone already", which is what is wanted.
                    if error.raw_os_error() != Some(rustix::io::Errno::SRCH.raw_os_error()) {
                        let path = Path::new("/proc").join(pid.to_string());
                        return Err(StackError::Io { what: "end", path, source: error });
                    }
                }
                Ok(()) | Err(_) => {}
            }
        }
        if polite && STOP_LIMIT < started.elapsed() {
            polite = false;
            next = vec![Signal::KILL];
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(true)
}
