import asyncio
import json
import logging
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from snack_worker.persona import persona

from .conftest import Run
from .stub_engine import StubEngine, cut, ending, event, hang, says, text
from .tickets_maker import ticket

_ITEM = Draft202012Validator(
    json.loads(files("snack_worker").joinpath("contract/stream-item.schema.json").read_bytes())
)


def _error_code(items: list[dict[str, Any]]) -> str:
    code: str = json.loads(items[-1]["error"])["error"]["code"]
    return code


async def test_streams_deltas_and_then_the_whole_result(run: Run) -> None:
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
        "model": {"plan": "free", "name": "phi3", "version": "2026-11-22"},
    }


async def test_without_streaming_there_is_only_the_result(run: Run) -> None:
    items = await run(text="こんばんは", stream=False)
    assert [item["text"] for item in items] == ["あら、いらっしゃい。"]


async def test_asks_the_engine_as_the_persona_with_the_clients_parameters(run: Run, engine: StubEngine) -> None:
    await run(text="こんばんは", params={"temperature": 0, "seed": 7})
    request = engine.requests[0]
    system, *turns = request["messages"]
    assert system in [persona(hour * 3_600) for hour in range(24)]
    assert turns == [{"role": "user", "content": "こんばんは"}]
    assert (request["model"], request["temperature"], request["seed"]) == ("phi3", 0, 7)
    assert request["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(("reason", "ours"), [("stop", "stop"), ("length", "length"), ("content_filter", "filter")])
async def test_says_why_the_reply_ended(run: Run, engine: StubEngine, reason: str, ours: str) -> None:
    engine.answers = [says(text("あら"), ending(reason))]
    assert (await run(text="やあ"))[-1]["finish_reason"] == ours


async def test_characters_and_events_split_between_packets_survive(run: Run, engine: StubEngine) -> None:
    stream = text("美砂樹ママよ。") + text("🍑はいかが？") + ending()
    engine.answers = [says(*[stream[at : at + 7] for at in range(0, len(stream), 7)])]
    assert (await run(text="やあ"))[-1]["text"] == "美砂樹ママよ。🍑はいかが？"


async def test_comments_other_fields_and_windows_line_ends_are_fine(run: Run, engine: StubEngine) -> None:
    stream = (b": ping\n\nevent: message\nid: 1\n" + text("あら") + ending()).replace(b"\n", b"\r\n")
    engine.answers = [says(stream)]
    assert (await run(text="やあ"))[-1]["text"] == "あら"


async def test_a_5xx_before_the_first_text_is_tried_once_more(run: Run, engine: StubEngine) -> None:
    engine.answers = [500, says(text("おまたせ。"), ending())]
    assert (await run(text="やあ"))[-1]["text"] == "おまたせ。"
    assert len(engine.requests) == 2


@pytest.mark.parametrize(
    ("status", "code", "attempts"),
    [(500, "unavailable", 2), (503, "overloaded", 2), (429, "overloaded", 1), (400, "internal", 1)],
)
async def test_a_refusing_engine_fails_the_job(
    run: Run, engine: StubEngine, status: int, code: str, attempts: int
) -> None:
    engine.answers = [status]
    assert _error_code(await run(text="やあ")) == code
    assert len(engine.requests) == attempts


async def test_a_conversation_the_engine_finds_too_long_is_too_long(run: Run, engine: StubEngine) -> None:
    engine.answers = [400]
    engine.error_body = '{"error": {"message": "This model\'s maximum context length is 4096 tokens."}}'
    assert _error_code(await run(text="やあ")) == "too_long"


async def test_a_dead_engine_is_unavailable(run_without_engine: Run, caplog: pytest.LogCaptureFixture) -> None:
    assert _error_code(await run_without_engine(text="やあ")) == "unavailable"
    assert "job job-1: unavailable (ClientConnectorError)" in caplog.text


async def test_an_engine_that_says_nothing_is_a_timeout(run: Run, engine: StubEngine) -> None:
    engine.answers = [hang]
    assert _error_code(await run(text="やあ")) == "timeout"


async def test_an_engine_that_falls_silent_is_a_timeout_after_its_text(run: Run, engine: StubEngine) -> None:
    async def fall_silent(response: Any) -> None:
        await response.write(text("あら"))
        await hang(response)

    engine.answers = [fall_silent]
    items = await run(text="やあ")
    assert items[0] == {"delta": "あら"}
    assert _error_code(items) == "timeout"
    assert len(engine.requests) == 1


@pytest.mark.parametrize(
    "broken",
    [
        says(text("あら"), b"data: {oops\n\n"),
        says(text("あら"), b"data: \xff\xfe\n\n"),
        says(text("あら"), b'data: {"choices": 3}\n\n'),
        says(text("あら"), event({"error": {"message": "CUDA out of memory"}})),
        says(text("あら"), ending("abort")),
        says(text("あら")),
        cut,
    ],
    ids=["no JSON", "no UTF-8", "no chunk", "an error event", "an abort", "the end", "a cut"],
)
async def test_a_stream_that_breaks_after_text_fails_the_job_at_once(run: Run, engine: StubEngine, broken: Any) -> None:
    engine.answers = [broken]
    items = await run(text="やあ")
    assert _error_code(items) == "unavailable"
    assert items[0] == {"delta": "あら"}
    assert len(engine.requests) == 1
    assert "CUDA" not in items[-1]["error"]


async def test_a_cancelled_job_lets_go_of_the_engine(run: Run, engine: StubEngine) -> None:
    async def talk_on(response: Any) -> None:
        while True:
            await response.write(text("ね、"))
            await asyncio.sleep(0.01)

    engine.answers = [talk_on]
    job = asyncio.ensure_future(run(text="やあ"))
    await engine.asked.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    await engine.abandoned.wait()


async def test_an_unexpected_error_is_internal_and_keeps_its_text_to_itself(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise RuntimeError("ひみつ")

    monkeypatch.setattr("snack_worker.handler.conversation", explode)
    items = await run(text="やあ")
    assert _error_code(items) == "internal"
    assert "ひみつ" not in items[-1]["error"] + caplog.text
    assert "RuntimeError at test_handler.py" in caplog.text


async def test_logs_hold_neither_words_nor_tickets(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = ticket()
    await run(text="ひみつの話", ticket=secret, request_id="r-1\nfake line")
    await run(text="ひみつの話", ticket=secret + "x")
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("snack_worker"))
    assert "job job-1: stop" in ours
    assert "job job-1: ticket_invalid" in ours
    for kept in ("ひみつ", "いらっしゃい", secret, "\nfake line"):
        assert kept not in ours
