"""Signs what schemathesis asks: a wallet as the platform does, the platform as a partner does.

Anything else is refused with 401.

The environment says with what and for which partner: SIGNING_KEY (`whsk_...`) and PARTNER; and
BET, where there is one of this partner that may be told again.
"""

import base64
import hashlib
import json
import os
import re
import time
from typing import Any

import jsonschema_rs
import requests
import schemathesis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SECRET = base64.b64decode(os.environ["SIGNING_KEY"].removeprefix("whsk_"))
KEY = Ed25519PrivateKey.from_private_bytes(SECRET[:32])
PARTNER = os.environ["PARTNER"]
# What an id is made of, and the id of what has none.
ID, OTHER_ID = re.compile(r"[A-Za-z0-9_:-]{1,64}"), "m_1"
# The headers that are set here. Another date is refused before all else is read, and no wallet goes
# by the attempt.
SIGNED = {"partner-id", "webhook-id", "webhook-timestamp", "webhook-signature"}
SET = SIGNED | {"Api-Version", "Attempt"}
# The date of the contract, as the document says it.
VERSION: list[str] = []
STATE_PATH = "/wallet/v1/bets/state"
# What the document of the wallet says of a chunk besides its items, and of an item.
CHUNK_AND_ITEM: list[Any] = []


@schemathesis.hook
def before_load_schema(_context: object, raw_schema: dict[str, Any]) -> None:
    """Takes the headers out that are set here: one that is made up never leaves.

    Whoever is named in a body is the one whose wallet it is: any other is refused before all else
    is read.
    """
    VERSION[:] = [raw_schema["info"]["version"]]
    schemas = raw_schema["components"]["schemas"]
    if "StateRequest" in schemas:
        chunk = json.loads(json.dumps(schemas["StateRequest"]))
        item = chunk["properties"]["items"].pop("items")
        components = {"components": raw_schema["components"]}
        made = [chunk | components, item | components]
        CHUNK_AND_ITEM[:] = [jsonschema_rs.Draft202012Validator(one) for one in made]
    if (bet := os.environ.get("BET")) and "/replay" in raw_schema["paths"]:
        (body,) = raw_schema["paths"]["/replay"]["post"]["requestBody"]["content"].values()
        body["examples"] = {"bets": {"value": {"bet_ids": [bet]}}}
    schemas["PartnerId"]["enum"] = [PARTNER]
    for path in raw_schema["paths"].values():
        for operation in path.values():
            named = operation.get("parameters", [])
            operation["parameters"] = [one for one in named if one.get("name") not in SET]


def id_of(request: requests.PreparedRequest, body: bytes) -> str:
    """The id that the message has by the contract; any other message has any id."""
    asked = f"{PARTNER}\n{request.path_url}"
    if request.method == "GET":
        return f"get_{hashlib.sha256(asked.encode()).hexdigest()[:32]}"
    if request.path_url.startswith("/partner/v1/"):
        digest = hashlib.sha256(asked.encode() + b"\n" + body).hexdigest()
        return f"post_{digest[:32]}"
    try:
        said = json.loads(body)
        named = str(said.get("message_id") or said["chunk_id"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return OTHER_ID
    return named if re.fullmatch(ID, named) else OTHER_ID


@schemathesis.check
def only_items_are_taken(_context: object, response: Any, _case: object) -> None:
    """Items are refused one by one, in a 200: none is taken that the document does not allow."""
    asked = response.request
    if not CHUNK_AND_ITEM or asked.path_url != STATE_PATH or response.status_code != 200:
        return
    body, results = json.loads(asked.body), response.json()["results"]
    chunk, item = CHUNK_AND_ITEM
    assert chunk.is_valid(body), "it took a chunk that is none"
    for told, result in zip(body["items"], results, strict=True):
        is_refused = result["outcome"] == "rejected"
        assert is_refused or item.is_valid(told), f"it took an item that is none: {told}"


class Signed(requests.auth.AuthBase):
    """Over the bytes as they leave."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        body = body if isinstance(body, bytes) else b""
        name, at = id_of(request, body), str(int(time.time()))
        signature = KEY.sign(f"{name}.{at}.".encode() + body)
        # What the platform reads, and no wallet.
        request.headers["partner-id"] = PARTNER
        request.headers["webhook-id"] = name
        request.headers["webhook-timestamp"] = at
        request.headers["Api-Version"] = VERSION[0]
        request.headers["webhook-signature"] = "v1a," + base64.b64encode(signature).decode()
        return request


schemathesis.auth.set_from_requests(Signed())  # type: ignore[attr-defined]
