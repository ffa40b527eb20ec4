import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from snack_worker.engine import Engine
from snack_worker.handler import make_handler
from snack_worker.settings import read_settings

from .conftest import Run
from .stub_engine import StubEngine, end_events, send, text_event
from .worker_environment import MODEL, MODELS, OTHER_MODEL, VERSION, environment, ticket

_USER = {"role": "user", "content": "やあ"}
CHAT = "/v1/chat/completions"


@pytest.fixture
def ask(engine: StubEngine, tmp_path: Path) -> Run:
    """Runs a chat completion request. `fields` override fields of a valid body; `body` replaces the whole body."""
    settings = read_settings(environment(tmp_path, ENGINE_BASE_URL=engine.base_url))
    handler = make_handler(settings, Engine(settings.engine_base_url))

    async def run_request(route: str = CHAT, *, body: Any = None, **fields: Any) -> list[Any]:
        valid = {"model": MODEL, "messages": [_USER], "ticket": ticket(), **fields}
        value = {"openai_route": route, "openai_input": valid if body is None else body}
        return [item async for item in handler({"id": "j1", "input": value})]

    return run_request


def _events(items: list[str]) -> list[dict[str, Any]]:
    """Returns the events' data. Checks that all events are complete and the final event is `[DONE]`."""
    assert all(item.startswith("data: ") and item.endswith("\n\n") for item in items)
    *events, done = [event.removeprefix("data: ") for event in "".join(items).removesuffix("\n\n").split("\n\n")]
    assert done == "[DONE]"
    return [json.loads(event) for event in events]


def _error(items: list[Any]) -> Mapping[str, Any]:
    body: Mapping[str, Any] = json.loads(items[-1]["error"])["error"]
    return body


async def test_openai_route_returns_one_chat_completion_when_not_streaming(ask: Run) -> None:
    [answer] = await ask()
    assert answer.pop("created") > 0
    assert answer == {
        "id": "chatcmpl-j1",
        "object": "chat.completion",
        "model": MODEL,
        "system_fingerprint": VERSION,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "あら、いらっしゃい。", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 40,
            "completion_tokens": 5,
            "total_tokens": 45,
            "prompt_tokens_details": {"cached_tokens": 32},
        },
    }


async def test_openai_stream_has_only_whole_events_and_sends_the_final_three_events_together(ask: Run) -> None:
    items = await ask(stream=True, stream_options={"include_usage": True})
    first, *_, last, usage = events = _events(items)
    assert items[-1].count("data: ") == 3
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert [event["choices"][0]["delta"].get("role") for event in events[1:-1]] == [None] * (len(events) - 2)
    reply = "".join(event["choices"][0]["delta"].get("content", "") for event in events[:-1])
    assert reply == "あら、いらっしゃい。"
    assert last["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert (usage["choices"], usage["usage"]["total_tokens"]) == ([], 45)
    assert {event["usage"] for event in events[:-1]} == {None}
    assert {(event["object"], event["id"], event["created"]) for event in events} == {
        ("chat.completion.chunk", "chatcmpl-j1", first["created"])
    }


async def test_openai_route_streams_no_usage_when_the_client_does_not_request_it(ask: Run) -> None:
    assert not any("usage" in event for event in _events(await ask(stream=True)))


async def test_openai_stream_of_an_empty_reply_contains_the_role(ask: Run, engine: StubEngine) -> None:
    engine.answers = [send(end_events("content_filter"))]
    [event] = _events(await ask(stream=True))
    assert event["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert event["choices"][0]["finish_reason"] == "content_filter"


async def test_engine_receives_the_same_request_for_openai_and_native_input(
    ask: Run, engine: StubEngine, run: Run
) -> None:
    params = {"temperature": 0.5, "top_p": 0.4, "seed": 7, "max_tokens": 20}
    messages = [_USER, {"role": "assistant", "content": "はい"}, {"role": "user", "content": "ママ\n元気？"}]
    parts = [{"type": "text", "text": "ママ"}, {"type": "text", "text": "元気？"}]
    await run(messages=messages, params=params)
    await ask(messages=[*messages[:2], {"role": "user", "content": parts}], **params)
    assert engine.requests[0] == engine.requests[1]
    assert engine.requests[0]["messages"][0]["role"] == "system"


async def test_max_completion_tokens_overrides_max_tokens_and_is_limited_by_the_ticket(
    ask: Run, engine: StubEngine
) -> None:
    await ask(max_tokens=50, max_completion_tokens=30)
    await ask(max_completion_tokens=512)
    await ask()
    assert [request["max_tokens"] for request in engine.requests] == [30, 200, 200]


async def test_openai_route_ignores_default_values_nulls_and_unused_fields(ask: Run, engine: StubEngine) -> None:
    earlier_reply = {"role": "assistant", "content": "はい", "refusal": None, "tool_calls": None}
    [answer] = await ask(
        messages=[_USER, earlier_reply, {**_USER, "name": "taro"}],
        n=1,
        presence_penalty=0,
        frequency_penalty=0.0,
        response_format={"type": "text"},
        logprobs=False,
        stream=None,
        stop=None,
        tools=None,
        max_tokens=None,
        user="u",
        metadata={"a": "b"},
        store=False,
    )
    assert answer["object"] == "chat.completion"
    assert set(engine.requests[0]) == {
        "model", "messages", "temperature", "top_p", "max_tokens", "stream", "stream_options",
    }  # fmt: skip


_INVALID_BODIES = [
    ({"body": []}, "invalid_input", "body: must be of type object."),
    ({"body": {"ticket": ticket()}}, "invalid_input", "body: requires model, messages."),
    ({"model": "gpt-5"}, "invalid_input", f"model: must be one of {', '.join(MODELS)}."),
    ({"model": OTHER_MODEL}, "invalid_input", f"model: must be {MODEL} at this endpoint."),
    (
        {"messages": [{"role": "system", "content": "obey"}, _USER]},
        "invalid_input",
        "messages[0].role: must be one of user, assistant.",
    ),
    (
        {"messages": [_USER, {"role": "developer", "content": "obey"}, _USER]},
        "invalid_input",
        "messages[1].role: must be one of user, assistant.",
    ),
    (
        {"messages": [_USER, {"role": "assistant", "content": "はい"}]},
        "invalid_input",
        "messages: the last message must be from the user.",
    ),
    ({"messages": []}, "invalid_input", "messages: must not be empty."),
    ({"messages": [_USER] * 41}, "too_long", "messages: at most 40 items are allowed."),
    ({"messages": [_USER] * 11}, "too_long", "messages: at most 10 messages are allowed."),
    (
        {"messages": [{"role": "user", "content": "あ" * 2_001}]},
        "too_long",
        "messages[0].content: at most 2000 characters are allowed.",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "あ" * 400}] * 6}]},
        "too_long",
        "messages[0].content: at most 2000 characters are allowed.",
    ),
    (
        {"messages": [_USER, {"role": "user", "content": "あ" * 501}]},
        "too_long",
        "messages[1].content: at most 500 characters are allowed.",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
        "invalid_input",
        "messages[0].content: must not be empty.",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "text": ""}]}]},
        "invalid_input",
        'messages[0].content[0].type: must be "text".',
    ),
    ({"max_completion_tokens": 513}, "invalid_input", "max_completion_tokens: must be at most 512."),
    ({"max_tokens": 0}, "invalid_input", "max_tokens: must be at least 1."),
    ({"n": 2}, "invalid_input", "n: must be 1."),
    ({"stream": "yes"}, "invalid_input", "stream: must be of type boolean."),
]


@pytest.mark.parametrize(
    ("fields", "code", "message"), _INVALID_BODIES, ids=[message for _, _, message in _INVALID_BODIES]
)
async def test_openai_route_rejects_an_invalid_body_and_names_the_field(
    ask: Run, fields: dict[str, Any], code: str, message: str
) -> None:
    [failure] = await ask(**fields)
    error = _error([failure])
    assert (error["code"], error["message"]) == (code, message)
    field = message.split(": ")[0]
    assert error["param"] == (None if field == "body" else field)
    assert (error["type"], error["retryable"]) == ("invalid_request_error", False)


async def test_openai_route_rejects_an_unsupported_field_that_would_change_the_reply(ask: Run) -> None:
    error = _error(await ask(tools=[{"type": "function"}]))
    assert (error["param"], error["code"]) == ("tools", "invalid_input")
    assert error["message"].startswith("tools: not allowed here; only model, messages, max_tokens,")


_INVALID_TICKETS = [
    (None, "ticket_missing", "authentication_error"),
    ("konbanwa", "ticket_invalid", "authentication_error"),
    (ticket(exp=1), "ticket_expired", "authentication_error"),
    (ticket(aud=OTHER_MODEL), "ticket_wrong_model", "permission_error"),
]


@pytest.mark.parametrize(
    ("invalid_ticket", "code", "error_type"), _INVALID_TICKETS, ids=[code for _, code, _ in _INVALID_TICKETS]
)
async def test_openai_route_rejects_an_invalid_ticket_before_it_calls_the_engine(
    ask: Run, engine: StubEngine, invalid_ticket: str | None, code: str, error_type: str
) -> None:
    error = _error(await ask(ticket=invalid_ticket))
    assert (error["code"], error["type"], error["param"]) == (code, error_type, None)
    assert engine.requests == []


async def test_openai_route_streams_a_failure_as_an_event_and_fails_the_job(ask: Run, engine: StubEngine) -> None:
    items = await ask(stream=True, ticket=None)
    assert items == [f"data: {items[1]['error']}\n\n", items[1]]
    assert _error(items)["code"] == "ticket_missing"

    engine.answers = [send(text_event("あら"))]
    first, event, failure = await ask(stream=True)
    assert "あら" in first
    assert event == f"data: {failure['error']}\n\n"
    assert (_error([failure])["code"], _error([failure])["type"]) == ("unavailable", "server_error")


@pytest.mark.parametrize("body", [{}, None], ids=["empty body", "no body"])
async def test_openai_route_lists_its_model_when_no_ticket_is_given(ask: Run, tmp_path: Path, body: Any) -> None:
    model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "snack-misaki", "version": VERSION}
    settings = read_settings(environment(tmp_path))
    handler = make_handler(settings, Engine(settings.engine_base_url))

    async def get(route: str) -> list[Any]:
        value = {"openai_route": route, **({} if body is None else {"openai_input": body})}
        return [item async for item in handler({"id": "j1", "input": value})]

    assert await get("/v1/models") == [{"object": "list", "data": [model]}]
    assert await get(f"/v1/models/{MODEL}") == [model]
    error = _error(await get(f"/v1/models/{OTHER_MODEL}"))
    assert error["message"] == f"openai_route: must be one of /v1/chat/completions, /v1/models, /v1/models/{MODEL}."
    assert error["param"] == "openai_route"


async def test_openai_route_rejects_a_lone_surrogate_and_names_the_field(ask: Run, engine: StubEngine) -> None:
    part = {"type": "text", "text": "桃\ud83c"}
    for content, field in (("桃\ud83c", "messages[0].content"), ([part], "messages[0].content[0].text")):
        error = _error(await ask(messages=[{"role": "user", "content": content}]))
        assert (error["code"], error["param"]) == ("invalid_input", field)
        assert error["message"] == f"{field}: must not contain a lone surrogate (half a character)."
    assert engine.requests == []


async def test_openai_route_rejects_deeply_nested_json_except_in_ignored_fields(ask: Run) -> None:
    deep: Any = None
    for _ in range(50_000):
        deep = {"a": deep}
    assert _error(await ask(body={"ticket": ticket(), "a": deep}))["code"] == "invalid_input"
    assert _error(await ask(messages=[deep]))["code"] == "invalid_input"
    assert len(await ask(metadata=deep)) == 1
