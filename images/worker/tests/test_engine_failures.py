"""
Failures of the engine. A failure ends the job with an error code. The client keeps the text received before the
failure, and the worker can run the next job.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from snack_worker.engine import Deadlines, Engine, EngineError, Outcome

from .conftest import Run
from .stub_engine import Script, StubEngine, abort_after_text, end_events, event, hang, send, text_event

_MEGABYTE = 2**20


def _error(items: list[Any]) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(items[-1]["error"])["error"]
    return body


def _text(items: list[Any]) -> str:
    return "".join(item.get("delta", "") for item in items)


async def _send_only_pings(response: Any) -> None:
    while True:
        await response.write(b": ping\n\n")
        await asyncio.sleep(0.01)


async def _send_endless_event(response: Any) -> None:
    for _ in range(10):
        await response.write((b"data: " + b"x" * 4_000 + b"\n") * (_MEGABYTE // 4_000))
    await hang(response)


async def _send_ten_megabytes_of_text(response: Any) -> None:
    for _ in range(10 * _MEGABYTE // 30_000):
        await response.write(text_event("あ" * 10_000))
    await send(end_events())(response)


_LONG_LINE = send(b"data: " + b"x" * 10 * _MEGABYTE, b"\n\n", end_events())

_FAILURES: dict[str, tuple[Script, str]] = {
    "only pings": (_send_only_pings, "timeout"),
    "HTML page": (send(b"<html>502</html>"), "unavailable"),
    "empty body": (send(), "unavailable"),
    "binary data": (send(bytes(range(256)) * 100), "unavailable"),
    "line of 10 MB": (_LONG_LINE, "unavailable"),
    "event of 10 MB": (_send_endless_event, "unavailable"),
    "deeply nested JSON": (send(b"data: " + b"[" * 100_000 + b"\n\n"), "unavailable"),
    "number instead of a chunk": (send(b"data: 1\n\n"), "unavailable"),
    "number instead of text": (send(event({"choices": [{"delta": {"content": 3}}]}), end_events()), "unavailable"),
    "word instead of a token count": (
        send(text_event("あ"), end_events().replace(b": 40,", b': "many",')),
        "unavailable",
    ),
    "lone surrogate": (
        send(b'data: {"choices": [{"delta": {"content": "\\ud83c"}}]}\n\n', end_events()),
        "unavailable",
    ),
    "error event and [DONE]": (send(event({"error": {"message": "CUDA"}}), b"data: [DONE]\n\n"), "unavailable"),
    "only [DONE]": (send(b"data: [DONE]\n\n"), "unavailable"),
    "aborted connection": (abort_after_text, "unavailable"),
}


@pytest.mark.parametrize("name", _FAILURES)
async def test_engine_failure_is_reported_as_retryable_and_the_next_job_succeeds(
    run: Run, engine: StubEngine, name: str
) -> None:
    script, code = _FAILURES[name]
    engine.answers = [script]
    error = _error(await run(text="やあ"))
    assert (error["code"], error["retryable"]) == (code, True)

    engine.answers = [send(text_event("おまたせ。"), end_events())]
    assert (await run(text="やあ"))[-1]["text"] == "おまたせ。"


@pytest.mark.parametrize("name", _FAILURES)
async def test_engine_failure_after_text_keeps_the_text_and_is_not_retried(
    run: Run, engine: StubEngine, name: str
) -> None:
    script, code = _FAILURES[name]
    code = "timeout" if name == "only pings" else code

    async def send_text_then_fail(response: Any) -> None:
        await response.write(text_event("あら、"))
        await script(response)

    engine.answers = [send_text_then_fail]
    items = await run(text="やあ")
    assert _text(items).startswith("あら、")
    assert (_error(items)["code"], _error(items)["retryable"]) == (code, True)
    assert len(engine.requests) == 1


async def test_job_fails_when_the_engine_sends_a_reply_of_10_megabytes(run: Run, engine: StubEngine) -> None:
    engine.answers = [_send_ten_megabytes_of_text]
    items = await run(text="やあ")
    assert _error(items)["code"] == "unavailable"
    assert 0 < len(_text(items)) <= 20_000
    await engine.disconnected.wait()


async def test_worker_ends_a_reply_of_endless_white_space_with_unavailable(run: Run, engine: StubEngine) -> None:
    async def send_endlessly(response: Any) -> None:
        while True:
            await response.write(text_event(" " * 1_000))

    engine.answers = [send_endlessly]
    assert _error(await run(text="やあ"))["code"] == "unavailable"
    await engine.disconnected.wait()


async def test_reply_times_out_at_the_total_deadline_while_text_still_arrives(engine: StubEngine) -> None:
    async def send_endlessly(response: Any) -> None:
        while True:
            await response.write(text_event("ね、"))
            await asyncio.sleep(0.01)

    engine.answers = [send_endlessly]
    received: list[str] = []
    deadlines = Deadlines(connect_s=1, first_text_s=1, idle_s=1, total_s=0.3)

    async def receive() -> None:
        async for piece in Engine(engine.base_url, deadlines).stream_text({}, Outcome()):
            received.append(piece)

    with pytest.raises(EngineError) as caught:
        await receive()
    assert caught.value.code == "timeout"
    assert received
    await engine.disconnected.wait()


async def test_worker_accepts_a_stream_without_a_done_event_when_it_has_a_finish_reason(
    run: Run, engine: StubEngine
) -> None:
    engine.answers = [send(text_event("あら"), end_events().removesuffix(b"data: [DONE]\n\n"))]
    done = (await run(text="やあ"))[-1]
    assert (done["text"], done["finish_reason"]) == ("あら", "stop")


async def test_worker_joins_the_data_lines_of_one_event(run: Run, engine: StubEngine) -> None:
    lines = json.dumps({"choices": [{"delta": {"content": "あら"}}]}, indent=1).encode().split(b"\n")
    engine.answers = [send(b"".join(b"data: " + line + b"\n" for line in lines) + b"\n", end_events())]
    assert (await run(text="やあ"))[-1]["text"] == "あら"


async def test_worker_retries_once_when_the_connection_breaks_before_the_first_text(
    run: Run, engine: StubEngine
) -> None:
    async def reset(response: Any) -> None:
        response._req.transport.abort()

    engine.answers = [reset, send(text_event("おまたせ。"), end_events())]
    assert (await run(text="やあ"))[-1]["text"] == "おまたせ。"
    assert len(engine.requests) == 2
    engine.answers = [reset]
    assert _error(await run(text="やあ"))["code"] == "unavailable"
    assert len(engine.requests) == 4


@pytest.mark.parametrize(("status", "code"), [(400, "internal"), (404, "internal"), (500, "unavailable")])
async def test_error_page_of_10_megabytes_is_mapped_to_an_error_code_and_not_logged(
    run: Run, engine: StubEngine, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine.answers = [status]
    engine.error_body = "ひみつ" * _MEGABYTE
    assert _error(await run(text="やあ"))["code"] == code
    assert "ひみつ" not in caplog.text


async def test_input_of_10_megabytes_is_rejected_without_a_request_to_the_engine(run: Run, engine: StubEngine) -> None:
    long = "あ" * (10 * _MEGABYTE // 3)
    assert _error(await run(text=long))["message"] == "input.text: at most 2000 characters are allowed."
    many = _UnreadableList([{"role": "user", "content": "あ"}] * 250_000)
    assert _error(await run(messages=many))["message"] == "input.messages: at most 40 items are allowed."
    assert engine.requests == []


class _UnreadableList(list[Any]):
    """List that fails when its items are read. Reading a list of this length would block the worker for seconds."""

    def __getitem__(self, _index: Any) -> Any:
        raise AssertionError("an item was read")


async def test_worker_reuses_the_engine_connection_of_the_previous_job(run: Run, engine: StubEngine) -> None:
    for _ in range(3):
        await run(text="やあ")
    assert len(engine.connections) == 1
    assert len(engine.requests) == 3


@asynccontextmanager
async def _silent_server() -> AsyncIterator[str]:
    """Runs a server that accepts connections and never responds. Yields its base URL."""
    writers: list[asyncio.StreamWriter] = []

    async def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        for writer in writers:
            writer.close()
            await writer.wait_closed()


async def test_worker_reports_timeout_when_the_engine_never_responds(make_run: Any) -> None:
    async with _silent_server() as base_url:
        assert _error(await make_run(base_url)(text="やあ"))["code"] == "timeout"


async def test_worker_retries_an_empty_reply_once_and_then_reports_unavailable(run: Run, engine: StubEngine) -> None:
    engine.answers = [send(end_events()), send(text_event("はい、おまたせ。"), end_events())]
    assert (await run(text="やあ"))[-1]["text"] == "はい、おまたせ。"

    engine.requests.clear()
    engine.answers = [send(end_events())]
    error = _error(await run(text="やあ"))
    assert (error["code"], error["retryable"], len(engine.requests)) == ("unavailable", True, 2)


@pytest.mark.parametrize("reason", ["stop", "length"])
@pytest.mark.parametrize("text", [[], ["", " \n", "　\n"]], ids=["no text", "white space"])
async def test_reply_without_visible_text_is_a_failure(
    run: Run, engine: StubEngine, reason: str, text: list[str]
) -> None:
    engine.answers = [send(*map(text_event, text), end_events(reason))]
    items = await run(text="やあ")
    assert (_error(items)["code"], _text(items), len(engine.requests)) == ("unavailable", "", 2)


async def test_white_space_before_a_reply_is_sent_with_the_first_visible_text(run: Run, engine: StubEngine) -> None:
    engine.answers = [send(text_event(" "), text_event("\n"), text_event("あら"), text_event(" "), end_events())]
    items = await run(text="やあ")
    assert (items[0], items[-1]["text"]) == ({"delta": " \nあら"}, " \nあら ")


async def test_filtered_reply_is_a_success_even_without_text(run: Run, engine: StubEngine) -> None:
    engine.answers = [send(end_events("content_filter"))]
    assert (await run(text="やあ"))[-1]["finish_reason"] == "filter"


async def test_engine_counts_as_stuck_after_three_consecutive_replies_without_a_first_text(engine: StubEngine) -> None:
    reasons: list[str] = []
    deadlines = Deadlines(connect_s=1, first_text_s=0.4, idle_s=0.05, total_s=1)
    client = Engine(engine.base_url, deadlines, reasons.append)
    text, stall = send(text_event("あら"), end_events()), _send_text_and_hang

    async def ask(script: Script | int) -> None:
        engine.answers = [script]
        with suppress(EngineError):
            async for _ in client.stream_text({}, Outcome()):
                pass

    # A first text resets the count, even when its reply stalls later. Other failures do not change the count.
    for script in (hang, hang, text, hang, hang, stall, hang, 500, hang):
        await ask(script)
    assert reasons == []
    await ask(hang)
    await ask(hang)
    assert reasons == ["the engine is stuck: it sent no text in time, 3 times in a row"]


async def _send_text_and_hang(response: Any) -> None:
    await response.write(text_event("あら"))
    await hang(response)


async def test_worker_reports_unavailable_when_the_retry_after_an_empty_reply_is_incomplete(
    run: Run, engine: StubEngine
) -> None:
    engine.answers = [send(end_events()), send(text_event("あら"))]
    items = await run(text="やあ")
    assert items[0] == {"delta": "あら"}
    assert _error(items)["code"] == "unavailable"
