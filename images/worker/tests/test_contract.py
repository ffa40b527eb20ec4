"""Every shape that was ever shipped, against the handler: old readers must be able to read what it yields."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from snack_worker.engine import Engine
from snack_worker.errors import WorkerError
from snack_worker.handler import COALESCE_WINDOW_S, make_handler
from snack_worker.settings import read_settings

from .contract_rules import Change, Fixture, changed, filled, incompatibilities, read_codes, read_fixtures, versions
from .stub_engine import StubEngine, event, text_event
from .worker_environment import LIMITS, environment, ticket

Answer = Callable[[Fixture], Awaitable[list[Any]]]

MODELS = ["phi3", "mistral"]
FIXTURES = read_fixtures()


def _values(model: str) -> dict[str, Any]:
    other = MODELS[1 - MODELS.index(model)]
    return {
        "$TICKET": ticket(aud=model),
        "$EXPIRED_TICKET": ticket(aud=model, exp=1),
        "$OTHER_MODELS_TICKET": ticket(aud=other),
        "$MODEL": model,
        "$OTHER_MODEL": other,
        "$TEXT_AT_LIMIT": "a" * LIMITS["max_input_chars"],
        "$TEXT_OVER_LIMIT": "あ" * (LIMITS["max_input_chars"] + 1),
        "$MESSAGES_AT_LIMIT": [{"role": "user", "content": "やあ"}] * LIMITS["max_messages"],
        "$MESSAGES_OVER_LIMIT": [{"role": "user", "content": "やあ"}] * (LIMITS["max_messages"] + 1),
    }


@pytest.fixture
def answer(engine: StubEngine, tmp_path: Path, request: pytest.FixtureRequest) -> Answer:
    """The handler of a model (phi3, or the test's parameter) on an engine that keeps to `max_tokens`."""

    async def talk(response: web.StreamResponse) -> None:
        words = list("あら、いらっしゃい。")
        said = words[: engine.requests[-1]["max_tokens"]]
        # No model is done within a millisecond, and a reply that says so counts in seconds.
        await asyncio.sleep(0.002)
        for word in said:
            await response.write(text_event(word))
            if word == "、":
                # Longer than text is gathered, so that a reply is more than one piece.
                await asyncio.sleep(2 * COALESCE_WINDOW_S)
        reason = "stop" if said == words else "length"
        usage = {"prompt_tokens": 40, "completion_tokens": len(said), "prompt_tokens_details": {"cached_tokens": 32}}
        await response.write(event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}))
        await response.write(event({"choices": [], "usage": usage}) + b"data: [DONE]\n\n")

    engine.answers = [talk]
    model = getattr(request, "param", "phi3")
    settings = read_settings(environment(tmp_path, MODEL=model, ENGINE_BASE_URL=engine.base_url))
    handler = make_handler(settings, Engine(settings.engine_base_url))

    async def run(fixture: Fixture) -> list[Any]:
        return [item async for item in handler({"id": "j1", "input": filled(fixture, _values(model)).request})]

    return run


_answers: dict[str, list[Any]] = {}


@pytest.fixture
async def answers(answer: Answer) -> dict[str, list[Any]]:
    """What the phi3 handler yields for every fixture, by name; asked once."""
    for fixture in FIXTURES:
        if fixture.name not in _answers:
            _answers[fixture.name] = await answer(fixture)
    return _answers


def _problems(fixture: Fixture, items: list[Any], model: str = "phi3") -> list[str]:
    whole = filled(fixture, _values(model))
    return incompatibilities(whole, items, model=model, max_tokens=LIMITS["max_tokens"])


@pytest.mark.parametrize(("answer", "model"), [(model, model) for model in MODELS], indirect=["answer"])
@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda fixture: fixture.name)
async def test_keeps(fixture: Fixture, answer: Answer, model: str) -> None:
    assert _problems(fixture, await answer(fixture), model) == []


@pytest.mark.parametrize("version", versions())
def test_errors_mean_what_they_meant(version: str) -> None:
    for code, meant in read_codes(version).items():
        error = WorkerError(code)
        assert (code, error.status, error.body()["retryable"]) == (code, meant["status"], meant["retryable"])


async def test_a_worker_may_add_fields(answers: dict[str, list[Any]]) -> None:
    for fixture in FIXTURES:
        assert _problems(fixture, changed(answers[fixture.name], lambda item: {**item, "mood": "merry"})) == []


def _without(name: str) -> Change:
    return lambda item: {key: value for key, value in item.items() if key != name}


def _renamed(name: str, other: str) -> Change:
    return lambda item: {other if key == name else key: value for key, value in item.items()}


def _with(name: str, /, **fields: Any) -> Change:
    """Other values in the object `name`, where there is one."""

    def change(item: dict[str, Any]) -> dict[str, Any]:
        if isinstance(item.get(name), dict):
            item[name].update(fields)
        return item

    return change


def _as(name: str, value: Any) -> Change:
    return lambda item: {**item, name: value} if name in item else item


def _in_choice(**fields: Any) -> Change:
    def change(item: dict[str, Any]) -> dict[str, Any]:
        for choice in item.get("choices", []):
            choice.update(fields)
        return item

    return change


@pytest.mark.parametrize(
    "change",
    [
        *[_without(name) for name in ("text", "usage", "model", "timings", "finish_reason", "done", "delta")],
        *[_without(name) for name in ("choices", "system_fingerprint", "id", "object", "data", "version")],
        _renamed("delta", "piece"),
        _renamed("text", "reply"),
        _renamed("done", "finished"),
        _as("done", False),
        _as("finish_reason", "end"),
        _as("finish_reason", "stop"),
        _as("text", "あら"),
        _as("model", "phi3-mini"),
        _with("model", version=""),
        _with("model", name="mistral"),
        _with("usage", prompt_tokens="40"),
        _with("usage", completion_tokens=9_999),
        _with("usage", total_tokens=1),
        _with("usage", cached_tokens=1_000),
        _with("timings", ttft_ms=0.001, total_ms=0.005),
        _with("timings", ttft_ms="1"),
        _with("error", code="internal"),
        _with("error", code="bad_request"),
        _with("error", retryable=None),
        _with("error", message="No."),
        _with("error", param=None),
        _with("error", type="oops"),
        lambda item: _with("error", retryable=not item.get("error", {}).get("retryable"))(item),
        _in_choice(finish_reason="stop"),
        _in_choice(finish_reason=None),
        _in_choice(index=1),
        _in_choice(delta={"role": "assistant", "content": "あ"}),
        _in_choice(message={"role": "assistant", "content": ""}),
    ],
)
async def test_a_worker_that_changes_what_readers_rely_on_is_found_out(
    answers: dict[str, list[Any]], change: Change
) -> None:
    found = [fixture for fixture in FIXTURES if _problems(fixture, changed(answers[fixture.name], change))]
    assert found


async def test_a_stream_that_is_cut_and_a_refusal_that_is_none_are_found_out(answers: dict[str, list[Any]]) -> None:
    named = {fixture.name: fixture for fixture in FIXTURES}
    streamed, refused = named["v1/openai/chat-streamed"], named["v1/native/ticket-missing"]
    items = answers[streamed.name]
    assert "the last event is not [DONE]" in _problems(
        streamed, [*items[:-1], items[-1].replace("data: [DONE]\n\n", "")]
    )
    assert _problems(streamed, ["".join(items)[:-1]]) == ["an item that does not hold whole events"]
    assert _problems(refused, answers["v1/native/text"]) == ["no error in the contract's form"]
    quiet = named["v1/openai/ticket-missing-streamed"]
    assert _problems(quiet, answers[quiet.name][-1:]) == ["a stream without the error, or one unasked"]
