//! Bodies that come in pieces, and may not end well.

use super::EndError;
use super::stream::Marks;
use bytes::Bytes;
use hyper::body::{Body, Frame};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// How a body ends.
#[derive(Debug)]
pub(super) enum End {
    /// As it should.
    Whole,
    /// Not at all.
    Never,
    /// In a reset of the connection.
    Reset(Arc<Marks>),
}

/// A body in pieces, with a pause behind each.
#[derive(Debug)]
pub(super) struct Pieces {
    left: VecDeque<Bytes>,
    pause: Duration,
    pausing: Option<Pin<Box<Sleep>>>,
    end: End,
}

impl Pieces {
    pub(super) fn new(pieces: VecDeque<Bytes>, pause: Duration, end: End) -> Self {
        Self { left: pieces, pause, pausing: None, end }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = EndError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EndError>>> {
        if let Some(pausing) = &mut self.pausing {
            if pausing.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.pausing = None;
        }
        if let Some(piece) = self.left.pop_front() {
            if !self.pause.is_zero() {
                self.pausing = Some(Box::pin(sleep(self.pause)));
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match &self.end {
            End::Whole => Poll::Ready(None),
            // Nobody wakes it: the caller gives up.
            End::Never => Poll::Pending,
            End::Reset(marks) => {
                marks.reset();
                Poll::Ready(Some(Err(EndError)))
            }
        }
    }
}
