//! How the rest of the process talks to a driven machine, and a machine to the outside.

use crate::Machine;
use std::future::Future;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait for a machine before [`Handle::ask`] waits itself.
pub const REQUESTS_MAX: usize = 1_024;

/// Performs the calls of a machine.
pub trait Caller<M: Machine>: Send + Sync + 'static {
    /// Performs one call; resolves once, with the answer or with what stands for none.
    ///
    /// Must bound its own time: the machine waits for the answer. Dropped when the machine is.
    fn call(&self, call: M::Call) -> impl Future<Output = M::Answer> + Send;
}

/// The caller of machines that call nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCalls;

impl<M: Machine<Call = std::convert::Infallible>> Caller<M> for NoCalls {
    async fn call(&self, call: M::Call) -> M::Answer {
        match call {}
    }
}

/// A request on its way to a machine.
#[derive(Debug)]
pub struct Ask<M: Machine> {
    /// What is asked.
    pub request: M::Request,
    /// Where the machine's reply goes.
    pub reply: oneshot::Sender<M::Reply>,
}

/// The machine is gone, or went before it replied. What was asked may or may not have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the machine is gone")]
pub struct Gone;

/// Asks a driven machine. Cheap to clone.
#[derive(Debug)]
pub struct Handle<M: Machine> {
    requests: mpsc::Sender<Ask<M>>,
}

impl<M: Machine> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self { requests: self.requests.clone() }
    }
}

impl<M: Machine> Handle<M> {
    /// A handle and the receiving end to be given to the driver.
    pub fn channel() -> (Self, mpsc::Receiver<Ask<M>>) {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        (Self { requests }, receiver)
    }

    /// Asks, and waits for the machine's reply.
    ///
    /// # Errors
    /// [`Gone`] if the machine went before it replied.
    pub async fn ask(&self, request: M::Request) -> Result<M::Reply, Gone> {
        let (reply, answered) = oneshot::channel();
        self.requests.send(Ask { request, reply }).await.map_err(|_| Gone)?;
        answered.await.map_err(|_| Gone)
    }
}
