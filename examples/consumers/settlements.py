#!/usr/bin/env python3
"""Sums of bets and money by partner and currency, from the topic settlements.v1 alone.

Reads every partition from its beginning to the end that it has at the start, as an upsert stream:
of each bet, the settlement with the highest revision counts, whatever the order in which they
arrive and however often. Writes nothing and joins no group.

    python3 -m venv venv && venv/bin/pip install -r examples/consumers/requirements.txt
    venv/bin/python examples/consumers/settlements.py --brokers localhost:9092

Prints one JSON object; amounts are integers in minor units. docs/data/consumers.md says what they
mean.
"""

from __future__ import annotations

import argparse
import io
import json
import struct
import sys
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import confluent_kafka as kafka
import fastavro

Settlement = dict[str, Any]
"""A record of the topic, as its schema says."""

SUMS = ("bets", "stakes", "held", "lost", "won_stakes", "payouts", "released")
SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
# Seconds without a record, a partition's end or an error that a person should hear of.
SILENCE_MAX = 30


class Decoder:
    """Values in the Confluent wire format: byte 0, four bytes of a schema's id, an Avro datum."""

    def __init__(self, directory: Path) -> None:
        ids: dict[str, str] = json.loads((directory / "ids.json").read_text())
        self.schemas = {
            int(number): fastavro.schema.load_schema(str(directory / path))
            for number, path in ids.items()
        }

    def decode(self, value: bytes) -> Settlement:
        magic, number = struct.unpack_from(">bI", value)
        if magic != 0:
            raise ValueError("it is not framed")
        if number not in self.schemas:
            raise ValueError(f"schema {number} is not in schemas/ids.json: update the checkout")
        datum = io.BytesIO(value[5:])
        record = fastavro.schemaless_reader(datum, self.schemas[number], None)
        if datum.read(1) or not isinstance(record, dict):
            raise ValueError("it is no record, or there are bytes behind it")
        return record


def records(brokers: str, topic: str) -> Iterator[kafka.Message]:
    """Every record of the topic, from each partition's beginning to its end as of now."""
    consumer = kafka.Consumer(
        {
            "bootstrap.servers": brokers,
            # The client wants a name; nothing joins or commits under it.
            "group.id": f"settlements-example-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            # Never skip in silence what the broker has deleted meanwhile.
            "auto.offset.reset": "error",
        }
    )
    try:
        found = consumer.list_topics(topic, timeout=SILENCE_MAX).topics[topic]
        if found.error or not found.partitions:
            sys.exit(f"settlements: the brokers at {brokers} have no topic {topic}: {found.error}")
        starts: list[kafka.TopicPartition] = []
        ends: dict[int, int] = {}
        for number in found.partitions:
            partition = kafka.TopicPartition(topic, number)
            start, end = consumer.get_watermark_offsets(partition, timeout=SILENCE_MAX)
            if start < end:
                starts.append(kafka.TopicPartition(topic, number, start))
                ends[number] = end
        consumer.assign(starts)
        while ends:
            message = consumer.poll(SILENCE_MAX)
            if message is None:
                sys.exit(f"settlements: no word from {brokers} for {SILENCE_MAX} s")
            number, error = message.partition(), message.error()
            if error and error.code() != kafka.KafkaError._PARTITION_EOF:
                sys.exit(f"settlements: {topic}/{number} cannot be read: {error}")
            if number is None or number not in ends:
                continue
            # Offsets may have gaps, the last one too: then the end of the partition says that it is
            # reached.
            offset = None if error else message.offset()
            if offset is not None and offset < ends[number]:
                yield message
            if offset is None or ends[number] <= offset + 1:
                del ends[number]
    finally:
        consumer.close()


def newest(messages: Iterable[kafka.Message], decoder: Decoder) -> dict[str, Settlement]:
    """Of each bet, the settlement with the highest revision."""
    bets: dict[str, Settlement] = {}
    for message in messages:
        place = f"{message.topic()}/{message.partition()} offset {message.offset()}"
        try:
            settlement = decoder.decode(message.value() or b"")
        except (ValueError, EOFError, struct.error) as error:
            sys.exit(f"settlements: {place} cannot be read: {error}")
        if (message.key() or b"").decode() != settlement.get("settlement_id"):
            sys.exit(f"settlements: {place} is no settlement with its id as the key")
        known = bets.get(settlement["bet_id"])
        if known is None or known["revision"] < settlement["revision"]:
            bets[settlement["bet_id"]] = settlement
    return bets


def sums(bets: dict[str, Settlement]) -> dict[str, dict[str, int]]:
    """By "partner currency/decimals": where the stakes are, and what was paid out."""
    totals: dict[str, dict[str, int]] = {}
    for bet in bets.values():
        name = f"{bet['partner_id']} {bet['currency']}/{bet['exponent']}"
        total = totals.setdefault(name, dict.fromkeys(SUMS, 0))
        total["bets"] += 1
        total["stakes"] += bet["stake_units"]
        total["payouts"] += bet["payout_units"]
        total[place(bet)] += bet["stake_units"]
    return dict(sorted(totals.items()))


def place(bet: Settlement) -> str:
    """Where the stake of the bet is."""
    match bet["target"]:
        case "settled":
            return "won_stakes" if bet["payout_units"] else "lost"
        case "voided":
            return "released"
        case "held":
            return "held"
        case other:
            sys.exit(f"settlements: {bet['settlement_id']} has the target {other}, not known here")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--brokers", default="localhost:9092", help="host:port, separated by commas [%(default)s]"
    )
    parser.add_argument("--topic", default="settlements.v1", help="[%(default)s]")
    parser.add_argument(
        "--schemas", type=Path, default=SCHEMAS, help="the directory of the contract [%(default)s]"
    )
    args = parser.parse_args()
    bets = newest(records(args.brokers, args.topic), Decoder(args.schemas))
    print(json.dumps(sums(bets), indent=2))


if __name__ == "__main__":
    main()
