import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from snack_worker.engine import Engine
from snack_worker.handler import make_handler
from snack_worker.settings import read_settings

from .conftest import Run
from .stub_engine import StubEngine
from .tickets_maker import environment, ticket


def _error(items: list[Any]) -> dict[str, Any]:
    assert len(items) == 1
    body: dict[str, Any] = json.loads(items[0]["error"])["error"]
    return body


def _unsigned() -> str:
    parts = ticket().split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"none","kid":"k1","typ":"snack-ticket+jwt"}').rstrip(b"=").decode()
    return f"{header}.{parts[1]}."


def _with_symmetric_key() -> str:
    claims = jwt.decode(ticket(), options={"verify_signature": False})
    secret = "the public key is no secret to anybody"  # noqa: S105
    return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": "k1", "typ": "snack-ticket+jwt"})


def _tampered() -> str:
    head, body, signature = ticket().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["limits"]["max_tokens"] = 512
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{forged}.{signature}"


_EXPIRED = int(time.time()) - 60

_BAD_TICKETS = {
    "empty": ("", "ticket_missing"),
    "not a JWT": ("konbanwa", "ticket_invalid"),
    "without a signature": (_unsigned(), "ticket_invalid"),
    "signed with another algorithm": (_with_symmetric_key(), "ticket_invalid"),
    "changed after signing": (_tampered(), "ticket_invalid"),
    "signed by a stranger": (ticket(signer=Ed25519PrivateKey.generate()), "ticket_invalid"),
    "of an unknown key": (ticket(headers={"kid": "k2"}), "ticket_invalid"),
    "of another type": (ticket(headers={"typ": "JWT"}), "ticket_invalid"),
    "of another environment": (ticket(iss="snack-misaki/other"), "ticket_invalid"),
    "without limits": (ticket(drop="limits"), "ticket_invalid"),
    "with limits of nothing": (
        ticket(limits={"max_tokens": 0, "max_messages": 1, "max_input_chars": 1}),
        "ticket_invalid",
    ),
    "without an expiry": (ticket(drop="exp"), "ticket_invalid"),
    "of another environment, and expired": (ticket(iss="snack-misaki/other", exp=_EXPIRED), "ticket_invalid"),
    "expired": (ticket(exp=_EXPIRED), "ticket_expired"),
    "expired, for another model": (ticket(exp=_EXPIRED, aud="mistral"), "ticket_expired"),
    "for another model": (ticket(aud="mistral"), "ticket_wrong_model"),
}


async def test_a_new_ticket_is_good_on_a_host_whose_clock_is_slow(run: Run) -> None:
    items = await run(text="こんばんは", ticket=ticket(iat=int(time.time()) + 60))
    assert items[-1]["done"] is True


@pytest.mark.parametrize("name", _BAD_TICKETS)
async def test_a_bad_ticket_never_reaches_the_engine(run: Run, engine: StubEngine, name: str) -> None:
    bad, code = _BAD_TICKETS[name]
    assert _error(await run(text="こんばんは", ticket=bad))["code"] == code
    assert engine.requests == []


async def test_an_expired_ticket_is_worth_a_new_session(run: Run) -> None:
    error = _error(await run(text="こんばんは", ticket=ticket(exp=_EXPIRED)))
    assert error["retryable"] is True


async def test_a_ticket_just_expired_is_forgiven_for_clock_skew(run: Run) -> None:
    items = await run(text="こんばんは", ticket=ticket(exp=int(time.time()) - 1))
    assert items[-1]["done"] is True


async def test_while_a_key_is_replaced_tickets_of_both_are_good(tmp_path: Path, engine: StubEngine) -> None:
    env, new = environment(tmp_path), Ed25519PrivateKey.generate()
    [old] = json.loads(env["TICKET_JWKS"])["keys"]
    keys = [old, {**OKPAlgorithm.to_jwk(new.public_key(), as_dict=True), "kid": "k2"}]
    handler = make_handler(read_settings({**env, "TICKET_JWKS": json.dumps({"keys": keys})}), Engine(engine.base_url))

    async def last(good_or_bad: str) -> Any:
        return [item async for item in handler({"id": "1", "input": {"text": "やあ", "ticket": good_or_bad}})][-1]

    for good in (ticket(), ticket(signer=new, headers={"kid": "k2"})):
        assert (await last(good))["done"] is True
    # Each key is asked for the signatures that name it alone.
    assert _error([await last(ticket(headers={"kid": "k2"}))])["code"] == "ticket_invalid"


async def test_a_job_without_a_ticket_says_so(tmp_path: Path, engine: StubEngine) -> None:
    handler = make_handler(read_settings(environment(tmp_path)), Engine(engine.base_url))
    items = [item async for item in handler({"id": "1", "input": {"text": "こんばんは"}})]
    assert _error(items) == {
        "code": "ticket_missing",
        "message": "A ticket is required. Ask for a session first.",
        "retryable": False,
    }
    assert engine.requests == []


async def test_reply_tokens_are_capped_by_the_ticket(run: Run, engine: StubEngine) -> None:
    await run(text="こんばんは", params={"max_tokens": 512})
    await run(text="こんばんは", params={"max_tokens": 20})
    await run(text="こんばんは")
    generous = ticket(limits={"max_tokens": 9_000, "max_messages": 1, "max_input_chars": 10})
    await run(text="こんばんは", ticket=generous)
    assert [request["max_tokens"] for request in engine.requests] == [200, 20, 200, 512]


async def test_a_conversation_longer_than_the_ticket_allows_is_too_long(run: Run, engine: StubEngine) -> None:
    turns = [{"role": "user", "content": "ね"}] * 11
    error = _error(await run(messages=turns))
    assert error["code"] == "too_long"
    assert error["message"] == "input.messages: at most 10 messages are allowed."
    error = _error(await run(messages=[{"role": "user", "content": "ね" * 501}]))
    assert error["code"] == "too_long"
    assert error["message"] == "input.messages[0].content: at most 500 characters are allowed."
    assert engine.requests == []
