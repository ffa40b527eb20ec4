"""
Tickets: short-lived JWTs (EdDSA, Ed25519) that let their holder use one model. Verified offline, before any GPU time.

Checked in this order: present, genuine (algorithm, `typ`, key, signature, issuer, shape), not expired, for this model.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeGuard

import jwt

from .errors import WorkerError

TICKET_TYPE = "snack-ticket+jwt"
ALGORITHM = "EdDSA"

# Clocks of the signer and of a GPU host differ a little.
CLOCK_SKEW_S = 5

TicketKeys = Mapping[str, jwt.PyJWK]
"""Public keys by `kid`; two of them while a key is being rotated."""


@dataclass(frozen=True)
class Limits:
    """What one ticket allows, all positive."""

    max_tokens: int
    max_messages: int
    max_input_chars: int


def parse_jwks(text: str) -> TicketKeys:
    """Ed25519 keys of a JWKS document by `kid`. Raises ValueError when a key is unusable or there is none."""
    document = json.loads(text)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        raise ValueError('"keys" must be a non-empty list')
    keys: dict[str, jwt.PyJWK] = {}
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("crv") != "Ed25519" or not isinstance(entry.get("kid"), str):
            raise ValueError('every key needs "crv": "Ed25519" and a "kid"')
        if "d" in entry:
            raise ValueError(f"key {entry['kid']!r} is a private key")
        try:
            keys[entry["kid"]] = jwt.PyJWK(entry, algorithm=ALGORITHM)
        except jwt.PyJWTError as error:
            raise ValueError(f"key {entry['kid']!r} cannot be read") from error
    return keys


def verify_ticket(ticket: str | None, *, keys: TicketKeys, issuer: str, model: str, now_s: float) -> Limits:
    """
    The limits of a good ticket. Raises WorkerError: ticket_missing, ticket_invalid, ticket_expired or
    ticket_wrong_model, whichever comes first in that order.
    """
    if not ticket:
        raise WorkerError("ticket_missing")
    try:
        header = jwt.get_unverified_header(ticket)
        key = keys.get(str(header.get("kid")))
        if header.get("typ") != TICKET_TYPE or key is None:
            raise WorkerError("ticket_invalid", cause="unknown typ or kid")
        claims: dict[str, Any] = jwt.decode(
            ticket,
            key,
            algorithms=[ALGORITHM],
            issuer=issuer,
            leeway=CLOCK_SKEW_S,
            # Expiry and audience have codes of their own, after everything that makes a ticket genuine. When it was
            # made is no matter: a host whose clock is slow would refuse every new one.
            options={
                "require": ["iss", "sub", "aud", "iat", "exp", "jti"],
                "verify_exp": False,
                "verify_aud": False,
                "verify_iat": False,
            },
        )
    except jwt.PyJWTError as error:
        raise WorkerError("ticket_invalid", cause=type(error).__name__) from error

    limits = _limits(claims.get("limits"))
    expires_s = claims["exp"]
    if limits is None or not _is_int(expires_s):
        raise WorkerError("ticket_invalid", cause="claims of the wrong shape")
    if now_s >= expires_s + CLOCK_SKEW_S:
        raise WorkerError("ticket_expired")
    if claims["aud"] != model:
        raise WorkerError("ticket_wrong_model")
    return limits


def _limits(value: object) -> Limits | None:
    if not isinstance(value, dict):
        return None
    numbers: list[Any] = [value.get(field.name) for field in fields(Limits)]
    return Limits(*numbers) if all(_is_int(number) and number > 0 for number in numbers) else None


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
