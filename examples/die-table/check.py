"""Checks the draws of a die table: docs/rules/die-table.md. Python's standard library alone."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path


def fault(line: str) -> str | None:
    """What is wrong with a proof, or None."""
    proof = json.loads(line)
    seed, sealed_at = str(proof["seed"]), int(proof["sealed_at"])
    commitment = base64.urlsafe_b64encode(hashlib.sha256(seed.encode()).digest())
    round_id = "d_" + commitment.decode()[:34]
    if round_id != proof["round_id"]:
        return f"the seed belongs to round {round_id}"
    text = f"{seed}/{round_id}/{sealed_at}"
    while True:
        for byte in hashlib.sha256(text.encode()).digest():
            if byte < 252:
                outcome = byte % 6 + 1
                return None if outcome == proof["outcome"] else f"the die shows {outcome}"
        text += "/"


def main(path: Path) -> int:
    """Checks every line of the file; 1 if one is no proof."""
    checked = wrong = 0
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            found = fault(line)
            checked += 1
            if found is not None:
                wrong += 1
                print(f"line {number}: {found}")
    print(f"{checked} draws checked, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: check.py proofs.jsonl")
    sys.exit(main(Path(sys.argv[1])))
