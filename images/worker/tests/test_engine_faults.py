"""What an engine can do wrong: each has a named error, what was said is kept, and the worker lives."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from snack_worker.engine import Deadlines, Engine, EngineError, Outcome

from .conftest import Run
from .stub_engine import Script, StubEngine, cut, ending, event, hang, says, text

_MEGABYTE = 2**20


def _error(items: list[Any]) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(items[-1]["error"])["error"]
    return body


def _text(items: list[Any]) -> str:
    return "".join(item.get("delta", "") for item in items)


async def _pings(response: Any) -> None:
    while True:
        await response.write(b": ping\n\n")
        await asyncio.sleep(0.01)


async def _endless_event(response: Any) -> None:
    for _ in range(10):
        await response.write((b"data: " + b"x" * 4_000 + b"\n") * (_MEGABYTE // 4_000))
    await hang(response)


async def _ten_megabytes_of_text(response: Any) -> None:
    for _ in range(10 * _MEGABYTE // 30_000):
        await response.write(text("あ" * 10_000))
    await says(ending())(response)


_ONE_LINE = says(b"data: " + b"x" * 10 * _MEGABYTE, b"\n\n", ending())

_BROKEN: dict[str, tuple[Script, str]] = {
    "only pings": (_pings, "timeout"),
    "a page": (says(b"<html>502</html>"), "unavailable"),
    "nothing": (says(), "unavailable"),
    "bytes": (says(bytes(range(256)) * 100), "unavailable"),
    "a line of 10 MB": (_ONE_LINE, "unavailable"),
    "an event of 10 MB": (_endless_event, "unavailable"),
    "deep JSON": (says(b"data: " + b"[" * 100_000 + b"\n\n"), "unavailable"),
    "a number for a chunk": (says(b"data: 1\n\n"), "unavailable"),
    "a number for text": (says(event({"choices": [{"delta": {"content": 3}}]}), ending()), "unavailable"),
    "a word for a count": (says(text("あ"), ending().replace(b": 40,", b': "many",')), "unavailable"),
    "half a character": (says(b'data: {"choices": [{"delta": {"content": "\\ud83c"}}]}\n\n', ending()), "unavailable"),
    "an error and the end": (says(event({"error": {"message": "CUDA"}}), b"data: [DONE]\n\n"), "unavailable"),
    "the end alone": (says(b"data: [DONE]\n\n"), "unavailable"),
    "a cut": (cut, "unavailable"),
}


@pytest.mark.parametrize("name", _BROKEN)
async def test_a_broken_stream_has_a_name_and_the_worker_lives(run: Run, engine: StubEngine, name: str) -> None:
    script, code = _BROKEN[name]
    engine.answers = [script]
    error = _error(await run(text="やあ"))
    assert (error["code"], error["retryable"]) == (code, True)

    engine.answers = [says(text("おまたせ。"), ending())]
    assert (await run(text="やあ"))[-1]["text"] == "おまたせ。"


@pytest.mark.parametrize("name", _BROKEN)
async def test_what_was_said_before_the_break_is_kept(run: Run, engine: StubEngine, name: str) -> None:
    script, code = _BROKEN[name]
    code = "timeout" if name == "only pings" else code

    async def talk_then_break(response: Any) -> None:
        await response.write(text("あら、"))
        await script(response)

    engine.answers = [talk_then_break]
    items = await run(text="やあ")
    assert _text(items).startswith("あら、")
    assert (_error(items)["code"], _error(items)["retryable"]) == (code, True)
    assert len(engine.requests) == 1


async def test_an_engine_that_talks_on_for_10_megabytes_is_stopped(run: Run, engine: StubEngine) -> None:
    engine.answers = [_ten_megabytes_of_text]
    items = await run(text="やあ")
    assert _error(items)["code"] == "unavailable"
    assert 0 < len(_text(items)) <= 20_000
    await engine.abandoned.wait()


async def test_a_reply_is_cut_at_the_last_deadline_though_the_engine_talks_on(engine: StubEngine) -> None:
    async def talk_on(response: Any) -> None:
        while True:
            await response.write(text("ね、"))
            await asyncio.sleep(0.01)

    engine.answers = [talk_on]
    said: list[str] = []
    deadlines = Deadlines(connect_s=1, first_text_s=1, idle_s=1, total_s=0.3)

    async def listen() -> None:
        async for piece in Engine(engine.base_url, deadlines).stream_text({}, Outcome()):
            said.append(piece)

    with pytest.raises(EngineError) as caught:
        await listen()
    assert caught.value.code == "timeout"
    assert said
    await engine.abandoned.wait()


async def test_an_end_without_its_mark_is_an_end_when_the_reason_was_given(run: Run, engine: StubEngine) -> None:
    engine.answers = [says(text("あら"), ending().removesuffix(b"data: [DONE]\n\n"))]
    done = (await run(text="やあ"))[-1]
    assert (done["text"], done["finish_reason"]) == ("あら", "stop")


async def test_data_in_several_lines_is_one_event(run: Run, engine: StubEngine) -> None:
    lines = json.dumps({"choices": [{"delta": {"content": "あら"}}]}, indent=1).encode().split(b"\n")
    engine.answers = [says(b"".join(b"data: " + line + b"\n" for line in lines) + b"\n", ending())]
    assert (await run(text="やあ"))[-1]["text"] == "あら"


async def test_a_connection_lost_before_the_first_text_is_tried_once_more(run: Run, engine: StubEngine) -> None:
    async def reset(response: Any) -> None:
        response._req.transport.abort()

    engine.answers = [reset, says(text("おまたせ。"), ending())]
    assert (await run(text="やあ"))[-1]["text"] == "おまたせ。"
    assert len(engine.requests) == 2
    engine.answers = [reset]
    assert _error(await run(text="やあ"))["code"] == "unavailable"
    assert len(engine.requests) == 4


@pytest.mark.parametrize(("status", "code"), [(400, "internal"), (404, "internal"), (500, "unavailable")])
async def test_an_error_page_of_10_megabytes_is_not_read(
    run: Run, engine: StubEngine, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine.answers = [status]
    engine.error_body = "ひみつ" * _MEGABYTE
    assert _error(await run(text="やあ"))["code"] == code
    assert "ひみつ" not in caplog.text


async def test_input_of_10_megabytes_is_too_long_and_never_reaches_the_engine(run: Run, engine: StubEngine) -> None:
    long = "あ" * (10 * _MEGABYTE // 3)
    assert _error(await run(text=long))["message"] == "input.text: at most 2000 characters are allowed."
    many = _Unread([{"role": "user", "content": "あ"}] * 250_000)
    assert _error(await run(messages=many))["message"] == "input.messages: at most 40 items are allowed."
    assert engine.requests == []


class _Unread(list[Any]):
    """A list too long to look at: it would keep the worker from everything else for seconds."""

    def __getitem__(self, _index: Any) -> Any:
        raise AssertionError("it was looked into")


async def test_a_job_after_another_uses_its_connection(run: Run, engine: StubEngine) -> None:
    for _ in range(3):
        await run(text="やあ")
    assert len(engine.connections) == 1
    assert len(engine.requests) == 3


@asynccontextmanager
async def _deaf_server() -> AsyncIterator[str]:
    """Takes connections and never answers."""
    taken: list[asyncio.StreamWriter] = []

    async def take(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        for writer in taken:
            writer.close()
            await writer.wait_closed()


async def test_an_engine_that_takes_the_request_and_never_answers_is_a_timeout(serve: Any) -> None:
    async with _deaf_server() as base_url:
        assert _error(await serve(base_url)(text="やあ"))["code"] == "timeout"


async def test_a_reply_of_nothing_is_asked_for_once_more_and_then_has_a_name(run: Run, engine: StubEngine) -> None:
    engine.answers = [says(ending()), says(text("はい、おまたせ。"), ending())]
    assert (await run(text="やあ"))[-1]["text"] == "はい、おまたせ。"

    engine.requests.clear()
    engine.answers = [says(ending())]
    error = _error(await run(text="やあ"))
    assert (error["code"], error["retryable"], len(engine.requests)) == ("unavailable", True, 2)


async def test_a_second_stream_that_breaks_off_is_not_whole_because_the_first_was(run: Run, engine: StubEngine) -> None:
    engine.answers = [says(ending()), says(text("あら"))]
    items = await run(text="やあ")
    assert items[0] == {"delta": "あら"}
    assert _error(items)["code"] == "unavailable"
