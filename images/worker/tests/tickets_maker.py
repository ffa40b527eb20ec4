"""Makes real tickets, and the environment of a worker that trusts them."""

import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

ISSUER = "snack-misaki/test"
LIMITS = {"max_tokens": 200, "max_messages": 10, "max_input_chars": 500}

key = Ed25519PrivateKey.generate()


def ticket(
    *, signer: Ed25519PrivateKey = key, headers: dict[str, Any] | None = None, drop: str | None = None, **claims: Any
) -> str:
    """A good phi3 ticket, but for what is given."""
    now_s = int(time.time())
    payload: dict[str, Any] = {
        "iss": ISSUER,
        "sub": "guest:1",
        "aud": "phi3",
        "plan": "free",
        "limits": LIMITS,
        "iat": now_s,
        "exp": now_s + 120,
        "jti": "1",
        **claims,
    }
    if drop:
        del payload[drop]
    return jwt.encode(
        payload, signer, algorithm="EdDSA", headers={"kid": "k1", "typ": "snack-ticket+jwt", **(headers or {})}
    )


def environment(directory: Path, **more: str) -> dict[str, str]:
    """The variables a phi3 worker needs; its version file is written to `directory`."""
    version_file = directory / "version.json"
    version_file.write_text('{"version": "2026-11-22"}')
    public = {**OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "k1", "alg": "EdDSA", "use": "sig"}
    return {
        "MODEL": "phi3",
        "TICKET_ISSUER": ISSUER,
        "TICKET_JWKS": json.dumps({"keys": [public]}),
        "MODEL_VERSION_FILE": str(version_file),
        "ENGINE_BASE_URL": "http://127.0.0.1:8000/v1",
        **more,
    }
