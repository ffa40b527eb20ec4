"""Signed tickets, and the environment of a worker that accepts them."""

import json
import time
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from snack_worker.settings import MODEL_PLANS

MODELS = list(MODEL_PLANS)

# MODEL is the model of the worker under test, unless a test sets another model. The worker rejects tickets for
# OTHER_MODEL.
MODEL, OTHER_MODEL = MODELS[:2]

ISSUER = "snack-misaki/test"
VERSION = "2026-11-22"
ENDPOINT = "endpoint-1"
LIMITS = {"max_tokens": 200, "max_messages": 10, "max_input_chars": 500}

ticket_key = Ed25519PrivateKey.generate()


def ticket(
    *,
    signer: Ed25519PrivateKey = ticket_key,
    headers: dict[str, Any] | None = None,
    drop: str | None = None,
    **claims: Any,
) -> str:
    """Signs a valid ticket for MODEL. `headers` and `claims` override values, and `drop` removes a claim."""
    now_s = int(time.time())
    payload: dict[str, Any] = {
        "iss": ISSUER,
        "sub": "guest:1",
        "aud": MODEL,
        "plan": MODEL_PLANS[MODEL],
        "limits": LIMITS,
        "iat": now_s,
        "exp": now_s + 3_600,
        "jti": "1",
        **claims,
    }
    if drop:
        del payload[drop]
    return jwt.encode(
        payload, signer, algorithm="EdDSA", headers={"kid": "k1", "typ": "snack-ticket+jwt", **(headers or {})}
    )


def public_jwk(key: Ed25519PrivateKey, kid: str) -> dict[str, Any]:
    """Returns the public half of a key as a JSON Web Key."""
    return {**OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "alg": "EdDSA", "use": "sig"}


def environment(directory: Path, **overrides: str) -> dict[str, str]:
    """Returns the variables of a worker for MODEL. Writes its version file to `directory`."""
    version_file = directory / "version.json"
    version_file.write_text(json.dumps({"version": VERSION}))
    return {
        "MODEL": MODEL,
        "TICKET_ISSUER": ISSUER,
        "TICKET_JWKS": json.dumps({"keys": [public_jwk(ticket_key, "k1")]}),
        "MODEL_VERSION_FILE": str(version_file),
        "RUNPOD_ENDPOINT_ID": ENDPOINT,
        "ENGINE_BASE_URL": "http://127.0.0.1:8000/v1",
        **overrides,
    }
