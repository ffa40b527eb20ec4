import asyncio
import json
import logging
import time
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from snack_worker.engine import Engine
from snack_worker.handler import make_handler
from snack_worker.persona import persona
from snack_worker.settings import MODEL_PLANS, read_settings

from .conftest import Run
from .real_tokenizers import template_file, tokenizer
from .stub_engine import StubEngine, abort_after_text, end_events, event, hang, send, text_event
from .worker_environment import MODEL, VERSION, environment, ticket

_ITEM = Draft202012Validator(
    json.loads(package_files("snack_worker").joinpath("contract/stream-item.schema.json").read_bytes())
)


def _error_code(items: list[dict[str, Any]]) -> str:
    code: str = json.loads(items[-1]["error"])["error"]["code"]
    return code


async def test_handler_streams_deltas_and_then_the_complete_result(run: Run) -> None:
    items = await run(text="こんばんは")
    for item in items:
        _ITEM.validate(item)
    *deltas, done = items
    assert "".join(delta["delta"] for delta in deltas) == "あら、いらっしゃい。"
    timings = done.pop("timings")
    assert 0 < timings["ttft_ms"] <= timings["total_ms"]
    assert done == {
        "done": True,
        "text": "あら、いらっしゃい。",
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 40, "completion_tokens": 5, "cached_tokens": 32},
        "model": {"plan": MODEL_PLANS[MODEL], "name": MODEL, "version": VERSION},
    }


async def test_handler_yields_only_the_result_when_not_streaming(run: Run) -> None:
    items = await run(text="こんばんは", stream=False)
    assert [item["text"] for item in items] == ["あら、いらっしゃい。"]


async def test_handler_sends_the_persona_and_the_clients_parameters_to_the_engine(run: Run, engine: StubEngine) -> None:
    before = persona(time.time())
    await run(text="こんばんは", params={"temperature": 0, "seed": 7})
    request = engine.requests[0]
    system, *turns = request["messages"]
    assert system in [before, persona(time.time())]
    assert turns == [{"role": "user", "content": "こんばんは"}]
    assert (request["model"], request["temperature"], request["seed"]) == (MODEL, 0, 7)
    assert request["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(("model", "stop", "token"), [("phi3", "<|end|>", 32_007), ("mistral", "</s>", 2)])
async def test_handler_sends_the_stop_mark_of_the_model_to_the_engine(
    tmp_path: Path, engine: StubEngine, model: str, stop: str, token: int
) -> None:
    tokenizer(model).save(str(tmp_path / "tokenizer.json"))
    files = {"TOKENIZER_FILE": str(tmp_path / "tokenizer.json"), "CHAT_TEMPLATE_FILE": str(template_file(model))}
    settings = read_settings(environment(tmp_path, MODEL=model, **files))
    value = {"text": "やあ", "ticket": ticket(aud=model)}
    async for _ in make_handler(settings, Engine(engine.base_url))({"id": "1", "input": value}):
        pass
    assert (engine.requests[0]["stop"], engine.requests[0]["stop_token_ids"]) == ([stop], [token])
    assert engine.requests[0]["include_stop_str_in_output"] is True


@pytest.mark.parametrize(
    ("engine_reason", "finish_reason"), [("stop", "stop"), ("length", "length"), ("content_filter", "filter")]
)
async def test_handler_converts_the_finish_reason_of_the_engine(
    run: Run, engine: StubEngine, engine_reason: str, finish_reason: str
) -> None:
    engine.answers = [send(text_event("あら"), end_events(engine_reason))]
    assert (await run(text="やあ"))[-1]["finish_reason"] == finish_reason


async def test_handler_joins_characters_and_events_that_are_split_across_packets(run: Run, engine: StubEngine) -> None:
    stream = text_event("美砂樹ママよ。") + text_event("🍑はいかが？") + end_events()
    engine.answers = [send(*[stream[at : at + 7] for at in range(0, len(stream), 7)])]
    assert (await run(text="やあ"))[-1]["text"] == "美砂樹ママよ。🍑はいかが？"


async def test_handler_accepts_comments_unused_fields_and_windows_line_endings_in_the_stream(
    run: Run, engine: StubEngine
) -> None:
    stream = (b": ping\n\nevent: message\nid: 1\n" + text_event("あら") + end_events()).replace(b"\n", b"\r\n")
    engine.answers = [send(stream)]
    assert (await run(text="やあ"))[-1]["text"] == "あら"


async def test_handler_retries_once_when_the_engine_returns_a_5xx_status(run: Run, engine: StubEngine) -> None:
    engine.answers = [500, send(text_event("おまたせ。"), end_events())]
    assert (await run(text="やあ"))[-1]["text"] == "おまたせ。"
    assert len(engine.requests) == 2


@pytest.mark.parametrize(
    ("status", "code", "attempts"),
    [(500, "unavailable", 2), (503, "overloaded", 2), (429, "overloaded", 1), (400, "internal", 1)],
)
async def test_handler_maps_the_engines_error_status_to_a_code(
    run: Run, engine: StubEngine, status: int, code: str, attempts: int
) -> None:
    engine.answers = [status]
    assert _error_code(await run(text="やあ")) == code
    assert len(engine.requests) == attempts


async def test_handler_maps_the_engines_context_length_error_to_too_long(run: Run, engine: StubEngine) -> None:
    engine.answers = [400]
    engine.error_body = '{"error": {"message": "This model\'s maximum context length is 4096 tokens."}}'
    assert _error_code(await run(text="やあ")) == "too_long"


async def test_handler_reports_unavailable_when_the_engine_is_not_running(
    run_without_engine: Run, caplog: pytest.LogCaptureFixture
) -> None:
    assert _error_code(await run_without_engine(text="やあ")) == "unavailable"
    assert "job job-1: unavailable (ClientConnectorError)" in caplog.text


async def test_handler_reports_timeout_when_the_engine_sends_nothing(run: Run, engine: StubEngine) -> None:
    engine.answers = [hang]
    assert _error_code(await run(text="やあ")) == "timeout"


async def test_handler_keeps_the_text_and_reports_timeout_when_the_engine_stops_sending(
    run: Run, engine: StubEngine
) -> None:
    async def stop_sending(response: Any) -> None:
        await response.write(text_event("あら"))
        await hang(response)

    engine.answers = [stop_sending]
    items = await run(text="やあ")
    assert items[0] == {"delta": "あら"}
    assert _error_code(items) == "timeout"
    assert len(engine.requests) == 1


@pytest.mark.parametrize(
    "script",
    [
        send(text_event("あら"), b"data: {oops\n\n"),
        send(text_event("あら"), b"data: \xff\xfe\n\n"),
        send(text_event("あら"), b'data: {"choices": 3}\n\n'),
        send(text_event("あら"), event({"error": {"message": "CUDA out of memory"}})),
        send(text_event("あら"), end_events("abort")),
        send(text_event("あら")),
        abort_after_text,
    ],
    ids=[
        "invalid JSON",
        "invalid UTF-8",
        "invalid chunk",
        "error event",
        "finish_reason abort",
        "end without finish_reason",
        "aborted connection",
    ],
)
async def test_handler_fails_the_job_without_retry_when_the_stream_breaks_after_text(
    run: Run, engine: StubEngine, script: Any
) -> None:
    engine.answers = [script]
    items = await run(text="やあ")
    assert _error_code(items) == "unavailable"
    assert items[0] == {"delta": "あら"}
    assert len(engine.requests) == 1
    assert "CUDA" not in items[-1]["error"]


async def test_handler_disconnects_from_the_engine_when_a_job_is_cancelled(run: Run, engine: StubEngine) -> None:
    async def send_endlessly(response: Any) -> None:
        while True:
            await response.write(text_event("ね、"))
            await asyncio.sleep(0.01)

    engine.answers = [send_endlessly]
    job = asyncio.ensure_future(run(text="やあ"))
    await engine.requested.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    await engine.disconnected.wait()


async def test_handler_reports_an_unexpected_error_as_internal_and_hides_the_error_text(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("ひみつ")

    monkeypatch.setattr("snack_worker.handler.fit_conversation", fail)
    items = await run(text="やあ")
    assert _error_code(items) == "internal"
    assert "ひみつ" not in items[-1]["error"] + caplog.text
    assert "RuntimeError at test_handler.py" in caplog.text


async def test_logs_contain_no_messages_and_no_tickets(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = ticket()
    await run(text="ひみつの話", ticket=secret, request_id="r-1\nfake line")
    await run(text="ひみつの話", ticket=secret + "x")
    log = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("snack_worker"))
    assert "job job-1: stop" in log
    assert "job job-1: ticket_invalid" in log
    for private in ("ひみつ", "いらっしゃい", secret, "\nfake line"):
        assert private not in log


async def test_keep_alive_job_is_answered_without_the_engine_and_not_counted(
    run: Run, engine: StubEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    keep_alive = ticket(kind="keepalive", jobs=1)
    for _ in range(3):
        (done,) = await run(text="こんばんは", ticket=keep_alive)
        _ITEM.validate(done)
        assert done["text"] == ""
        assert done["usage"] == {"prompt_tokens": 0, "completion_tokens": 0}
    assert engine.requests == []
    assert [record.getMessage().split(": ", 1)[1] for record in caplog.records] == ["keep-alive"] * 3


async def test_reply_is_logged_with_the_correlation_id_of_its_session(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await run(text="こんばんは", ticket=ticket(correlation_id="request-1"))
    assert "correlation='request-1'" in caplog.text
    assert "こんばんは" not in caplog.text
