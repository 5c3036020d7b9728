//! Serving wallets: one partner on one port, several partners in one process.

use crate::args::{MisbehaveArgs, WalletArgs};
use crate::connection;
use crate::faults::Faults;
use crate::http::{App, router};
use crate::journal::JournalError;
use crate::misbehave::Mischief;
use crate::misbehaviours::ScriptError;
use crate::signed::{KeysError, Signing};
use crate::wallet::{Clock, Orders, Wallet, WalletOptions};
use serde::Serialize;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// Why wallets cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// A port cannot be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The ports run out above the first one.
    #[error("there are not enough ports above {first} for {partners} partners")]
    Ports {
        /// The first address.
        first: SocketAddr,
        /// How many are needed.
        partners: usize,
    },
    /// The directory of the journals cannot be made.
    #[error("cannot make the directory {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There are no keys.
    #[error("no message could be verified, no answer signed")]
    Keys(#[from] KeysError),
    /// A script cannot be read.
    #[error("the script cannot be read from {path}")]
    ScriptFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A script says what cannot be done.
    #[error("the script {path}")]
    Script {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ScriptError,
    },
    /// A journal cannot be opened.
    #[error("a journal cannot be opened")]
    Journal(#[from] JournalError),
    /// The addresses cannot be told.
    #[error("cannot write to standard output")]
    Announce(#[source] io::Error),
    /// A task panicked.
    #[error("a wallet broke down")]
    Task(#[from] JoinError),
}

/// Opens a wallet and serves it until `shutdown`, then lets the requests in flight end.
///
/// # Errors
/// [`ServeError::Journal`], before anything is answered.
pub async fn serve(
    options: WalletOptions,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let wallet = open(&options).await?;
    serve_wallet(wallet, &options, listener, shutdown).await
}

/// Serves a wallet that is open until `shutdown`, then lets the requests in flight end. Of the options,
/// keys, faults, seed, clock, orders, `requests_max` and what it takes count.
///
/// # Errors
/// [`ServeError::Task`] if the journal's end panicked.
pub async fn serve_wallet(
    wallet: Wallet,
    options: &WalletOptions,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let faults = Faults::new(options.faults, options.seed);
    let wallet = Arc::new(wallet);
    let orders = options.orders.clone();
    let mischief = Mischief::new(Arc::clone(&wallet), orders, faults, shutdown.clone());
    let mischief = Arc::new(mischief);
    let app = App {
        wallet: Arc::clone(&wallet),
        mischief: Arc::clone(&mischief),
        permits: Arc::new(Semaphore::new(options.requests_max)),
        state_calls: Arc::default(),
        takes: options.takes,
        came: Arc::default(),
        signing: Signing {
            partner: options.ledger.partner.clone(),
            keys: Arc::new(options.keys.clone()),
            clock: Clock::clone(&options.clock),
        },
    };
    connection::serve(listener, router(app), shutdown).await;
    mischief.end().await;
    drop(mischief);
    // The last one to let go of the wallet waits for the journal's writer.
    tokio::task::spawn_blocking(move || drop(wallet)).await?;
    Ok(())
}

/// Serves the partners of `args`, each on its own port, until `shutdown`.
///
/// Prints one JSON line per partner once all of them can be asked:
/// `{"partner":"p01","url":"http://127.0.0.1:9100"}`.
///
/// # Errors
/// [`ServeError`]: a port or journal that cannot be had, before any line is printed; afterwards none but
/// a panic, which ends the other wallets too.
pub async fn run(args: WalletArgs, shutdown: CancellationToken) -> Result<(), ServeError> {
    run_with(args, Orders::default(), shutdown).await
}

/// As [`run`], with wallets that misbehave as they are told.
///
/// # Errors
/// [`ServeError`], also for a script that cannot be read.
pub async fn misbehave(args: MisbehaveArgs, shutdown: CancellationToken) -> Result<(), ServeError> {
    let orders = args.orders()?;
    run_with(args.wallets(), orders, shutdown).await
}

async fn run_with(
    args: WalletArgs,
    orders: Orders,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    if let Some(path) = args.directory() {
        let made = tokio::fs::create_dir_all(path).await;
        made.map_err(|source| ServeError::Directory { path: path.to_owned(), source })?;
    }
    let mut opened = Vec::new();
    let keys = args.keyring()?;
    let partners = args.wallets(&keys, &orders, &crate::wallet::system_clock())?;
    for (index, options) in partners.iter().enumerate() {
        let address = nth_address(args.listen, index)
            .ok_or(ServeError::Ports { first: args.listen, partners: partners.len() })?;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| ServeError::Listen { address, source })?;
        opened.push((open(options).await?, options.clone(), listener));
    }
    announce(opened.iter().map(|(_, options, listener)| (options, listener)))
        .map_err(ServeError::Announce)?;
    let stop = shutdown.child_token();
    let mut serving = JoinSet::new();
    for (wallet, options, listener) in opened {
        let stop = stop.clone();
        serving.spawn(async move { serve_wallet(wallet, &options, listener, stop).await });
    }
    let mut ended = Ok(());
    while let Some(result) = serving.join_next().await {
        let result = result.map_err(ServeError::from).and_then(|result| result);
        if result.is_err() && ended.is_ok() {
            stop.cancel();
            ended = result;
        }
    }
    ended
}

/// The address of the wallet `index`; with port 0 every wallet gets any free port.
fn nth_address(first: SocketAddr, index: usize) -> Option<SocketAddr> {
    let mut address = first;
    if first.port() != 0 {
        address.set_port(first.port().checked_add(u16::try_from(index).ok()?)?);
    }
    Some(address)
}

#[derive(Serialize)]
struct Line<'a> {
    partner: &'a str,
    url: String,
}

fn announce<'a>(
    wallets: impl Iterator<Item = (&'a WalletOptions, &'a TcpListener)>,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (options, listener) in wallets {
        let url = format!("http://{}", listener.local_addr()?);
        let line = Line { partner: options.ledger.partner.as_str(), url };
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

async fn open(options: &WalletOptions) -> Result<Wallet, ServeError> {
    let WalletOptions { ledger, keep, clock, .. } = options.clone();
    let opening = tokio::task::spawn_blocking(move || Wallet::open(ledger, &keep, clock));
    Ok(opening.await??)
}
