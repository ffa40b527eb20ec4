"""
Tickets: short-lived JWTs (EdDSA, Ed25519) that let their holder use one model. They are verified offline, before the
GPU is used.

Order of the checks: present, genuine (algorithm, `typ`, key, signature, issuer, shape), not expired, for this model.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeGuard

import jwt

from .errors import WorkerError

TICKET_TYPE = "snack-ticket+jwt"
ALGORITHM = "EdDSA"

# Tolerated difference between the clocks of the signer and a GPU host.
CLOCK_SKEW_S = 5

TicketKeys = Mapping[str, jwt.PyJWK]
"""Public keys by `kid`. There are two during a key rotation."""


@dataclass(frozen=True)
class Limits:
    """Limits of one ticket. All are positive."""

    max_tokens: int
    max_messages: int
    max_input_chars: int


def parse_jwks(text: str) -> TicketKeys:
    """Returns the Ed25519 keys of a JWKS document by `kid`. Raises ValueError for an unusable key or an empty list."""
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
    Returns the limits of a valid ticket. Otherwise raises WorkerError with the first code that applies: ticket_missing,
    ticket_invalid, ticket_expired, ticket_wrong_model.
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
            # Expiry and audience have separate error codes and are checked below. The issue time is not checked: a host
            # with a slow clock would reject every new ticket.
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
        raise WorkerError("ticket_invalid", cause="invalid claims")
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
