//! `--with-parent`: a child that a demo or a test starts ends with it, however it ends.

use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Parent {
    /// Stop when standard input ends
    #[arg(long, hide = true)]
    with_parent: bool,
}

impl Parent {
    /// Cancels `shutdown` when standard input ends, if that was asked for.
    pub(super) fn watch(&self, shutdown: &CancellationToken) {
        if !self.with_parent {
            return;
        }
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            let mut ignored = [0; 64];
            let mut input = tokio::io::stdin();
            while input.read(&mut ignored).await.is_ok_and(|count| 0 < count) {}
            shutdown.cancel();
        });
    }
}
