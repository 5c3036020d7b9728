//! Child processes: wallets and servers of this same binary.

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Longest wait until a child says that it can be asked.
const START_WAIT_MAX: Duration = Duration::from_secs(120);
/// Longest wait for a child that was asked to stop.
const STOP_WAIT_MAX: Duration = Duration::from_secs(20);

/// Standard input of a child stays open as long as this process lives; one of this binary ends with it.
const WITH_PARENT: &str = "--with-parent";

/// Ports for children: below those of outgoing connections, which begin at 32768.
const PORTS: Range<u16> = 20_000..32_000;
/// Between the ports where two processes with neighbouring ids begin to look.
const PORTS_STRIDE: u32 = 131;
/// Ports that this process has looked at.
static PORTS_GIVEN: AtomicU32 = AtomicU32::new(0);

/// How wallets are to run. No `Debug`: it has their keys.
#[derive(Clone)]
pub struct WalletsPlan {
    /// The binary.
    pub exe: PathBuf,
    /// Their partners.
    pub partners: Vec<String>,
    /// Their keys: what [`wallet_keys`](super::keys::wallet_keys) says.
    pub keys: String,
    /// Where their journals are.
    pub journals: PathBuf,
    /// Further arguments of `roundhouse wallet`.
    pub arguments: Vec<String>,
}

/// A process with the wallets of some partners. Killed when dropped.
pub struct Wallets {
    plan: WalletsPlan,
    child: Child,
    /// Base URLs by partner.
    pub urls: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Announced {
    partner: String,
    url: String,
}

impl Wallets {
    /// Starts the wallets, on ports from `listen` on (port 0: any that can be had again after a restart),
    /// and waits until they can be asked.
    ///
    /// # Errors
    /// If the process cannot be started or ends at once.
    pub async fn start(plan: WalletsPlan, listen: &str) -> anyhow::Result<Self> {
        let mut listen: SocketAddr =
            listen.parse().with_context(|| format!("`{listen}` is no address"))?;
        if listen.port() == 0 {
            listen.set_port(free_ports(plan.partners.len())?);
        }
        let listen = &listen.to_string();
        let mut command = Command::new(&plan.exe);
        command.args(["wallet", "--listen", listen, "--journal-dir"]).arg(&plan.journals);
        for partner in &plan.partners {
            command.args(["--partner", partner]);
        }
        command.args(&plan.arguments).env("ROUNDHOUSE_WALLET_KEYS", &plan.keys);
        command.arg(WITH_PARENT);
        let (child, lines) = spawn(command)?;
        let urls = announced(lines, plan.partners.len()).await?;
        Ok(Self { plan, child, urls })
    }

    /// Kills the process (SIGKILL) and starts it again on the same ports.
    ///
    /// # Errors
    /// As [`Wallets::start`].
    pub async fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.restored(|_| Ok(()), &[]).await
    }

    /// Kills the process (SIGKILL), lets `restore` do what it likes with the directory of its journals, and starts it
    /// again on the same ports with these arguments besides.
    ///
    /// # Errors
    /// As [`Wallets::start`], and what `restore` says.
    pub async fn restored(
        &mut self,
        restore: impl FnOnce(&Path) -> anyhow::Result<()>,
        arguments: &[&str],
    ) -> anyhow::Result<()> {
        self.child.kill().await.context("the wallets cannot be killed")?;
        let first = self.plan.partners.first().and_then(|partner| self.urls.get(partner));
        let first =
            first.and_then(|url| url.strip_prefix("http://")).unwrap_or_default().to_owned();
        restore(&self.plan.journals)?;
        let mut plan = self.plan.clone();
        plan.arguments.extend(arguments.iter().copied().map(ToOwned::to_owned));
        *self = Self::start(plan, &first).await?;
        Ok(())
    }

    /// Asks the process to stop and waits for it.
    ///
    /// # Errors
    /// If it does not end well.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        terminate(&mut self.child).await
    }
}

/// A wallet that somebody else wrote, in a process of its own. Killed when dropped.
pub struct OtherWallet {
    child: Child,
    /// Its base URL.
    pub url: String,
}

impl OtherWallet {
    /// Starts `command`, words between blanks, as the wallet of `partner`, with these of the arguments that `roundhouse
    /// wallet` takes: `--partner`, `--listen`, `--keys`, `--journal-dir` and `arguments`. Waits until it says where it
    /// is, as that does.
    ///
    /// # Errors
    /// If it cannot be started, or ends at once.
    pub async fn start(
        command: &str,
        partner: &str,
        keys: &Path,
        journals: &Path,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let mut words = command.split_whitespace();
        let mut command = Command::new(words.next().context("a wallet's command is empty")?);
        command.args(words).args(["--partner", partner, "--listen", "127.0.0.1:0"]);
        command.arg("--keys").arg(keys).arg("--journal-dir").arg(journals).args(arguments);
        let (child, lines) = spawn(command)?;
        let mut urls = announced(lines, 1).await?;
        let url = urls.remove(partner).context("the wallet is another partner's")?;
        Ok(Self { child, url })
    }

    /// Asks the process to stop and waits for it.
    ///
    /// # Errors
    /// If it does not end well.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        terminate(&mut self.child).await
    }
}

/// A server in a process of its own. Killed when dropped.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    /// The base URL of the API.
    pub url: String,
    /// The base URL of the admin port.
    pub admin: String,
}

impl ServerProcess {
    /// Starts `roundhouse serve` with the configuration `config` and waits until it listens.
    ///
    /// # Errors
    /// If the process cannot be started or ends at once.
    pub async fn start(
        exe: &Path,
        config: &Path,
        data_dir: &Path,
        listen: &str,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(exe);
        command.args(["serve", "--announce", "--log", "warn", "--listen", listen]);
        command.arg("--config").arg(config).arg("--data-dir").arg(data_dir);
        Self::announced(command).await
    }

    /// Starts any serving command of `roundhouse`; `arguments` have `--announce` among them.
    ///
    /// # Errors
    /// If the process cannot be started or ends at once.
    pub async fn run(exe: &Path, arguments: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new(exe);
        command.args(arguments);
        Self::announced(command).await
    }

    /// Nobody but its parent asks for its admin port: any will do.
    async fn announced(mut command: Command) -> anyhow::Result<Self> {
        command.args(["--admin-listen", "127.0.0.1:0", WITH_PARENT]);
        let (child, mut lines) = spawn(command)?;
        let mut line = async || {
            let line = timeout(START_WAIT_MAX, lines.next_line()).await;
            let line = line.context("the server did not start in time")??;
            line.context("the server ended at once")
        };
        let (url, admin) = (line().await?, line().await?);
        Ok(Self { child, url, admin })
    }

    /// Sends a signal, such as STOP or CONT.
    ///
    /// # Errors
    /// If the process has been waited for.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = pid(&self.child).context("the server has ended")?;
        kill_process(id, signal).context("the server cannot be signalled")
    }

    /// Waits until the process has ended, and says how.
    ///
    /// # Errors
    /// If it does not end in time.
    pub async fn ended(mut self) -> anyhow::Result<ExitStatus> {
        let ended = timeout(STOP_WAIT_MAX, self.child.wait()).await;
        ended.context("a child did not stop in time")?.context("a child cannot be waited for")
    }

    /// How the process has ended by itself, if it has.
    ///
    /// # Errors
    /// If it cannot be told.
    pub fn has_ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.child.try_wait().context("the server cannot be waited for")
    }

    /// Kills the process (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("the server cannot be killed")
    }

    /// Asks the process to stop (SIGTERM) and waits for it.
    ///
    /// # Errors
    /// If it does not end well.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        terminate(&mut self.child).await
    }
}

/// The first of `count` free ports in a row on the loopback address.
///
/// Below those that the system gives to outgoing connections: a child that is killed finds its port free
/// when it starts again, and a client that calls it meanwhile does not reach itself.
///
/// # Errors
/// If there are none.
pub fn free_ports(count: usize) -> anyhow::Result<u16> {
    let count = u16::try_from(count).context("there are not so many ports")?;
    let span = PORTS.end - PORTS.start;
    // Processes that look at the same time begin in different places.
    let begin = std::process::id().wrapping_mul(PORTS_STRIDE);
    for _ in 0..span {
        let given = PORTS_GIVEN.fetch_add(u32::from(count.max(1)), Ordering::Relaxed);
        let offset = u16::try_from(begin.wrapping_add(given) % u32::from(span)).unwrap_or_default();
        let ports = PORTS.start + offset..(PORTS.start + offset).saturating_add(count);
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if ports.end <= PORTS.end && ports.clone().all(is_free) {
            return Ok(ports.start);
        }
    }
    bail!("no {count} ports in a row are free")
}

fn spawn(mut command: Command) -> anyhow::Result<(Child, Lines<BufReader<ChildStdout>>)> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    // A signal to the terminal's group is for the parent, which stops its children in order.
    command.process_group(0);
    let program = command.as_std().get_program().to_owned();
    let spawned = command.spawn();
    let mut child = spawned.with_context(|| format!("{} cannot be started", program.display()))?;
    let stdout = child.stdout.take().context("a child has no output")?;
    Ok((child, BufReader::new(stdout).lines()))
}

/// Where the wallets of a process listen, by partner. What else it prints is left unread, and goes on being taken, or it
/// would end on a pipe that nobody reads.
async fn announced(
    mut lines: Lines<BufReader<ChildStdout>>,
    wallets: usize,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut urls = BTreeMap::new();
    let announced = async {
        while urls.len() < wallets {
            let line = lines.next_line().await?.context("the wallets ended at once")?;
            if let Ok(said) = serde_json::from_str::<Announced>(&line) {
                urls.insert(said.partner, said.url);
            }
        }
        anyhow::Ok(())
    };
    timeout(START_WAIT_MAX, announced).await.context("the wallets did not start in time")??;
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok(urls)
}

fn pid(child: &Child) -> Option<Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
}

async fn terminate(child: &mut Child) -> anyhow::Result<()> {
    let Some(id) = pid(child) else { return Ok(()) };
    kill_process(id, Signal::TERM).context("a child cannot be asked to stop")?;
    let ended =
        timeout(STOP_WAIT_MAX, child.wait()).await.context("a child did not stop in time")?;
    let status = ended.context("a child cannot be waited for")?;
    if !status.success() {
        bail!("a child ended with {status}");
    }
    Ok(())
}
