//! SIGHUP, which a process that serves takes for "read your configuration again".

use std::future::pending;
use std::io::{IsTerminal, stdin};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a SIGHUP says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// Somebody asked for the configuration to be read again.
    ReadAgain,
    /// The terminal that the process was started at is gone.
    TerminalGone,
}

/// The SIGHUPs of this process. From its making on none ends the process, also once it is dropped.
#[derive(Debug)]
pub struct Hangups {
    signals: Signal,
    had_terminal: bool,
}

impl Hangups {
    /// Takes them from now on.
    ///
    /// # Errors
    /// If the signal handler cannot be installed.
    pub fn watch() -> std::io::Result<Self> {
        let signals = signal(SignalKind::hangup())?;
        Ok(Self { signals, had_terminal: stdin().is_terminal() })
    }

    /// Waits for the next one. Those since the last one was told count as one.
    pub async fn next(&mut self) -> Hangup {
        if self.signals.recv().await.is_none() {
            // The runtime ends.
            pending::<()>().await;
        }
        // A terminal that hung up is none any more before it is told to its processes.
        if self.had_terminal && !stdin().is_terminal() {
            return Hangup::TerminalGone;
        }
        Hangup::ReadAgain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hang_up() {
        let process = std::process::id().to_string();
        let kill = std::process::Command::new("kill").args(["-HUP", &process]).status();
        assert!(kill.unwrap().success());
    }

    #[tokio::test]
    async fn none_ends_the_process_and_each_is_told() {
        let mut hangups = Hangups::watch().unwrap();
        for _ in 0..2 {
            hang_up();
            assert_eq!(hangups.next().await, Hangup::ReadAgain);
        }
        drop(hangups);
        hang_up();
    }
}
