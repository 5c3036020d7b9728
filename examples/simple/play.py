"""Plays both simple APIs end to end, and checks every answer.

Needs nothing but Python 3.10. Start a sandbox first, then:

    python3 examples/simple/play.py --url http://127.0.0.1:8080

It makes up the ids of its events, so that it can be run again and again. It prints one line for
each part that holds, and ends with 1 at the first answer that is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from email.message import Message
from typing import Any

ANSWER_WAIT_S = 40.0
"""Longest wait for one answer: a result is held until betting has ended everywhere."""
SEEN_WAIT_S = 15.0
"""Longest wait for what another part of the system does in its own time."""
FRESH_S = 0.5
"""How soon bet-maker must show a new event."""
PARALLEL_BETS = 640


class Wrong(Exception):
    """An answer that is not as it should be."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Api:
    """One of the two services, at its base URL."""

    base: str
    key: str | None = None

    def call(
        self,
        method: str,
        path: str,
        body: object | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Calls `path` below the base; a body that is a text is sent as it is."""
        sent = dict(headers or {})
        if self.key is not None:
            sent["Authorization"] = f"Bearer {self.key}"
        data: bytes | None = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
        request = urllib.request.Request(self.base + path, data, sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_WAIT_S) as response:
                return _answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.headers, error.read())


def _answer(status: int, headers: Message, raw: bytes) -> Answer:
    lowered = {name.lower(): value for name, value in headers.items()}
    try:
        body = json.loads(raw)
    except ValueError:
        body = raw.decode(errors="replace")
    return Answer(status, lowered, body)


def check(holds: bool, what: str, seen: object) -> None:
    """Ends the play if `what` does not hold."""
    if not holds:
        raise Wrong(f"{what}; seen: {seen}")


def expect(answer: Answer, status: int, what: str) -> Any:
    """The body of an answer that must have this status."""
    check(answer.status == status, f"{what}: wanted status {status}", answer)
    return answer.body


def refused(answer: Answer, statuses: set[int], what: str) -> None:
    """Checks a refusal: its status, its kind, its code and its words."""
    check(answer.status in statuses, f"{what}: wanted one of {sorted(statuses)}", answer)
    media = answer.headers.get("content-type", "")
    check(media.startswith("application/problem+json"), f"{what}: a problem", answer)
    check(bool(answer.body.get("code")), f"{what}: a code", answer)
    check(bool(answer.body.get("detail")), f"{what}: a sentence", answer)


def until(what: str, look: Callable[[], bool], wait_s: float = SEEN_WAIT_S) -> float:
    """Looks until it holds; returns how long that took, in s."""
    begun = time.monotonic()
    while not look():
        check(time.monotonic() - begun < wait_s, f"{what} within {wait_s} s", "it never came")
        time.sleep(0.01)
    return time.monotonic() - begun


def ahead(seconds: float) -> str:
    """A time from now on, as RFC 3339."""
    moment = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds")


@dataclass
class Play:
    """The two services, and the names of this play."""

    lines: Api
    bets: Api
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def name(self, what: str) -> str:
        """The id of an event of this play."""
        return f"{what}-{self.run}"

    def event(self, what: str, coefficient: object = "1.50", seconds: float = 60) -> str:
        """Offers an event and waits until bets can be placed on it."""
        event_id = self.name(what)
        body = {"event_id": event_id, "coefficient": coefficient, "deadline": ahead(seconds)}
        expect(self.lines.call("POST", "/events", body), 201, "an event")
        self.shown(event_id)
        return event_id

    def shown(self, event_id: str) -> float:
        """Waits until bet-maker offers the event; how long that took, in s."""
        return until(f"{event_id} at bet-maker", lambda: event_id in self.open_events())

    def open_events(self) -> list[str]:
        """The ids of the events that bet-maker offers."""
        events = expect(self.bets.call("GET", "/events"), 200, "the events")
        return [event["event_id"] for event in events]

    def bet(self, event_id: str, amount: object) -> dict[str, Any]:
        """Places a bet that must be taken."""
        body = {"event_id": event_id, "amount": amount}
        bet = expect(self.bets.call("POST", "/bet", body), 201, "a bet")
        check(isinstance(bet["bet_id"], str) and bet["event_id"] == event_id, "its ids", bet)
        listed = {line["bet_id"]: line for line in self.listed()}
        check(bet["bet_id"] in listed, "a bet is listed at once", bet)
        return dict(bet)

    def listed(self) -> list[dict[str, Any]]:
        """Every bet."""
        bets = expect(self.bets.call("GET", "/bets"), 200, "the bets")
        check(isinstance(bets, list), "a bare array", bets)
        return list(bets)

    def status(self, bet: dict[str, Any]) -> str:
        """How a bet stands, alone and in the list."""
        one = expect(self.bets.call("GET", f"/bets/{bet['bet_id']}"), 200, "a bet")
        return str(one["status"])

    def becomes(self, bet: dict[str, Any], status: str) -> None:
        """Waits until a bet stands like this."""
        until(f"{bet['bet_id']} {status}", lambda: self.status(bet) == status)
        listed = {line["bet_id"]: line["status"] for line in self.listed()}
        check(listed[bet["bet_id"]] == status, f"listed as {status}", listed[bet["bet_id"]])

    def state(self, event_id: str, state: int) -> None:
        """Says the state of an event."""
        answer = self.lines.call("PATCH", f"/events/{event_id}", {"state": state})
        body = expect(answer, 200, f"state {state}")
        check(body["state"] == state, f"state {state}", body)


def pages(play: Play) -> None:
    """Both services show what they can do."""
    for api in (play.lines, play.bets):
        document = expect(api.call("GET", "/openapi.json"), 200, "the document")
        check(document["openapi"].startswith("3.1"), "OpenAPI 3.1", document["openapi"])
        for path in ("/docs", "/docs/"):
            page = expect(api.call("GET", path), 200, "the page")
            check("swagger" in str(page).lower(), "Swagger UI", page)


def create_and_list(play: Play) -> None:
    """Events in every form of ids, odds and deadlines; the list that follows."""
    event_id = play.event("plain", "1.5")
    shown = expect(play.lines.call("GET", f"/events/{event_id}"), 200, "an event")
    check(shown["coefficient"] == "1.50" and shown["state"] == 1, "as it was offered", shown)
    same = expect(play.bets.call("GET", f"/events/{event_id}/"), 200, "the event at bet-maker")
    check(same["coefficient"] == "1.50", "the same", same)
    number = uuid.uuid4().int % 10**12
    body = {"event_id": number, "coefficient": 2, "deadline": int(time.time()) + 60}
    answer = play.lines.call("POST", "/events/create/", body)
    shown = expect(answer, 201, "numbers")
    check(shown["event_id"] == str(number) and shown["coefficient"] == "2.00", "texts", shown)
    check(shown["deadline"].endswith("Z"), "UTC", shown)
    change = {"event_id": number, "coefficient": "2.25"}
    shown = expect(play.lines.call("PATCH", "/events/update/", change), 200, "other odds")
    check(shown["coefficient"] == "2.25", "other odds", shown)
    ids = [event["event_id"] for event in expect(play.lines.call("GET", "/events/"), 200, "list")]
    check({event_id, str(number)} <= set(ids), "both are listed", ids)
    answer = play.bets.call("GET", "/events")
    check(int(answer.headers["age"]) < 5, "a fresh list", answer.headers)


def freshness(play: Play) -> None:
    """A new event shows at bet-maker within half a second, 99 times of 100."""
    took: list[float] = []
    for number in range(100):
        event_id = play.name(f"fresh{number}")
        body = {"event_id": event_id, "coefficient": "2", "deadline": ahead(30)}
        expect(play.lines.call("POST", "/events", body), 201, "an event")
        took.append(play.shown(event_id))
    took.sort()
    check(took[98] < FRESH_S, f"p99 below {FRESH_S} s", took[98])


def older_form(play: Play) -> None:
    """One call that creates and changes; events of four fields."""
    event_id, deadline = play.name("older"), int(time.time()) + 60
    body = {"event_id": event_id, "coefficient": 1.0, "deadline": deadline, "state": 1}
    for _ in range(2):
        shown = expect(play.lines.call("PUT", "/event", body), 200, "created, and no change")
        check(shown["coefficient"] == "1.00" and shown["state"] == 1, "four fields", shown)
    for state in (1, 2, 3):
        answer = play.lines.call("PUT", "/event", {"event_id": event_id, "state": state})
        expect(answer, 200, f"state {state}")
        shown = expect(play.lines.call("GET", f"/event/{event_id}"), 200, "the event")
        fields = {"event_id", "coefficient", "deadline", "state"}
        check(set(shown) == fields and shown["state"] == state, f"state {state}", shown)
    body = {"event_id": play.name("begun"), "coefficient": 2, "deadline": deadline, "state": 2}
    refused(play.lines.call("PUT", "/event", body), {422}, "created in state 2")


def win_loss_correction(play: Play) -> None:
    """A bet follows the result of its event, there and back."""
    event_id = play.event("result", "1.70")
    bet = play.bet(event_id, "10")
    check(bet["amount"] == "10.00" and bet["status"] == "pending", "as it was placed", bet)
    alias = play.bets.call("POST", f"/bets/bet/{event_id}", {"amount": 0.5})
    other = expect(alias, 201, "a bet through the alias")
    check(other["amount"] == "0.50", "fifty cents", other)
    for state, status in ((2, "won"), (2, "won"), (3, "lost"), (1, "pending"), (3, "lost")):
        play.state(event_id, state)
        play.becomes(bet, status)
        play.becomes(other, status)
    answer = play.bets.call("POST", "/bet", {"event_id": event_id, "amount": 1})
    refused(answer, {409}, "a bet on a finished event")
    check(event_id not in play.open_events(), "a finished event is not offered", event_id)


def deadline(play: Play) -> None:
    """The deadline ends betting by itself."""
    event_id = play.event("deadline", "3", seconds=4)
    bet = play.bet(event_id, 2)
    until("the end of betting", lambda: event_id not in play.open_events())
    answer = play.bets.call("POST", "/bet", {"event_id": event_id, "amount": 1})
    refused(answer, {409}, "a bet behind the deadline")
    play.state(event_id, 2)
    play.becomes(bet, "won")


def drawn(play: Play) -> None:
    """A result that is drawn once betting has ended. In a sandbox alone."""
    event_id = play.name("drawn")
    body = {
        "event_id": event_id,
        "coefficient": "2",
        "deadline": ahead(4),
        "auto_result": True,
    }
    expect(play.lines.call("POST", "/events", body), 201, "an event whose result is drawn")
    until("the event", lambda: event_id in play.open_events())
    bet = play.bet(event_id, 1)
    until("a result", lambda: play.status(bet) in ("won", "lost"))
    shown = expect(play.lines.call("GET", f"/events/{event_id}"), 200, "the event")
    wanted = {2: "won", 3: "lost"}[shown["state"]]
    check(play.status(bet) == wanted, wanted, shown)


def keys(play: Play) -> None:
    """The same key and content is the same bet; other content is refused."""
    event_id, key = play.event("keys"), {"Idempotency-Key": f"key-{play.run}"}
    body = {"event_id": event_id, "amount": "5.00"}
    first = expect(play.bets.call("POST", "/bet", body, key), 201, "a bet")
    again = expect(play.bets.call("POST", "/bet", body, key), 201, "the same bet")
    check(first["bet_id"] == again["bet_id"], "one bet", (first, again))
    body["amount"] = "5.01"
    refused(play.bets.call("POST", "/bet", body, key), {409}, "another amount under the key")
    body = {"event_id": play.event("other"), "amount": "5.00"}
    refused(play.bets.call("POST", "/bet", body, key), {409}, "another event under the key")


def refusals(play: Play) -> None:
    """Nothing wrong is taken, and nothing of it is listed."""
    event_id = play.event("refusals")
    before = len(play.listed())
    for amount in ("0", "-1", "0.001", "1e2", "true", "null", '"x"', "[]", "1" + "0" * 30):
        body = f'{{"event_id": "{event_id}", "amount": {amount}}}'
        refused(play.bets.call("POST", "/bet", body), {422}, f"an amount of {amount}")
    for body in ("", "{", '{"amount": NaN}'):
        answer = play.bets.call("POST", "/bet", body)
        refused(answer, {400, 415, 422}, f"a body of {body!r}")
    answer = play.bets.call("POST", "/bet", {"event_id": play.name("none"), "amount": 1})
    refused(answer, {404}, "an unknown event")
    # More than anybody has.
    answer = play.bets.call("POST", "/bet", {"event_id": event_id, "amount": "90000000000"})
    refused(answer, {422}, "more than there is")
    answer = play.bets.call("PATCH", "/bets/update/", {"event_id": event_id, "state": 2})
    refused(answer, {405}, "a caller who sets a result")
    refused(play.bets.call("GET", "/bets/none"), {404}, "an unknown bet")
    check(len(play.listed()) == before, "nothing was taken", play.listed()[:3])
    soon, past = ahead(60), ahead(-60)
    for coefficient, when in (
        ("0", soon),
        ("-1.5", soon),
        ("1.505", soon),
        ("1e2", soon),
        ("1.5", past),
        ("1.5", soon.split("+")[0]),
        ("1.5", int(time.time() * 1000) + 60_000),
    ):
        body_of = {"event_id": play.name("bad"), "coefficient": coefficient, "deadline": when}
        answer = play.lines.call("POST", "/events", body_of)
        refused(answer, {422}, f"odds of {coefficient} until {when}")
    answer = play.lines.call("GET", f"/events/{play.name('bad')}")
    refused(answer, {404}, "an event that was refused")


def many(play: Play) -> None:
    """640 bets at once, each its own, each listed once, page by page too."""
    event_id = play.event("many", "1.01", seconds=300)
    amounts = [str(Decimal(number) / 100) for number in range(1, PARALLEL_BETS + 1)]

    def place(amount: str) -> Answer:
        return play.bets.call("POST", "/bet", {"event_id": event_id, "amount": amount})

    with ThreadPoolExecutor(max_workers=PARALLEL_BETS) as pool:
        placed = [expect(answer, 201, "one of many") for answer in pool.map(place, amounts)]
    ids = {bet["bet_id"] for bet in placed}
    check(len(ids) == PARALLEL_BETS, "as many bets", len(ids))
    listed = [bet for bet in play.listed() if bet["event_id"] == event_id]
    check(len(listed) == PARALLEL_BETS, "each is listed once", len(listed))
    wanted = sum(Decimal(amount) for amount in amounts)
    check(sum(Decimal(bet["amount"]) for bet in listed) == wanted, "every cent", wanted)
    play.state(event_id, 2)
    until("all won", lambda: all_won(play, event_id))
    paged: list[str] = []
    path: str | None = "/bets?limit=100"
    while path is not None:
        answer = play.bets.call("GET", path)
        paged += [bet["bet_id"] for bet in expect(answer, 200, "a page")]
        path = following(answer, play.bets.base)
    check(paged == [bet["bet_id"] for bet in play.listed()], "the pages are the list", len(paged))


def all_won(play: Play, event_id: str) -> bool:
    """Whether every bet on the event is won."""
    return all(bet["status"] == "won" for bet in play.listed() if bet["event_id"] == event_id)


def following(answer: Answer, base: str) -> str | None:
    """The path of the next page below `base`, from the `Link` header."""
    link = answer.headers.get("link")
    if link is None:
        return None
    target, relation = link.split(";", 1)
    check('rel="next"' in relation, "a link to the next page", link)
    target = target.strip().strip("<>")
    return "/bets?" + target.split("?", 1)[1] if "?" in target else target.removeprefix(base)


PARTS: list[Callable[[Play], None]] = [
    pages,
    create_and_list,
    freshness,
    older_form,
    win_loss_correction,
    deadline,
    drawn,
    keys,
    refusals,
    many,
]


def main() -> int:
    """Plays every part in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="where both services are")
    parser.add_argument("--line-provider", help="its base URL [default: URL/line-provider]")
    parser.add_argument("--bet-maker", help="its base URL [default: URL/bet-maker]")
    parser.add_argument("--key", help="an operator's key, outside a sandbox")
    given = parser.parse_args()
    lines = Api(given.line_provider or f"{given.url}/line-provider", given.key)
    play = Play(lines, Api(given.bet_maker or f"{given.url}/bet-maker"))
    for part in PARTS:
        if part is drawn and given.key is not None:
            continue
        begun = time.monotonic()
        try:
            part(play)
        except Wrong as wrong:
            print(f"{part.__name__}: {wrong}", file=sys.stderr)
            return 1
        print(f"{part.__name__} holds ({time.monotonic() - begun:.1f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
