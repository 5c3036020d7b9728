use crate::client::*;
use partner_kit::journal::{JournalError, Storage, read};
use partner_kit::movement::Entry;
use partner_kit::{Keep, ServeError, WalletOptions};
use serde_json::json;
use std::io;
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

/// A disk that syncs when it is told to.
struct Gate(mpsc::Receiver<io::Result<()>>);

impl Storage for Gate {
    fn append(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }
}

/// What must come without waiting for anything; far above what it takes.
async fn within<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), answer).await.expect("no answer came")
}

/// One thread only: while the disk stalls, whoever needs it waits, and nobody else.
#[tokio::test]
async fn a_stalled_disk_holds_up_answers_and_nothing_else() {
    let (open, syncs) = mpsc::channel();
    let wallet = Served::on(Gate(syncs), options(Keep::InMemory)).await;
    let mut first = Box::pin(wallet.post(AUTHORIZE, &ask("b")));
    tokio::select! {
        answer = &mut first => panic!("not on disk yet: {answer:?}"),
        () = async { while wallet.get("/stats").await["entries"] == 0 {} } => {}
    }
    let mut repeat = Box::pin(wallet.post(AUTHORIZE, &ask("b")));
    let mut query = Box::pin(wallet.row("b"));
    tokio::select! {
        answer = &mut first => panic!("not on disk yet: {answer:?}"),
        answer = &mut repeat => panic!("what it speaks of is not on disk yet: {answer:?}"),
        row = &mut query => panic!("what it shows is not on disk yet: {row:?}"),
        () = async {
            for _ in 0..50 {
                assert_eq!(wallet.get("/wallet/v1/health").await["status"], "ok");
            }
        } => {}
    }
    open.send(Ok(())).unwrap();
    let (first, repeat, row) = tokio::join!(first, repeat, query);
    assert_eq!(first.body["replayed"], false);
    assert_eq!(repeat.body["replayed"], true);
    assert_eq!(row, (1, "held".into()));
}

#[tokio::test]
async fn c31_an_overload_is_said_and_nothing_is_done() {
    let (open, syncs) = mpsc::channel();
    let one_at_once = WalletOptions { requests_max: 1, ..options(Keep::InMemory) };
    let wallet = Served::on(Gate(syncs), one_at_once).await;
    let mut first = Box::pin(wallet.post(AUTHORIZE, &ask("b")));
    tokio::select! {
        answer = &mut first => panic!("not on disk yet: {answer:?}"),
        () = async { while wallet.get("/stats").await["entries"] == 0 {} } => {}
    }
    let second = within(wallet.post(AUTHORIZE, &ask("c"))).await;
    assert_eq!((second.status.as_u16(), &second.body["code"]), (503, &json!("overloaded")));
    assert_eq!(second.headers["retry-after"], "1");
    assert_eq!(second.body["retry_after_ms"], 200);
    open.send(Ok(())).unwrap();
    assert_eq!(first.await.body["decision"], "approved");
    assert_eq!(wallet.row("c").await, (0, "absent".into()));
}

#[tokio::test]
async fn a_disk_that_fails_answers_nothing_any_more() {
    let (open, syncs) = mpsc::channel();
    let wallet = Served::on(Gate(syncs), options(Keep::InMemory)).await;
    open.send(Ok(())).unwrap();
    assert_eq!(wallet.post(AUTHORIZE, &ask("b")).await.status, 200);
    open.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
    let answer = wallet.post(STATE, &chunk([settled("b", 3, 2500)])).await;
    assert_eq!((answer.status.as_u16(), &answer.body["code"]), (500, &json!("internal")));
    assert_eq!(answer.body["message_id"], "c_1");
    let answer = wallet.post(AUTHORIZE, &ask("c")).await;
    assert_eq!(answer.body["class"], "retry_same_bytes");
    assert_eq!(wallet.get("/wallet/v1/health").await["status"], "failed");
}

#[tokio::test]
async fn a_restart_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("acme.jsonl");
    let wallet = Served::start(in_file(&path)).await;
    for bet in ["won", "lost", "gone", "open"] {
        wallet.post(AUTHORIZE, &ask(bet)).await;
    }
    let items = [settled("won", 3, 2500), settled("lost", 3, 0), voided("gone", 2)];
    wallet.post(STATE, &chunk(items.clone())).await;
    wallet.post("/players", &json!({"player": "blocked", "blocked": true})).await;
    let rows = wallet.get("/wallet/v1/rounds/r_1/bets").await;
    let free = wallet.free().await;
    wallet.stop().await;

    // A restart with another opening balance must not change what was opened.
    let mut options = in_file(&path);
    options.ledger.opening_units = 7;
    let wallet = Served::start(options).await;
    assert_eq!(wallet.get("/wallet/v1/rounds/r_1/bets").await, rows);
    assert_eq!(wallet.free().await, free);
    assert_eq!(wallet.get("/players?player=blocked").await["blocked"], true);
    let again = wallet.post(STATE, &chunk(items)).await.body;
    let results = again["results"].as_array().unwrap();
    assert!(results.iter().all(|result| result["replayed"] == true && result["moved"] == "0"));
    wallet.stop().await;
    let entries = read(&path).unwrap();
    assert_eq!(entries.len(), 1 + 4 + 3 + 1);
    assert!(matches!(&entries[0], Entry::Epoch(epoch) if epoch.partner == "acme"));
}

#[tokio::test]
async fn a_journal_has_one_wallet_and_one_partner() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("acme.jsonl");
    let wallet = Served::start(in_file(&path)).await;
    wallet.post(AUTHORIZE, &ask("b")).await;
    let second = within(Served::start(in_file(&path)).await.ended).await.unwrap();
    assert!(matches!(second, Err(ServeError::Journal(JournalError::Locked { .. }))));
    wallet.stop().await;
    let mut rival = in_file(&path);
    rival.ledger.partner = "rival".parse().unwrap();
    let rival = within(Served::start(rival).await.ended).await.unwrap();
    assert!(matches!(rival, Err(ServeError::Journal(JournalError::Replay { line: 1, .. }))));
}

#[tokio::test]
async fn a_ledger_epoch_stays_raised() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("acme.jsonl");
    for (asked, told) in [(1, "1"), (5, "5"), (1, "5")] {
        let mut options = in_file(&path);
        options.ledger.ledger_epoch = asked;
        let wallet = Served::start(options).await;
        assert_eq!(wallet.get("/wallet/v1/health").await["ledger_epoch"], told);
        wallet.stop().await;
    }
    assert_eq!(read(&path).unwrap().len(), 2);
}
