"""
Tests of jobs that are too big, too deep or have too many values. Anyone with a key of the endpoint can send such jobs.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from snack_worker.errors import WorkerError
from snack_worker.job_loop import take_job
from snack_worker.job_reader import MAX_DEPTH, MAX_JOB_BYTES, MAX_VALUES, Job, parse_job

from .stub_engine import running


def _refusal(job: Job) -> tuple[str, str]:
    error = job["input"]
    assert isinstance(error, WorkerError)
    return error.code, error.message


def _nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def test_parsed_job_contains_the_id_and_the_input() -> None:
    body = json.dumps({"id": "a-1", "input": {"text": '桃[{"\\🍑'}, "webhook": "https://example.com"})
    assert parse_job(body.encode()) == {"id": "a-1", "input": {"text": '桃[{"\\🍑'}}
    assert parse_job(b'{"id":"a-1"}') == {"id": "a-1", "input": None}


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"a-1","input":{"text":%s}}',
        b'{"delayTime":7,"batchId":null,"status":"a\\"b","id":"a-1","input":{"text":%s},"webhook":"x"}',
        b'{"input":{"text":%s},"id":"a-1"}',
        b'{"input":{"text":%s,"id":"b-2"},"id":"a-1","webhook":"https://example.com/?a={}","n":1}\n',
    ],
    ids=["id first", "id before the input", "id last", "id after the input, and another id in the input"],
)
def test_id_of_a_refused_job_is_found_without_parsing(body: bytes) -> None:
    job = parse_job(body % _nested(1_000))
    assert job["id"] == "a-1"
    assert _refusal(job) == ("invalid_input", f"input: at most {MAX_DEPTH} levels of nesting are allowed.")


@pytest.mark.parametrize(
    "body",
    [
        b'{"input":{"text":%s,"id":"b-2"}}',
        b'{"input":{"text":%s,"id":"b-2"},"webhook":"x"}',
        b'{"input":{"text":%s},"webhook":"\\"id\\":\\"b-2\\"}"}',
        b'{"input":{"text":%s,"a":[{"a":1,"id":"b-2"}' + b" " * MAX_JOB_BYTES,
    ],
    ids=["in the input", "in the input before another field", "in a string", "in the part of a big input that is read"],
)
def test_id_inside_the_input_is_not_used(body: bytes) -> None:
    with pytest.raises(ValueError, match="the id of a refused job was not found"):
        parse_job(body % _nested(1_000))


def test_deepest_allowed_input_is_parsed() -> None:
    assert parse_job(b'{"id":"a","input":%s}' % _nested(MAX_DEPTH - 1))["id"] == "a"
    assert _refusal(parse_job(b'{"id":"a","input":%s}' % _nested(MAX_DEPTH)))[0] == "invalid_input"


def test_biggest_allowed_job_is_parsed() -> None:
    head, end = b'{"id":"a","input":{"text":"', b'"}}'
    text = b"a" * (MAX_JOB_BYTES - len(head + end))
    assert parse_job(head + text + end)["input"] == {"text": text.decode()}
    message = f"input: at most {MAX_JOB_BYTES} bytes are allowed."
    assert _refusal(parse_job(head + text + b"a" + end)) == ("too_long", message)


def test_longest_conversation_of_the_contract_is_parsed() -> None:
    part = {"type": "text", "text": "🍑" * 250}
    body = {"messages": [{"role": "user", "content": [part] * 8}] * 40, "ticket": "t" * 1_000}
    job = {"id": "a", "input": {"openai_route": "/v1/chat/completions", "openai_input": body}}
    assert parse_job(json.dumps(job, ensure_ascii=False).encode()) == job


@pytest.mark.parametrize("value", [b"{},", b'"",', b"1,", b"null,", b'{"a":1},'])
def test_job_with_too_many_values_is_refused(value: bytes) -> None:
    job = parse_job(b'{"id":"a","input":[%s0]}' % (value * MAX_VALUES))
    assert _refusal(job) == ("too_long", f"input: at most {MAX_VALUES} JSON values are allowed.")


@pytest.mark.parametrize(
    "value", [b"1" * 5_000, b'"\xff"', b'"', b"[1 2]"], ids=["number of 5,000 digits", "not UTF-8", "half", "no comma"]
)
def test_job_that_python_cannot_parse_is_refused(value: bytes) -> None:
    job = parse_job(b'{"id":"a-1","input":{"text":%s}}' % value)
    assert job["id"] == "a-1"
    assert _refusal(job) == ("invalid_input", "input: is not valid JSON.")


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"id":1,"input":1}', b'{"id":"\xff"}'])
def test_body_that_is_not_a_job_raises_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"no id|the id of a refused job was not found"):
        parse_job(body)


@asynccontextmanager
async def _server(respond: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes([web.get("/", respond)])
    async with running(app) as port:
        yield f"http://127.0.0.1:{port}/"


async def test_job_of_a_hundred_megabytes_is_refused_at_the_maximum_size_and_the_connection_is_closed() -> None:
    sent_bytes = 0
    closed = asyncio.Event()

    async def respond(request: web.Request) -> web.StreamResponse:
        nonlocal sent_bytes
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            await response.write(b'{"id":"a-1","input":{"text":"')
            for _ in range(100):
                await response.write(b"a" * 2**20)
                sent_bytes += 2**20
        except (asyncio.CancelledError, ConnectionError):
            closed.set()
            raise
        return response

    async with _server(respond) as url, aiohttp.ClientSession() as session:
        job = await take_job(session, url)
        assert job is not None
        assert job["id"] == "a-1"
        assert _refusal(job)[0] == "too_long"
        await asyncio.wait_for(closed.wait(), 10)
        # The socket buffers hold some megabytes.
        assert sent_bytes < 20 * 2**20


async def test_take_job_returns_none_when_the_queue_is_empty() -> None:
    async def respond(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=204)

    async with _server(respond) as url, aiohttp.ClientSession() as session:
        assert await take_job(session, url) is None


async def test_take_job_accepts_no_compressed_response() -> None:
    accepted: list[str] = []

    async def respond(request: web.Request) -> web.StreamResponse:
        accepted.append(request.headers["Accept-Encoding"])
        return web.Response(status=204)

    headers = {"Accept-Encoding": "gzip, deflate"}
    async with _server(respond) as url, aiohttp.ClientSession(headers=headers) as session:
        await take_job(session, url)
    assert accepted == ["identity"]
