//! Stopping on a signal.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code after a second signal: what a shell gives for SIGINT.
const EXIT_INTERRUPTED: i32 = 130;

/// A token that SIGINT or SIGTERM cancels. A second signal ends the process at once, with 130.
///
/// # Errors
/// If the signal handlers cannot be installed.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        either(&mut interrupts, &mut terminations).await;
        tracing::info!("stopping; a second signal stops at once");
        cancelled.cancel();
        either(&mut interrupts, &mut terminations).await;
        std::process::exit(EXIT_INTERRUPTED);
    });
    Ok(token)
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_cancels() {
        let token = on_signal().unwrap();
        assert!(!token.is_cancelled());
        let process = std::process::id().to_string();
        let kill = std::process::Command::new("kill").args(["-TERM", &process]).status();
        assert!(kill.unwrap().success());
        token.cancelled().await;
    }
}
