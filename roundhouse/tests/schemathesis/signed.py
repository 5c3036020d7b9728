"""Signs what schemathesis asks: a wallet as the platform does, the platform as a partner does.

Anything else is refused with 401.

The environment says with what and for which partner: SIGNING_KEY (`whsk_...`) and PARTNER.
"""

import base64
import hashlib
import json
import os
import time
from typing import Any

import requests
import schemathesis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SECRET = base64.b64decode(os.environ["SIGNING_KEY"].removeprefix("whsk_"))
KEY = Ed25519PrivateKey.from_private_bytes(SECRET[:32])
PARTNER = os.environ["PARTNER"]
# The headers that are set here.
SIGNED = {"partner-id", "webhook-id", "webhook-timestamp", "webhook-signature"}


@schemathesis.hook
def before_load_schema(_context: object, raw_schema: dict[str, Any]) -> None:
    """Takes the headers out that are set here: one that is made up never leaves."""
    for item in raw_schema["paths"].values():
        for operation in item.values():
            named = operation.get("parameters", [])
            operation["parameters"] = [one for one in named if one.get("name") not in SIGNED]


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
        return str(said.get("message_id") or said["chunk_id"]).encode("ascii").decode()
    except (AttributeError, KeyError, TypeError, ValueError):
        return "m_1"


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
        request.headers["webhook-signature"] = "v1a," + base64.b64encode(signature).decode()
        return request


schemathesis.auth.set_from_requests(Signed())  # type: ignore[attr-defined]
