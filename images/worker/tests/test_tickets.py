import base64
import json
import math
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from snack_worker.engine import Engine
from snack_worker.errors import WorkerError
from snack_worker.handler import make_handler
from snack_worker.settings import read_settings
from snack_worker.tickets import MAX_QUEUE_S, TicketGate

from .conftest import Run
from .stub_engine import StubEngine
from .worker_environment import ENDPOINT, OTHER_MODEL, environment, public_jwk, ticket


def _error(items: list[Any]) -> dict[str, Any]:
    assert len(items) == 1
    body: dict[str, Any] = json.loads(items[0]["error"])["error"]
    return body


def _unsigned() -> str:
    parts = ticket().split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"none","kid":"k1","typ":"snack-ticket+jwt"}').rstrip(b"=").decode()
    return f"{header}.{parts[1]}."


def _signed_with_hs256() -> str:
    claims = jwt.decode(ticket(), options={"verify_signature": False})
    secret = "a secret that the worker does not know"  # noqa: S105
    return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": "k1", "typ": "snack-ticket+jwt"})


def _tampered() -> str:
    head, body, signature = ticket().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["limits"]["max_tokens"] = 512
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{forged}.{signature}"


def _with_nested_header() -> str:
    header = base64.urlsafe_b64encode(b"[" * 1_500 + b"]" * 1_500).rstrip(b"=").decode()
    return f"{header}.{ticket().split('.', 1)[1]}"


_EXPIRED = int(time.time()) - 60

_INVALID_TICKETS = {
    "empty": ("", "ticket_missing"),
    "not a JWT": ("konbanwa", "ticket_invalid"),
    "unsigned": (_unsigned(), "ticket_invalid"),
    "signed with another algorithm": (_signed_with_hs256(), "ticket_invalid"),
    "changed after signing": (_tampered(), "ticket_invalid"),
    "signed with another key": (ticket(signer=Ed25519PrivateKey.generate()), "ticket_invalid"),
    "with an unknown key id": (ticket(headers={"kid": "k2"}), "ticket_invalid"),
    "with another type": (ticket(headers={"typ": "JWT"}), "ticket_invalid"),
    "from another stack": (ticket(iss="snack-misaki/other"), "ticket_invalid"),
    "without limits": (ticket(drop="limits"), "ticket_invalid"),
    "with a limit of zero": (
        ticket(limits={"max_tokens": 0, "max_messages": 1, "max_input_chars": 1}),
        "ticket_invalid",
    ),
    "without an expiry": (ticket(drop="exp"), "ticket_invalid"),
    "without an id": (ticket(drop="jti"), "ticket_invalid"),
    "for no job": (ticket(jobs=0), "ticket_invalid"),
    "for a number as the correlation id": (ticket(correlation_id=1), "ticket_invalid"),
    "for an unknown kind": (ticket(kind="other"), "ticket_invalid"),
    "for a text as the number of jobs": (ticket(jobs="20"), "ticket_invalid"),
    "of 500 KB": (ticket(sub="a" * 500_000), "ticket_invalid"),
    "with a deeply nested header": (_with_nested_header(), "ticket_invalid"),
    "half a character": ("\udf51", "ticket_invalid"),
    "a number": (1, "ticket_invalid"),
    "a list": ([ticket()], "ticket_invalid"),
    "null": (None, "ticket_missing"),
    "from another stack and expired": (ticket(iss="snack-misaki/other", exp=_EXPIRED), "ticket_invalid"),
    "expired": (ticket(exp=_EXPIRED), "ticket_expired"),
    "expired and for another model": (ticket(exp=_EXPIRED, aud=OTHER_MODEL), "ticket_expired"),
    "for another model": (ticket(aud=OTHER_MODEL), "ticket_wrong_model"),
    "for another endpoint": (ticket(endpoint="endpoint-2"), "ticket_wrong_model"),
    "for an empty endpoint": (ticket(endpoint=""), "ticket_wrong_model"),
    "for a number as the endpoint": (ticket(endpoint=1), "ticket_invalid"),
    "for another endpoint and expired": (ticket(endpoint="endpoint-2", exp=_EXPIRED), "ticket_expired"),
}


async def test_ticket_is_accepted_when_it_names_the_endpoint_of_the_worker(run: Run) -> None:
    items = await run(text="こんばんは", ticket=ticket(endpoint=ENDPOINT))
    assert items[-1]["done"] is True


async def test_ticket_for_an_endpoint_is_refused_when_the_worker_does_not_know_its_endpoint(
    tmp_path: Path, engine: StubEngine
) -> None:
    env = {name: value for name, value in environment(tmp_path).items() if name != "RUNPOD_ENDPOINT_ID"}
    handler = make_handler(read_settings(env), Engine(engine.base_url))
    value = {"text": "やあ", "ticket": ticket(endpoint=ENDPOINT)}
    items = [item async for item in handler({"id": "1", "input": value})]
    assert _error(items)["code"] == "ticket_wrong_model"
    assert engine.requests == []


async def test_ticket_is_accepted_when_the_clock_of_the_worker_is_slow(run: Run) -> None:
    items = await run(text="こんばんは", ticket=ticket(iat=int(time.time()) + 60))
    assert items[-1]["done"] is True


@pytest.mark.parametrize("name", _INVALID_TICKETS)
async def test_invalid_ticket_is_rejected_without_a_request_to_the_engine(
    run: Run, engine: StubEngine, name: str
) -> None:
    invalid, code = _INVALID_TICKETS[name]
    assert _error(await run(text="こんばんは", ticket=invalid))["code"] == code
    assert engine.requests == []


@pytest.mark.parametrize("name", _INVALID_TICKETS)
async def test_ticket_is_checked_before_the_shape_of_the_input(run: Run, name: str) -> None:
    invalid, code = _INVALID_TICKETS[name]
    assert _error(await run(text=[{}], messages=[], unknown={}, ticket=invalid))["code"] == code


async def test_ticket_is_refused_after_its_maximum_number_of_jobs(run: Run, engine: StubEngine) -> None:
    limited, other = ticket(jobs=3, jti="limited"), ticket(jobs=3, jti="other")
    items = [await run(text="やあ", ticket=limited) for _ in range(20)]
    assert [answer[-1].get("done") for answer in items[:3]] == [True] * 3
    assert [_error(refused) for refused in items[3:]] == 17 * [
        {"code": "ticket_expired", "message": "The ticket is used up. Ask for a new session.", "retryable": True}
    ]
    assert (await run(text="やあ", ticket=other))[-1]["done"] is True
    assert len(engine.requests) == 4


async def test_jobs_that_do_not_reach_the_engine_are_not_counted_for_their_ticket(run: Run) -> None:
    limited = ticket(jobs=1, jti="limited")
    assert [_error(await run(text=5, ticket=limited))["code"] for _ in range(3)] == ["invalid_input"] * 3
    assert (await run(text="やあ", ticket=limited))[-1]["done"] is True
    # The ticket is checked before the shape of the input.
    assert _error(await run(text=5, ticket=limited))["code"] == "ticket_expired"


async def test_ticket_without_a_job_limit_is_accepted_for_any_number_of_jobs(run: Run) -> None:
    unlimited = ticket()
    assert [(await run(text="やあ", ticket=unlimited))[-1]["done"] for _ in range(25)] == [True] * 25


_QUEUE_TIMES = [
    # The cold start took 228 s. The worker has not seen an empty queue yet, and the ticket expired 108 s ago.
    ("worker has just started", 108, math.inf, "admitted"),
    ("queue was last empty before the expiry", 108, 120, "admitted"),
    ("queue was last empty after the expiry", 108, 90, "ticket_expired"),
    ("worker keeps up with its queue", 10, 1, "ticket_expired"),
    ("ticket expired longer ago than a job may wait", MAX_QUEUE_S + 10, math.inf, "ticket_expired"),
    ("ticket has not expired", -60, 1, "admitted"),
]


@pytest.mark.parametrize(
    ("expired_ago_s", "empty_ago_s", "outcome"),
    [row[1:] for row in _QUEUE_TIMES],
    ids=[row[0] for row in _QUEUE_TIMES],
)
def test_expired_ticket_is_accepted_only_if_the_job_may_have_been_submitted_before_the_expiry(
    tmp_path: Path, expired_ago_s: float, empty_ago_s: float, outcome: str
) -> None:
    gate, now_s = _gate(tmp_path), time.time()
    expired = ticket(exp=int(now_s - expired_ago_s))
    try:
        gate.check(expired, submitted_after_s=now_s - empty_ago_s, now_s=now_s)
        code = "admitted"
    except WorkerError as error:
        code = error.code
    assert code == outcome


async def test_job_is_answered_when_its_ticket_expired_during_a_cold_start(tmp_path: Path, engine: StubEngine) -> None:
    handler = make_handler(read_settings(environment(tmp_path)), Engine(engine.base_url))
    value = {"text": "やあ", "ticket": ticket(exp=int(time.time()) - 108)}
    items = [item async for item in handler({"id": "1", "input": value, "submitted_after_s": 0})]
    assert items[-1]["done"] is True  # type: ignore[index]


def test_job_count_of_a_ticket_is_kept_while_its_jobs_can_still_arrive(tmp_path: Path) -> None:
    gate, now_s = _gate(tmp_path), time.time()
    limited = ticket(jobs=1, exp=int(now_s) + 120)
    gate.count(gate.check(limited, submitted_after_s=now_s, now_s=now_s))
    for later_s in (119, 130, 119 + MAX_QUEUE_S):
        with pytest.raises(WorkerError, match="used up"):
            gate.check(limited, submitted_after_s=0, now_s=now_s + later_s)
    assert len(gate._uses) == 1
    gate.check(ticket(jti="2"), submitted_after_s=0, now_s=now_s + 200 + MAX_QUEUE_S)
    assert gate._uses == {}


def _gate(tmp_path: Path) -> TicketGate:
    settings = read_settings(environment(tmp_path))
    return TicketGate(settings.ticket_keys, settings.ticket_issuer, settings.model, settings.endpoint)


async def test_error_for_an_expired_ticket_is_retryable(run: Run) -> None:
    error = _error(await run(text="こんばんは", ticket=ticket(exp=_EXPIRED)))
    assert error["retryable"] is True


async def test_ticket_is_accepted_when_it_expired_within_the_allowed_clock_skew(run: Run) -> None:
    items = await run(text="こんばんは", ticket=ticket(exp=int(time.time()) - 1))
    assert items[-1]["done"] is True


async def test_tickets_of_both_keys_are_accepted_during_a_key_rotation(tmp_path: Path, engine: StubEngine) -> None:
    env, new_key = environment(tmp_path), Ed25519PrivateKey.generate()
    keys = [*json.loads(env["TICKET_JWKS"])["keys"], public_jwk(new_key, "k2")]
    handler = make_handler(read_settings({**env, "TICKET_JWKS": json.dumps({"keys": keys})}), Engine(engine.base_url))

    async def last_item(signed: str) -> Any:
        return [item async for item in handler({"id": "1", "input": {"text": "やあ", "ticket": signed}})][-1]

    for valid in (ticket(), ticket(signer=new_key, headers={"kid": "k2"})):
        assert (await last_item(valid))["done"] is True
    # A ticket with the new key's id but the old key's signature is invalid, because only the key with that id is tried.
    assert _error([await last_item(ticket(headers={"kid": "k2"}))])["code"] == "ticket_invalid"


async def test_job_without_a_ticket_is_rejected(tmp_path: Path, engine: StubEngine) -> None:
    handler = make_handler(read_settings(environment(tmp_path)), Engine(engine.base_url))
    items = [item async for item in handler({"id": "1", "input": {"text": "こんばんは"}})]
    assert _error(items) == {
        "code": "ticket_missing",
        "message": "A ticket is required. Ask for a session first.",
        "retryable": False,
    }
    assert engine.requests == []


async def test_reply_tokens_are_limited_by_the_ticket_and_the_contract(run: Run, engine: StubEngine) -> None:
    await run(text="こんばんは", params={"max_tokens": 512})
    await run(text="こんばんは", params={"max_tokens": 20})
    await run(text="こんばんは")
    generous = ticket(limits={"max_tokens": 9_000, "max_messages": 1, "max_input_chars": 10})
    await run(text="こんばんは", ticket=generous)
    assert [request["max_tokens"] for request in engine.requests] == [200, 20, 200, 512]


async def test_conversation_is_rejected_when_it_exceeds_the_limits_of_its_ticket(run: Run, engine: StubEngine) -> None:
    messages = [{"role": "user", "content": "ね"}] * 11
    error = _error(await run(messages=messages))
    assert error["code"] == "too_long"
    assert error["message"] == "input.messages: at most 10 messages are allowed."
    error = _error(await run(messages=[{"role": "user", "content": "ね" * 501}]))
    assert error["code"] == "too_long"
    assert error["message"] == "input.messages[0].content: at most 500 characters are allowed."
    assert engine.requests == []
