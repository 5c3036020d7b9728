//! What a process waits for before work may be sent to it, as `/readyz` names it.
//!
//! It has read what was said about rounds before it began, the line and bet placing each for itself, and every
//! membership carries its share: it has taken part in a sharing out of its group, and a machine works on each
//! partition that it got. So a bet that is sent to a ready process finds its round and its settler, there or
//! in another process of the same installation. A member for which there is no partition is ready: it waits
//! to take over.

use super::loops::Asks;
use super::{Role, simple};
use ingest::http::Check;
use ingest::line::{Ask, Line, NotTaken, Told};
use ingest::placing::{self, Placing};
use runtime::{Handle, Membership};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the line is asked whether it has read the log.
const LOOK_PERIOD: Duration = Duration::from_millis(10);

/// Everything that is looked at.
pub(super) struct Ready {
    stopping: CancellationToken,
    /// The line and bet placing have read what was said before they began.
    read: Arc<AtomicBool>,
    memberships: Vec<(Role, Membership)>,
    /// bet-maker's list of events is no older than it may be.
    fresh: Option<simple::Freshness>,
}

impl Ready {
    /// Begins to look.
    pub(super) fn watch(
        asks: &Asks,
        memberships: &[(Role, Membership)],
        stopping: &CancellationToken,
    ) -> Self {
        let read = Arc::new(AtomicBool::new(false));
        let asked = look(asks.line.clone(), asks.placing.clone());
        let (told, stopped) = (Arc::clone(&read), stopping.clone());
        tokio::spawn(async move {
            if stopped.run_until_cancelled(asked).await.is_some() {
                told.store(true, Ordering::Relaxed);
            }
        });
        let fresh = asks.book.as_ref().map(|book| simple::Freshness::watch(book.clone(), stopping));
        Self { stopping: stopping.clone(), read, memberships: memberships.to_vec(), fresh }
    }

    /// Each thing with what is wrong with it.
    pub(super) fn checks(&self) -> Vec<Check> {
        let stops = self.stopping.is_cancelled().then(|| "the process is stopping".to_owned());
        let reads =
            (!self.read.load(Ordering::Relaxed)).then(|| "the log is still being read".to_owned());
        let mut checks =
            vec![Check { name: "process", wrong: stops }, Check { name: "log", wrong: reads }];
        let of_groups = self.memberships.iter();
        checks.extend(
            of_groups.map(|(role, member)| Check { name: role.name(), wrong: member.missing() }),
        );
        checks.extend(self.fresh.as_ref().map(simple::Freshness::check));
        checks
    }
}

/// Ends once the line and bet placing have read what was said before they began, where they are here.
async fn look(line: Option<Handle<Line>>, placing: Option<Handle<Placing>>) {
    if let Some(placing) = placing {
        while placing.ask(placing::Ask::Started).await != Ok(placing::Told::Started) {
            tokio::time::sleep(LOOK_PERIOD).await;
        }
    }
    let Some(line) = line else { return };
    loop {
        let asked = line.ask(Ask::List { after: None, limit: 1, open_only: true }).await;
        match asked {
            Ok(Told::NotTaken(NotTaken::Starting)) | Err(_) => {}
            Ok(_) => return,
        }
        tokio::time::sleep(LOOK_PERIOD).await;
    }
}
