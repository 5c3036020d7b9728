//! Servers for tests: Apache Kafka and a CQL store.
//!
//! [`servers`] finds a pair that all tests share, in this order: the addresses in
//! `ROUNDHOUSE_TEST_KAFKA` and `ROUNDHOUSE_TEST_STORE`; containers, if a Docker engine answers and this
//! crate is built with feature `containers`; plain processes made of jars from Maven Central.
//! `ROUNDHOUSE_TEST_SERVERS` set to `env`, `docker` or `native` forces one way. Which one was taken is
//! printed once by each test binary. Where none works, a test fails with a sentence that says what to
//! install; none is skipped.
//!
//! Shared servers stay up for the next test binary, with their data: a test uses topics and keyspaces
//! with names of its own. `cargo xtask stack down` stops them.
//!
//! [`native_kafka`] and [`native_cassandra`], or several of each, start servers for one test alone, to be killed,
//! stopped and started again.
//!
//! A tool for development: no service depends on it. Everything here blocks. Linux only: whether a
//! server runs is read from `/proc`.

#[cfg(feature = "containers")]
mod containers;
mod docker;
mod error;
mod jars;
mod launch;
mod probe;
mod process;
mod search;
mod server;
mod shared;

pub use docker::docker_answers;
pub use error::StackError;
pub use jars::Product;
pub use probe::{CqlServer, cql, kafka_brokers};
pub use search::Way;
pub use server::NativeServer;
pub use shared::{ServerStatus, Servers, down, is_up, status, up};

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The servers that all tests of this binary share; found or started by the first call.
///
/// # Panics
/// If there are none, with a sentence that says what to do.
pub fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Result<Servers, String>> = OnceLock::new();
    let found = SERVERS.get_or_init(|| {
        let found = shared::find().map_err(|error| error.to_string());
        if let Ok(servers) = &found {
            say(&servers.to_string());
        }
        found
    });
    match found {
        Ok(servers) => servers,
        Err(error) => panic!("no servers for the tests: {error}"),
    }
}

/// A broker of a test's own; it answers when this returns. What is in `dir` from an earlier start is
/// used again.
///
/// # Errors
/// If it cannot be had or does not answer; the sentence says what to do.
pub fn native_kafka(dir: &Path) -> Result<NativeServer, StackError> {
    native_kafka_cluster(dir, 1).and_then(only)
}

/// So many brokers of a test's own, each a controller too, as [`native_kafka`].
///
/// # Errors
/// If one cannot be had or does not answer; the sentence says what to do.
pub fn native_kafka_cluster(dir: &Path, brokers: u16) -> Result<Vec<NativeServer>, StackError> {
    let mut servers = private(dir, Product::Kafka, brokers)?;
    for server in &mut servers {
        // A broker answers once most of them do.
        server.spawn()?;
    }
    servers.iter_mut().try_for_each(NativeServer::wait_ready)?;
    Ok(servers)
}

/// A store of a test's own; it answers when this returns. What is in `dir` from an earlier start is
/// used again.
///
/// # Errors
/// If it cannot be had or does not answer; the sentence says what to do.
pub fn native_cassandra(dir: &Path) -> Result<NativeServer, StackError> {
    native_cassandra_cluster(dir, 1).and_then(only)
}

/// So many nodes of a store of a test's own, as [`native_cassandra`]. Their addresses differ in the host.
///
/// # Errors
/// If one cannot be had or does not answer; the sentence says what to do.
pub fn native_cassandra_cluster(dir: &Path, nodes: u16) -> Result<Vec<NativeServer>, StackError> {
    let mut servers = private(dir, Product::Cassandra, nodes)?;
    // One after the other: of two that come at once neither knows where the other stands in the ring.
    servers.iter_mut().try_for_each(NativeServer::start)?;
    Ok(servers)
}

fn private(dir: &Path, product: Product, members: u16) -> Result<Vec<NativeServer>, StackError> {
    std::fs::create_dir_all(dir).map_err(StackError::io("make", dir))?;
    let dir = dir.canonicalize().map_err(StackError::io("find", dir))?.join(product.word());
    let _one_at_a_time = shared::lock(&home())?;
    let lib = jars::lib(&home(), product)?;
    let launches =
        launch::Cluster::load_or_choose(&dir, product, Some(members))?.launches(&dir, &lib)?;
    Ok(launches.into_iter().map(NativeServer::new).collect())
}

fn only(mut servers: Vec<NativeServer>) -> Result<NativeServer, StackError> {
    let (found, path) = (servers.len(), home());
    servers.pop().ok_or(StackError::OtherSize { path, found })
}

/// Where jars, shared servers and their data are kept.
pub(crate) fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target").join("stack")
}

#[expect(clippy::disallowed_methods, reason = "this is where a test's configuration enters")]
pub(crate) fn environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}

/// To standard error, around the capture of tests that pass.
pub(crate) fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").ok();
}
