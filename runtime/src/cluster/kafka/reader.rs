//! Reading a partition from an offset.

use super::Kafka;
use super::buffer::Taken;
use super::fetch::Place;
use crate::{EngineError, Reader, Record, Source};
use std::sync::Arc;

/// A position in one partition of Kafka.
pub struct KafkaReader {
    kafka: Arc<Kafka>,
    source: Source,
    next: u64,
    /// The highest end of the partition that was seen.
    end: u64,
    place: Option<Place>,
}

impl KafkaReader {
    pub(super) fn new(kafka: Arc<Kafka>, source: Source, from: u64) -> Self {
        Self { kafka, source, next: from, end: 0, place: None }
    }

    /// Begins, or begins again after the consumer has ended or this reader was too slow for its feed.
    async fn begin(&mut self) -> Result<(), EngineError> {
        let (low, end) = self.kafka.range(self.source).await?;
        if self.next < low || end < self.next {
            return Err(EngineError::OutOfRange { source_: self.source, offset: self.next });
        }
        self.end = self.end.max(end);
        self.place = Some(self.kafka.fetchers.read(self.source, self.next)?);
        Ok(())
    }
}

impl Reader for KafkaReader {
    async fn next(&mut self, records_max: usize) -> Result<(Vec<Record>, u64), EngineError> {
        loop {
            let Some(place) = &self.place else {
                self.begin().await?;
                continue;
            };
            let (taken, room) = place.buffer.take(records_max);
            if room {
                place.resume();
            }
            match taken {
                Taken::Records(records) => {
                    self.next = records.last().map_or(self.next, |last| last.offset + 1);
                    self.end = self.end.max(self.next);
                    return Ok((records, self.end));
                }
                Taken::Empty => place.buffer.changed().await,
                Taken::Closed => {
                    self.kafka.not_closed()?;
                    self.place = None;
                }
            }
        }
    }
}
