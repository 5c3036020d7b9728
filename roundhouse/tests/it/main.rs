//! Whole processes: a server, wallets, players over real HTTP, and the audit at the end.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

/// Plays each scenario on every engine.
macro_rules! on_every_engine {
    ($($(#[$about:meta])* $scenario:ident),+ $(,)?) => {$(
        $(#[$about])*
        mod $scenario {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn embedded() {
                super::$scenario::<runtime::Embedded>().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn cluster() {
                super::$scenario::<runtime::cluster::Cluster>().await;
            }
        }
    )+};
}

mod acts;
mod admin;
mod attempts;
mod bad_input;
mod bench;
mod cases;
mod clients;
mod clock;
mod closing;
mod commands;
mod consumer;
mod corrections;
mod deadline;
mod demo;
mod documents;
mod feeds;
mod foreign;
mod frozen;
mod histories;
mod house;
mod injection;
mod kill;
mod metrics;
mod misbehave;
mod mutilated;
mod narrow;
mod operators;
mod parked;
mod partner_api;
mod partners;
mod pausing;
mod proposals;
mod readiness;
mod reconciling;
mod restored;
mod roles;
mod second;
mod secrets;
mod signatures;
mod simple;
mod singly;
mod smoke;
mod tls;
mod topics;
mod venv;
mod wallet;
mod watched;
