"""
Tickets: short-lived JWTs (EdDSA, Ed25519) that let their holder send some jobs to one model. The worker verifies them
offline, before it uses the GPU.

The checks have this order: present, genuine (algorithm, `typ`, key, signature, issuer, shape), not expired, for this
model and endpoint, not used up. A ticket without an endpoint is for all endpoints of its model.

RunPod does not return the submission time of a job. A job may wait for minutes while a worker starts, and its ticket
may expire during the wait. Therefore the worker accepts a ticket that was valid at the earliest possible submission
time. This time is the newest time at which the queue was empty, but at most MAX_QUEUE_S ago. For a worker without a
backlog, it is about a second ago.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeGuard

import jwt
from jwt.utils import base64url_decode

from .errors import WorkerError

TICKET_TYPE = "snack-ticket+jwt"
ALGORITHM = "EdDSA"
# `kind` of the ticket of a keep-alive job.
KEEP_ALIVE = "keepalive"

# Tolerated difference between the clocks of the signer and a GPU host.
CLOCK_SKEW_S = 5

# Maximum time in RunPod's queue after the expiry of a job's ticket. RunPod ends a worker that is not ready after seven
# minutes.
MAX_QUEUE_S = 600

# Maximum length of a text that the worker decodes. Our tickets have about 500 characters.
MAX_TICKET_CHARS = 4_096

# Interval at which counts of expired tickets are dropped.
PRUNE_S = 60

TicketKeys = Mapping[str, jwt.PyJWK]
"""Public keys by `kid`. During a key rotation, there are two keys."""


@dataclass(frozen=True)
class Limits:
    """Limits of one ticket. Every limit is positive."""

    max_tokens: int
    max_messages: int
    max_input_chars: int


@dataclass(frozen=True)
class Ticket:
    """Claims of a valid ticket."""

    id: str
    expires_s: int
    jobs: int | None
    """Number of jobs that a worker accepts with the ticket. None: no limit, as in tickets of older stacks."""
    limits: Limits
    correlation_id: str | None
    """Id of the API request that opened the session, for the log. None in tickets of older stacks."""
    is_keep_alive: bool
    """Whether the job only keeps RunPod from shrinking an idle endpoint."""


class TicketGate:
    """Admits the jobs of one model by their tickets. Counts the jobs of each ticket on this worker."""

    def __init__(self, keys: TicketKeys, issuer: str, model: str, endpoint: str | None) -> None:
        self._keys = keys
        self._issuer = issuer
        self._model = model
        self._endpoint = endpoint
        self._uses: dict[str, tuple[int, int]] = {}
        """Number of jobs and expiry by ticket id."""
        self._next_prune_s = 0.0

    def check(self, ticket: object, *, submitted_after_s: float, now_s: float) -> Ticket:
        """
        Returns the claims of a job's ticket, which can be any JSON. `submitted_after_s` is the earliest possible
        submission time of the job. Raises WorkerError with the first code that applies: ticket_missing, ticket_invalid,
        ticket_expired, ticket_wrong_model. A used-up ticket gets ticket_expired, because clients then request a new
        ticket.
        """
        submitted_s = min(now_s, max(submitted_after_s, now_s - MAX_QUEUE_S))
        valid = verify_ticket(
            ticket,
            keys=self._keys,
            issuer=self._issuer,
            model=self._model,
            endpoint=self._endpoint,
            now_s=submitted_s,
        )
        self._prune(now_s)
        if valid.jobs is not None and self._uses.get(valid.id, (0, 0))[0] >= valid.jobs:
            raise WorkerError("ticket_expired", "The ticket is used up. Ask for a new session.", cause="used up")
        return valid

    def count(self, ticket: Ticket) -> None:
        """Counts a job that is sent to the engine."""
        self._uses[ticket.id] = (self._uses.get(ticket.id, (0, 0))[0] + 1, ticket.expires_s)

    def _prune(self, now_s: float) -> None:
        if now_s < self._next_prune_s:
            return
        self._next_prune_s = now_s + PRUNE_S
        oldest_s = now_s - MAX_QUEUE_S - CLOCK_SKEW_S
        self._uses = {ticket: use for ticket, use in self._uses.items() if use[1] >= oldest_s}


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


def verify_ticket(
    ticket: object, *, keys: TicketKeys, issuer: str, model: str, endpoint: str | None, now_s: float
) -> Ticket:
    """
    Returns the claims of a ticket that is valid at `now_s`. Otherwise raises WorkerError with the first code that
    applies: ticket_missing, ticket_invalid, ticket_expired, ticket_wrong_model.
    """
    if ticket is None or ticket == "":
        raise WorkerError("ticket_missing")
    if not isinstance(ticket, str) or len(ticket) > MAX_TICKET_CHARS:
        raise WorkerError("ticket_invalid", cause="not a ticket")
    claims = _verify_signature(ticket, keys, issuer)
    expires_s, jobs, limits = claims["exp"], claims.get("jobs"), _limits(claims.get("limits"))
    correlation_id, kind = claims.get("correlation_id"), claims.get("kind")
    only_endpoint = claims.get("endpoint")
    if limits is None or not _is_int(expires_s) or not (jobs is None or (_is_int(jobs) and jobs > 0)):
        raise WorkerError("ticket_invalid", cause="invalid claims")
    if not isinstance(correlation_id, str | None) or kind not in (None, KEEP_ALIVE):
        raise WorkerError("ticket_invalid", cause="invalid claims")
    if not isinstance(only_endpoint, str | None):
        raise WorkerError("ticket_invalid", cause="invalid claims")
    if now_s >= expires_s + CLOCK_SKEW_S:
        raise WorkerError("ticket_expired")
    if claims["aud"] != model or only_endpoint not in (None, endpoint):
        raise WorkerError("ticket_wrong_model")
    return Ticket(str(claims["jti"]), expires_s, jobs, limits, correlation_id, kind == KEEP_ALIVE)


def _verify_signature(ticket: str, keys: TicketKeys, issuer: str) -> dict[str, Any]:
    try:
        header = json.loads(base64url_decode(ticket.partition(".")[0]))
        key = keys.get(str(header["kid"]))
        if header["typ"] != TICKET_TYPE or key is None:
            raise WorkerError("ticket_invalid", cause="unknown typ or kid")
        claims: dict[str, Any] = jwt.decode(
            ticket,
            key,
            algorithms=[ALGORITHM],
            issuer=issuer,
            leeway=CLOCK_SKEW_S,
            # The caller checks expiry and audience, because they have separate error codes. The issue time is not
            # checked. Otherwise a host with a slow clock would reject every new ticket.
            options={
                "require": ["iss", "sub", "aud", "iat", "exp", "jti"],
                "verify_exp": False,
                "verify_aud": False,
                "verify_iat": False,
            },
        )
    # The header can be any text.
    except (jwt.PyJWTError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise WorkerError("ticket_invalid", cause=type(error).__name__) from error
    return claims


def _limits(value: object) -> Limits | None:
    if not isinstance(value, dict):
        return None
    numbers: list[Any] = [value.get(field.name) for field in fields(Limits)]
    return Limits(*numbers) if all(_is_int(number) and number > 0 for number in numbers) else None


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
