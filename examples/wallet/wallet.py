#!/usr/bin/env python3
"""A partner's wallet in one file: every call that Roundhouse makes, over SQLite.

Holds stakes, settles, voids and corrects bets, and answers how rounds and bets stand; every message
is verified and every answer signed as Standard Webhooks says. A bet's row, the player's balance and
the journal of what moved change in one transaction; an answer leaves once that is on the disk.

    python3 -m venv venv && venv/bin/pip install -r examples/wallet/requirements.txt
    venv/bin/python examples/wallet/wallet.py serve --partner acme --db acme.db --keys keys.json
    venv/bin/python examples/wallet/wallet.py journal --db acme.db > journals/acme.jsonl
    roundhouse demo --wallet-command 'venv/bin/python examples/wallet/wallet.py serve'

keys.json holds the platform's public keys and the partners' secret ones, as `roundhouse key new`
makes them: {"platform": ["whpk_..."], "partners": {"acme": ["whsk_..."]}}. `journal` prints every
movement as `roundhouse audit --journal` reads it; with --journal-dir in the place of --db, `serve`
keeps both files there, and writes the journal when it stops.

It takes EUR, and opens an account with --opening-balance for every player that it has not met: what
happens there, and the session token, is your business. What a correction takes back may leave a
balance below zero (claw-back policy `negative`). Signatures are Ed25519 alone.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import signal
import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

Json = dict[str, Any]
Row = sqlite3.Row

API_VERSION = "2026-11-01"
CURRENCY, EXPONENT = "EUR", 2
ITEMS_MAX, BODY_MAX, PAGE_MAX = 500, 256 * 1024, 1000
# The revision of a void that ends a bet which never became one.
VOID = 2
# Seconds that the time of a message may be away from ours.
WINDOW_S = 300
# The forms of texts.
ROUND, BET = r"[A-Za-z0-9_-]{1,36}", r"[A-Za-z0-9_-]{1,36}:[A-Za-z0-9_-]{1,27}"
MESSAGE, PLAYER = r"[A-Za-z0-9_:-]{1,64}", r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,128}"
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})"
ANY = r"(?s:.*)"
# Paths that are got; the others are posted to.
GETS = r"/wallet/v1/(health|capabilities|rounds/[^/]*/bets)"
# How long a bet may be asked for behind its expires_at, for clocks that differ, in ms.
SKEW_MS = 2_000

TABLES = """
CREATE TABLE IF NOT EXISTS accounts (player TEXT PRIMARY KEY, units INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS rows (
    bet TEXT PRIMARY KEY, round TEXT NOT NULL, player TEXT NOT NULL, revision INTEGER NOT NULL,
    status TEXT NOT NULL, code TEXT, stake INTEGER NOT NULL, payout INTEGER NOT NULL,
    collected INTEGER NOT NULL, dead INTEGER NOT NULL, seq INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS of_round ON rows (round, bet);
CREATE INDEX IF NOT EXISTS by_seq ON rows (seq);
CREATE TABLE IF NOT EXISTS journal (seq INTEGER PRIMARY KEY, line TEXT NOT NULL);
"""


EPOCHS = """SELECT line FROM journal WHERE line LIKE '%"kind": "epoch"%' ORDER BY seq"""


class Problem(Exception):
    """Whatever is not a 200: it decides nothing."""

    def __init__(self, status: int, code: str, detail: str, kind: str = "fix_then_retry") -> None:
        super().__init__(detail)
        self.status = status
        self.body = {
            "type": "about:blank",
            "title": code.replace("_", " "),
            "status": status,
            "detail": detail,
            "code": code,
            "class": kind,
        }


class Keys:
    """What messages are verified and answers are signed with."""

    def __init__(self, path: Path, partner: str) -> None:
        try:
            said = json.loads(path.read_text())
            self.platform = [
                Ed25519PublicKey.from_public_bytes(of_prefix("whpk_", text))
                for text in said["platform"]
            ]
            # Some write the public half behind the secret one.
            self.own = [
                Ed25519PrivateKey.from_private_bytes(of_prefix("whsk_", text)[:32])
                for text in said["partners"][partner]
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            # What stands there may be a secret.
            kind = type(error).__name__
            raise SystemExit(f"wallet.py: {path} holds no keys of {partner}: {kind}") from None
        if not self.platform or not self.own:
            raise SystemExit(f"wallet.py: {path} lacks a key of the platform or of {partner}")
        self.partner = partner

    def verify(self, headers: Any, body: bytes) -> str:
        """The message's id, if the platform signed it just now."""
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        values = [headers.get_all(name) or [] for name in names]
        if any(len(value) != 1 for value in values):
            raise Problem(401, "bad_signature", "the message is not signed")
        message, timestamp, signatures = (value[0] for value in values)
        if "." in message or not re.fullmatch(r"[0-9]{1,12}", timestamp):
            raise Problem(401, "bad_signature", "a header of the signature is not of its form")
        if abs(time.time() - int(timestamp)) > WINDOW_S:
            raise Problem(401, "clock_skew", "the message was not signed just now")
        signed = b".".join((message.encode(), timestamp.encode(), body))
        for text in signatures.split()[:4]:
            version, _, tag = text.partition(",")
            if version == "v1a" and any(fits(key, tag, signed) for key in self.platform):
                return str(message)
        raise Problem(401, "bad_signature", "no key fits the signature")

    def sign(self, message: str, body: bytes) -> Json:
        now = str(int(time.time()))
        signed = b".".join((message.encode(), now.encode(), body))
        tags = (base64.b64encode(key.sign(signed)).decode() for key in self.own)
        return {
            "webhook-id": message,
            "webhook-timestamp": now,
            "webhook-signature": " ".join(f"v1a,{tag}" for tag in tags),
        }


def of_prefix(prefix: str, text: str) -> bytes:
    if not text.startswith(prefix):
        raise ValueError
    return base64.b64decode(text.removeprefix(prefix), validate=True)


def fits(key: Ed25519PublicKey, tag: str, signed: bytes) -> bool:
    try:
        key.verify(base64.b64decode(tag, validate=True), signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def get_id(partner: str, path: str) -> str:
    """The id of a GET, which has no body to say whose it is and which.

    `path` begins with /wallet/v1: a prefix that your proxy adds or strips does not count.
    """
    return "get_" + hashlib.sha256(f"{partner}\n{path}".encode()).hexdigest()[:32]


def money(units: int) -> Json:
    return {"units": str(units), "currency": CURRENCY, "exponent": EXPONENT}


def text(body: Json, name: str, form: str) -> str:
    """A field that is a text of this form."""
    found = body[name]
    if not isinstance(found, str) or not re.fullmatch(form, found):
        raise Problem(400, "bad_request", f"{name} is not of its form")
    return found


def whole(body: Json, name: str, least: int) -> int:
    """A field that is a whole number, from `least` on."""
    found = body[name]
    if type(found) is not int or found < least:
        raise Problem(400, "bad_request", f"{name} is no whole number from {least} on")
    return found


def units_of(body: Json) -> int:
    """Minor units: digits as text, never through a float."""
    text(body, "currency", r"[A-Z0-9]{3,8}")
    units = int(text(body, "units", r"[0-9]{1,18}"))
    if whole(body, "exponent", 0) > 8:
        raise Problem(400, "bad_request", "exponent is above 8")
    if (body["currency"], body["exponent"]) != (CURRENCY, EXPONENT):
        raise Problem(422, "currency_unknown", f"only {CURRENCY} with {EXPONENT} decimals is taken")
    return units


def net(status: str, stake: int, payout: int) -> int:
    """What a bet is worth to its player in this state."""
    return {"held": -stake, "settled": payout - stake}.get(status, 0)


class Wallet:
    """The register: a row per bet, at the newest revision that came."""

    def __init__(self, db: Path, partner: str, opening: int, epoch: int) -> None:
        self.partner, self.opening = partner, opening
        self.lock = threading.Lock()
        self.db = sqlite3.connect(db, check_same_thread=False, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + TABLES)
        said = [json.loads(line) for (line,) in self.db.execute(EPOCHS)]
        if any(line["partner"] != partner for line in said):
            raise SystemExit(f"wallet.py: {db} is of partner {said[0]['partner']}")
        last = max((line["ledger_epoch"] for line in said), default=0)
        if last < epoch:
            self.note({"kind": "epoch", "partner": partner, "ledger_epoch": epoch})
        self.epoch = str(max(last, epoch))

    def once(self, act: Callable[[], Json]) -> Json:
        """Does `act` in a transaction that is on the disk before this returns."""
        with self.lock:
            self.db.execute("BEGIN IMMEDIATE")
            try:
                done = act()
                self.db.execute("COMMIT")
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            return done

    def entries(self) -> int:
        """Movements so far."""
        counted = self.db.execute("SELECT coalesce(max(seq), 0) FROM rows").fetchone()
        return int(counted[0])

    def note(self, line: Json) -> None:
        self.db.execute("INSERT INTO journal (line) VALUES (?)", (json.dumps(line),))

    def row(self, bet: str) -> Row | None:
        found: Row | None = self.db.execute("SELECT * FROM rows WHERE bet = ?", (bet,)).fetchone()
        return found

    def free(self, player: str) -> int | None:
        found = self.db.execute("SELECT units FROM accounts WHERE player = ?", (player,)).fetchone()
        return None if found is None else int(found[0])

    def write(self, before: Row | None, new: Json) -> tuple[int, Row]:
        """Moves what is missing to the new state, and writes row and journal; what was moved."""
        collected = 0 if before is None else int(before["collected"])
        moved = net(new["status"], new["stake"], new["payout"]) - collected
        known = self.free(new["player"])
        free = self.opening if known is None else known
        self.db.execute(
            "INSERT INTO accounts VALUES (?, ?) ON CONFLICT DO UPDATE SET units = excluded.units",
            (new["player"], free + moved),
        )
        new |= {"seq": self.entries() + 1, "collected": collected + moved}
        self.db.execute(
            "INSERT OR REPLACE INTO rows VALUES (:bet, :round, :player, :revision, :status, :code, "
            ":stake, :payout, :collected, :dead, :seq)",
            new,
        )
        line = {"kind": "movement", "seq": new["seq"], "at_ms": now_ms(), "bet_id": new["bet"]}
        line |= {name: new[name] for name in ("revision", "player", "status", "stake", "payout")}
        line |= {"currency": CURRENCY, "exponent": EXPONENT, "moved": moved, "shortfall": 0}
        line |= {"collected_net": new["collected"]}
        line |= {"code": new["code"]} if new["code"] else {}
        line |= {"opening": self.opening} if known is None else {}
        self.note(line)
        written = self.row(new["bet"])
        assert written is not None
        return moved, written

    def authorize(self, body: Json) -> Json:
        if body["op"] != "authorize" or whole(body, "revision", 1) != 1:
            raise Problem(400, "bad_request", "this is no authorize of revision 1")
        self.ours(body)
        bet, player = text(body, "bet_id", BET), text(body, "partner_player_id", PLAYER)
        if not bet.startswith(text(body, "round_id", ROUND) + ":"):
            raise Problem(400, "bad_request", "the bet is of another round")
        text(body, "message_id", BET + ":1")
        text(body, "session_token", ANY)
        if body.get("selection") is not None:
            text(body, "selection", ANY)
        _, expires_at = (at_ms(text(body, name, TIME)) for name in ("placed_at", "expires_at"))
        row = self.row(bet)
        replayed = row is not None
        try:
            stake = units_of(body["stake"])
        except Problem as problem:
            if row is None or problem.status == 400:
                raise
            stake = -1
        if row is None:
            if stake == 0:
                raise Problem(400, "bad_request", "a stake is above 0")
            free = self.free(player)
            code = None
            if expires_at + SKEW_MS <= now_ms():
                code = "bet_expired"
            elif (self.opening if free is None else free) < stake:
                code = "insufficient_funds"
            new = fresh(bet, body["round_id"], player, 1, stake)
            new |= {"status": "declined" if code else "held", "code": code}
            _, row = self.write(None, new)
        elif row["revision"] == 1 and (row["player"], row["stake"]) != (player, stake):
            detail = "the bet stands with another stake or player"
            raise Problem(422, "revision_conflict", detail, "conflict")
        told = {"message_id": body["message_id"], "bet_id": bet, "revision": row["revision"]}
        told |= {"status": row["status"], "replayed": replayed, "partner_ref": f"tx-{row['seq']}"}
        if row["revision"] <= VOID or row["dead"]:
            decisions = {"held": "approved", "declined": "declined", "voided": "voided"}
            told["decision"] = decisions[row["status"]]
        told |= {"code": row["code"]} if row["code"] else {}
        return told | {"processed_at": timestamp(), "balance": money(self.free(player) or 0)}

    def state(self, body: Json) -> Json:
        items = body["items"]
        text(body, "chunk_id", MESSAGE)
        text(body, "traffic", "void|live|correction")
        if body["op"] != "state" or not isinstance(items, list) or not items:
            raise Problem(400, "bad_request", f"op must be `state`, with 1 to {ITEMS_MAX} items")
        if len(items) > ITEMS_MAX:
            raise Problem(413, "too_large", f"at most {ITEMS_MAX} items")
        for item in items:
            self.ours(item)
            # What has no name has no result.
            text(item, "bet_id", BET)
            whole(item, "revision", 1)
        results = [self.item(item) for item in items]
        return {"chunk_id": body["chunk_id"], "ledger_epoch": self.epoch, "results": results}

    def item(self, item: Json) -> Json:
        bet, revision, target = item["bet_id"], item["revision"], item["target"]
        told = {"bet_id": bet, "revision": revision, "replayed": False}
        final = revision == VOID and target == "voided"
        known = target in ("held", "settled", "voided")
        if not known or revision < VOID or (revision == VOID and not final):
            return told | {"outcome": "rejected", "code": "bad_request"}
        try:
            self.read(item)
            stake = units_of(item["stake"])
            payout = units_of(item["payout"]) if target == "settled" else 0
        except Problem as problem:
            # A final void ends every hold, in whatever currency it is.
            if not final or problem.status == 400:
                return told | {"outcome": "rejected", "code": problem.body["code"]}
            stake = payout = 0
        row = self.row(bet)
        if row is None:
            # Its row was lost with a backup, and both sides signed that off: as if its hold stood.
            recover = item.get("recover") is True
            if target != "voided" and not recover:
                return told | {"outcome": "rejected", "code": "unknown_bet"}
            # Should the stake of a void be asked for later, it must not be held.
            new = fresh(bet, item["round_id"], item["partner_player_id"], revision, stake)
            new |= {"status": target, "payout": payout, "dead": int(target == "voided")}
            moved, row = self.write(None, new)
            return told | applied(row, moved)
        if final:
            stake = row["stake"]
        if revision < row["revision"]:
            told |= applied(row, 0) | {"outcome": "superseded"}
            return told | {"revision": row["revision"]}
        same = (row["status"], row["stake"], row["payout"]) == (target, stake, payout)
        if revision == row["revision"] and same:
            return told | applied(row, 0) | {"replayed": True}
        over = row["dead"] or row["status"] == "declined"
        if over and target != "voided":
            return told | {"outcome": "rejected", "code": "invalid_transition"}
        if revision == row["revision"] or stake != row["stake"]:
            return told | {"outcome": "rejected", "code": "revision_conflict"}
        new = fresh(bet, row["round"], row["player"], revision, stake)
        new |= {"status": target, "payout": payout, "dead": int(bool(over) or final)}
        moved, row = self.write(row, new)
        return told | applied(row, moved)

    def read(self, item: Json) -> None:
        """What else an item says has to be of its form."""
        if not item["bet_id"].startswith(text(item, "round_id", ROUND) + ":"):
            raise Problem(400, "bad_request", "the bet is of another round")
        text(item, "partner_player_id", PLAYER)
        text(item, "reason", ANY)
        if item.get("result_version") is not None:
            whole(item, "result_version", 1)
        if item.get("payout") is not None:
            units_of(item["payout"])
        if not isinstance(item.get("recover", False), bool):
            raise Problem(400, "bad_request", "recover is true or false")

    def close(self, body: Json) -> Json:
        """How the round stands here; what the platform says of it changes nothing."""
        self.ours(body)
        whole(body, "result_version", 1)
        digest, holds, bets, stake, payout, voided = hashlib.sha256(), 0, 0, 0, 0, 0
        for row in self.of_round(text(body, "round_id", ROUND), "", -1):
            holds += row["revision"] == 1
            if row["revision"] <= VOID:
                continue
            parts = [row[name] for name in ("bet", "revision", "status", "stake", "payout")]
            digest.update(("|".join(map(str, parts)) + "\n").encode())
            bets, voided = bets + 1, voided + (row["status"] == "voided")
            stake, payout = stake + row["stake"], payout + row["payout"]
        total = {"currency": CURRENCY, "exponent": EXPONENT, "bets": bets, "stake": str(stake)}
        total |= {"payout": str(payout), "voided": voided}
        return {
            "round_id": body["round_id"],
            "result_version": body["result_version"],
            "ledger_epoch": self.epoch,
            "totals": [total] if bets else [],
            "open_holds": holds,
            "digest": digest.hexdigest(),
        }

    def query(self, body: Json) -> Json:
        bets = body["bet_ids"]
        if not isinstance(bets, list) or not bets:
            raise Problem(400, "bad_request", f"1 to {ITEMS_MAX} bets are looked up")
        if len(bets) > ITEMS_MAX:
            raise Problem(413, "too_large", f"at most {ITEMS_MAX} bets")
        absent = {"revision": 0, "status": "absent"}
        named = (text({"bet_ids": bet}, "bet_ids", BET) for bet in bets)
        rows = ((bet, self.row(bet)) for bet in named)
        said = [{"bet_id": bet} | absent if row is None else shown(row) for bet, row in rows]
        return {"ledger_epoch": self.epoch, "rows": said}

    def round_bets(self, round_id: str, after: str, limit: int) -> Json:
        text({"id": round_id}, "id", ROUND)
        text({"after": after}, "after", f"({BET})?")
        if not 1 <= limit <= PAGE_MAX:
            raise Problem(400, "bad_request", f"a page has 1 to {PAGE_MAX} rows")
        rows = list(self.of_round(round_id, after, limit + 1))
        page = [shown(row) for row in rows[:limit]]
        more = {"next": page[-1]["bet_id"]} if limit < len(rows) else {}
        return {"round_id": round_id, "ledger_epoch": self.epoch, "rows": page} | more

    def of_round(self, round_id: str, after: str, limit: int) -> Iterator[Row]:
        asked = "SELECT * FROM rows WHERE round = ? AND bet > ? ORDER BY bet LIMIT ?"
        yield from self.db.execute(asked, (round_id, after, limit))

    def ours(self, body: Json) -> None:
        if body["partner_id"] != self.partner:
            raise Problem(403, "wrong_partner", f"this is the wallet of {self.partner}")

    def capabilities(self) -> Json:
        return {
            "partner_id": self.partner,
            "api_versions": [API_VERSION],
            "items_max": ITEMS_MAX,
            "bytes_max": BODY_MAX,
            "gzip": False,
            "signed": True,
            "currencies": [{"currency": CURRENCY, "exponent": EXPONENT}],
            "claw_back": "negative",
            "correction_window_days": 400,
            "retention_days": 400,
            "ledger_epoch": self.epoch,
            "answer_ms_max": {"authorize": 1_000, "state": 5_000},
        }

    def health(self) -> Json:
        said = {"status": "ok", "partner_id": self.partner, "time": timestamp()}
        return said | {"ledger_epoch": self.epoch}


def fresh(bet: str, round_id: str, player: str, revision: int, stake: int) -> Json:
    new = {"bet": bet, "round": round_id, "player": player, "revision": revision, "stake": stake}
    return new | {"code": None, "payout": 0, "dead": 0}


def applied(row: Row, moved: int) -> Json:
    said = {"outcome": "applied", "status": row["status"], "moved": str(moved)}
    return said | {"collected_net": str(row["collected"]), "partner_ref": f"tx-{row['seq']}"}


def shown(row: Row) -> Json:
    said = {"bet_id": row["bet"], "revision": row["revision"], "status": row["status"]}
    said |= {"partner_player_id": row["player"], "stake": money(row["stake"])}
    said |= {"collected_net": str(row["collected"]), "partner_ref": f"tx-{row['seq']}"}
    said |= {"payout": money(row["payout"])} if row["status"] == "settled" else {}
    return said | ({"code": row["code"]} if row["code"] else {})


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def at_ms(text: str) -> int:
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def timestamp() -> str:
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return now.replace("+00:00", "Z")


def handler(wallet: Wallet, keys: Keys) -> type[BaseHTTPRequestHandler]:
    """The HTTP side."""
    posts = {
        "/wallet/v1/bets/authorize": wallet.authorize,
        "/wallet/v1/bets/state": wallet.state,
        "/wallet/v1/rounds/close": wallet.close,
        "/wallet/v1/bets/query": wallet.query,
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # A connection that nobody uses is closed.
        timeout = 60
        disable_nagle_algorithm = True
        wbufsize = -1
        # The id of the message, once it is known to be the platform's.
        message: str | None = None

        def do_POST(self) -> None:
            self.answer(lambda body: self.post(body))

        def do_GET(self) -> None:
            self.answer(lambda _: self.get())

        def refuse(self) -> None:
            """A method that no call has."""
            self.message, self.close_connection = None, True
            refused = self.absent()
            self.reply(refused.status, refused.body)

        def absent(self) -> Problem:
            if self.path in posts or re.fullmatch(GETS, urlsplit(self.path).path):
                return Problem(405, "method", "the path wants another method")
            return Problem(404, "not_found", "there is nothing here")

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):
                return self.refuse
            raise AttributeError(name)

        def post(self, body: bytes) -> Json:
            act = posts.get(self.path)
            if act is None:
                raise self.absent()
            asked = json.loads(body)
            return wallet.once(lambda: act(asked))

        def get(self) -> Json:
            url = urlsplit(self.path)
            parts = url.path.split("/")
            if parts[:4] == ["", "wallet", "v1", "rounds"] and parts[5:] == ["bets"]:
                asked = parse_qs(url.query)
                page = {"after": "", "limit": str(PAGE_MAX)}
                page |= {name: values[0] for name, values in asked.items()}
                limit = int(text(page, "limit", r"[0-9]{1,9}"))
                return wallet.once(lambda: wallet.round_bets(parts[4], page["after"], limit))
            if url.path == "/wallet/v1/capabilities":
                return wallet.capabilities()
            if url.path == "/wallet/v1/health":
                return wallet.health()
            raise self.absent()

        def answer(self, act: Callable[[bytes], Json]) -> None:
            self.message = None
            try:
                status, said = 200, act(self.verified())
            except Problem as problem:
                status, said = problem.status, problem.body
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                refused = Problem(400, "bad_request", f"the request cannot be read: {error!r}")
                status, said = refused.status, refused.body
            except Exception as error:
                # Nothing was done; people must see it.
                traceback.print_exc()
                failed = Problem(500, "internal", repr(error), "retry_same_bytes")
                status, said = failed.status, failed.body
            self.reply(status, said)

        def verified(self) -> bytes:
            """The body, if the platform signed it."""
            # What cannot be told apart from the next request must not be followed by one.
            self.close_connection = True
            length = self.headers.get("content-length", "0")
            if "transfer-encoding" in self.headers or not re.fullmatch(r"[0-9]{1,9}", length):
                raise Problem(400, "bad_request", "say the length of the body")
            if int(length) > BODY_MAX:
                raise Problem(413, "too_large", f"at most {BODY_MAX} bytes")
            body = self.rfile.read(int(length))
            self.close_connection = self.headers.get("connection", "").lower() == "close"
            message = keys.verify(self.headers, body)
            if self.command == "GET" and message != get_id(keys.partner, self.path):
                raise Problem(401, "bad_signature", "the message is another's, or for another path")
            self.message = message
            if self.headers.get("api-version", API_VERSION) != API_VERSION:
                raise Problem(406, "version_unsupported", f"{API_VERSION} is spoken here")
            return body

        def reply(self, status: int, said: Json) -> None:
            body = json.dumps(said).encode()
            self.send_response(status)
            kind = "application/json" if status == 200 else "application/problem+json"
            headers = {"content-type": kind, "content-length": str(len(body))}
            headers |= {"api-version": API_VERSION}
            headers |= {"allow": "POST" if self.path in posts else "GET"} if status == 405 else {}
            headers |= {"connection": "close"} if self.close_connection else {}
            headers |= keys.sign(self.message, body) if self.message else {}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            """Nothing a request: the journal says what moved."""

    return Handler


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def serve(options: argparse.Namespace) -> None:
    keys = Keys(options.keys, options.partner)
    folder = options.journal_dir
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        options.db = folder / f"{options.partner}.db"
    wallet = Wallet(options.db, options.partner, options.opening_balance, options.ledger_epoch)
    host, _, port = options.listen.rpartition(":")
    server = Server((host, int(port)), handler(wallet, keys))
    for number in (signal.SIGTERM, signal.SIGINT):
        # From the thread that serves it would wait for itself.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    url = f"http://{host}:{server.server_address[1]}"
    print(json.dumps({"partner": options.partner, "url": url}), flush=True)
    server.serve_forever(poll_interval=0.1)
    with wallet.lock:
        wallet.db.close()
    if folder is not None:
        with (folder / f"{options.partner}.jsonl").open("w") as out:
            write_journal(options.db, out)


def write_journal(db: Path, out: TextIO) -> None:
    for (line,) in sqlite3.connect(db).execute("SELECT line FROM journal ORDER BY seq"):
        out.write(line + "\n")


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    commands = parser.add_subparsers(required=True)
    serving = commands.add_parser("serve", help="answer the platform")
    serving.add_argument("--partner", required=True, help="whose wallet this is")
    serving.add_argument("--keys", type=Path, required=True, help="JSON file with the keys")
    serving.add_argument("--listen", default="127.0.0.1:9100", help="address; port 0: any free one")
    serving.add_argument("--opening-balance", type=int, default=1_000_000, help="minor units")
    epoch = "raise it after the database was restored from a backup"
    serving.add_argument("--ledger-epoch", type=int, default=1, help=epoch)
    serving.set_defaults(run=serve)
    printing = commands.add_parser("journal", help="print every movement, a JSON line each")
    printing.set_defaults(run=lambda options: write_journal(options.db, sys.stdout))
    printing.add_argument("--db", type=Path, required=True, help="SQLite file")
    where = serving.add_mutually_exclusive_group(required=True)
    where.add_argument("--db", type=Path, help="SQLite file")
    where.add_argument("--journal-dir", type=Path, help="for the SQLite file and the journal")
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
