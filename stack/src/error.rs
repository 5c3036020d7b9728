use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Why there is no server for the tests. Each sentence says what to do.
#[derive(Debug, Error)]
pub enum StackError {
    /// `ROUNDHOUSE_TEST_SERVERS` has a value of its own invention.
    #[error("ROUNDHOUSE_TEST_SERVERS is `{0}`: it must be env, docker or native")]
    UnknownWay(String),

    /// The environment names one server, or none where it was asked for both.
    #[error("set both ROUNDHOUSE_TEST_KAFKA and ROUNDHOUSE_TEST_STORE to host:port, or neither")]
    OneAddress,

    /// The environment names something that is no address.
    #[error("{variable} is `{text}`: it must be host:port")]
    Address {
        /// The variable's name.
        variable: &'static str,
        /// What it holds.
        text: String,
    },

    /// Containers were asked for and cannot be used.
    #[error("ROUNDHOUSE_TEST_SERVERS=docker, but {0}")]
    NoDocker(String),

    /// An image was not found, or its container did not start.
    #[error("container of {image} did not start: {reason}")]
    Container {
        /// Name and tag.
        image: String,
        /// The engine's words.
        reason: String,
    },

    /// Java or Maven is not there and may not be installed from here.
    #[error(
        "{what} is missing: install it (Debian and Ubuntu: apt-get install {package}), \
        or name running servers in ROUNDHOUSE_TEST_KAFKA and ROUNDHOUSE_TEST_STORE"
    )]
    ToolMissing {
        /// In words.
        what: &'static str,
        /// Of Debian.
        package: &'static str,
    },

    /// A command that prepares the servers failed.
    #[error("{what} failed: {output}")]
    Tool {
        /// In words, with the command.
        what: String,
        /// The end of what it printed.
        output: String,
    },

    /// A server's process ended, or it did not answer in time.
    #[error("{name} at {address} did not answer within {limit:?} ({reason}); end of {log}")]
    NotReady {
        /// The product.
        name: &'static str,
        /// Where it was expected.
        address: SocketAddr,
        /// How long it was waited for.
        limit: Duration,
        /// The last thing that was seen.
        reason: String,
        /// The server's log file and its last lines.
        log: String,
    },

    /// A directory holds a cluster of another size than the one asked for.
    #[error(
        "{path} holds a cluster of {found} servers: remove it (`cargo xtask stack down --purge` for \
        the shared ones) or take another directory", path = path.display()
    )]
    OtherSize {
        /// The directory.
        path: PathBuf,
        /// How many its state file names.
        found: usize,
    },

    /// A server named by the environment does not answer.
    #[error("{variable} names {address}, but nothing answers there: {reason}")]
    Silent {
        /// The variable's name.
        variable: &'static str,
        /// Its address.
        address: String,
        /// The last thing that was seen.
        reason: String,
    },

    /// No port from 20000 to 29999 could be had.
    #[error("no free port between 20000 and 29999: stop what listens there")]
    NoPort,

    /// A file or process could not be handled.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

impl StackError {
    pub(crate) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}
