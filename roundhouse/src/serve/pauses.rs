//! Follows `partners.v1`: bet placing knows what operators said before it takes a bet, and whatever they say
//! then.

use super::Opened;
use ingest::pauses::Pauses;
use ingest::placing::{Ask, Note, Placing};
use runtime::{Alarm, EngineError, Handle, Reader, Record, Source, Topic, telemetry};
use schemas::catalogue::PARTNERS;
use schemas::partners::Pause;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Records read at once.
const RECORDS_MAX: usize = 1_000;
/// Wait before a log that is away is read again.
const AGAIN_WAIT: Duration = Duration::from_millis(200);

/// Reads all there is, says so, and follows until `stop`.
///
/// # Errors
/// If the log is closed.
pub(super) async fn follow<E: Opened>(
    engine: E,
    pauses: Pauses,
    placing: Handle<Placing>,
    known: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), EngineError> {
    let topic = Topic(PARTNERS);
    let partitions = engine.partitions(topic);
    let (caught_up, mut waiting) = mpsc::channel(1);
    let mut tails = JoinSet::new();
    for partition in 0..partitions {
        let (engine, pauses, placing) = (engine.clone(), pauses.clone(), placing.clone());
        let follower = Follower { engine, pauses, placing };
        tails.spawn(follower.run(Source { topic, partition }, caught_up.clone()));
    }
    drop(caught_up);
    for _ in 0..partitions {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            _ = waiting.recv() => {}
        }
    }
    known.send_replace(true);
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        Some(ended) = tails.join_next() => ended.unwrap_or(Err(EngineError::Closed)),
    }
}

struct Follower<E> {
    engine: E,
    pauses: Pauses,
    placing: Handle<Placing>,
}

impl<E: Opened> Follower<E> {
    async fn run(self, source: Source, caught_up: mpsc::Sender<()>) -> Result<(), EngineError> {
        let (begin, end) = loop {
            match self.engine.range(source).await {
                Ok(range) => break range,
                Err(error) => again(error).await?,
            }
        };
        let (mut reader, mut next, mut caught_up) =
            (self.engine.reader(source, begin), begin, Some(caught_up));
        loop {
            if end <= next
                && let Some(caught_up) = caught_up.take()
                && caught_up.send(()).await.is_err()
            {
                // Nobody waits any more: the process stops.
                return Ok(());
            }
            let records = match reader.next(RECORDS_MAX).await {
                Ok((records, _)) => records,
                Err(error) => {
                    again(error).await?;
                    continue;
                }
            };
            for record in &records {
                self.take(source, record, caught_up.is_none()).await;
                next = record.offset + 1;
            }
        }
    }

    /// Notes what was said, and tells bet placing unless it is still to be built and begins with that.
    async fn take(&self, source: Source, record: &Record, tell: bool) {
        match Pause::decode(&record.value) {
            Ok(None) => {}
            Ok(Some(pause)) => {
                let partner = pause.partner.clone();
                let reason = pause.paused.then(|| pause.reason.clone());
                self.pauses.note(pause);
                if tell {
                    // Nobody there is one that is being built: it begins with what was noted.
                    let note = Note::BettingPaused { partner, reason };
                    drop(self.placing.ask(Ask::Note(note)).await);
                }
            }
            Err(error) => {
                let text = format!("{source} at {}: {error}", record.offset);
                telemetry::alarm(&Alarm { name: "unreadable_record", text });
            }
        }
    }
}

/// Waits, if the log may come back.
async fn again(error: EngineError) -> Result<(), EngineError> {
    match error {
        EngineError::Unavailable(_) => {
            sleep(AGAIN_WAIT).await;
            Ok(())
        }
        EngineError::Full(_)
        | EngineError::Fenced(_)
        | EngineError::OutOfRange { .. }
        | EngineError::Closed => Err(error),
    }
}
