"""Tests of the complete worker. It runs as in a container: `python -m snack_worker` with the real RunPod SDK."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

from .runpod_platform import Platform, running_platform
from .stub_engine import StubEngine, end_events, send, text_event
from .worker_environment import MODELS, environment, ticket
from .worker_process import LIMIT_S, wait_for_exit, worker_process


async def _result(platform: Platform, **value: Any) -> tuple[str, Any]:
    job_id = f"job-{len(platform.streamed)}-{platform.done.qsize()}"
    await platform.queue.put({"id": job_id, "input": value})
    done_id, is_stream, body = await asyncio.wait_for(platform.done.get(), LIMIT_S)
    assert (done_id, is_stream) == (job_id, "true")
    return job_id, body


async def _next_result(platform: Platform) -> tuple[str, Any]:
    job_id, _, body = await asyncio.wait_for(platform.done.get(), LIMIT_S)
    return job_id, body


async def test_worker_runs_jobs_through_the_sdk_and_exits_with_0_on_sigterm(engine: StubEngine, tmp_path: Path) -> None:
    async with running_platform() as platform:
        env = environment(
            tmp_path, ENGINE_BASE_URL=engine.base_url, RUNPOD_DEBUG_LEVEL="DEBUG", **platform.environment()
        )
        async with worker_process(env) as process:
            job_id, body = await _result(platform, text="ひみつの話", ticket=ticket())
            streamed = [item["output"] for item in platform.streamed[job_id]]
            assert "".join(item["delta"] for item in streamed[:-1]) == "あら、いらっしゃい。"
            assert streamed[-1]["done"] is True
            assert streamed[-1]["text"] == "あら、いらっしゃい。"
            assert body == {"output": streamed}

            _, body = await _result(platform, text="ひみつの話")
            assert list(body) == ["error"]
            assert json.loads(body["error"]) == {
                "error": {
                    "code": "ticket_missing",
                    "message": "A ticket is required. Ask for a session first.",
                    "retryable": False,
                }
            }

            engine.answers = [send(text_event("あら"))]
            job_id, body = await _result(platform, text="ひみつの話", ticket=ticket())
            assert platform.streamed[job_id] == [{"output": {"delta": "あら"}}]
            assert json.loads(body["error"])["error"]["code"] == "unavailable"

            await asyncio.wait_for(platform.pinged.wait(), LIMIT_S)
            process.send_signal(signal.SIGTERM)
            platform.closing.set()
            code, log = await wait_for_exit(process)
            assert code == 0
            assert "engine ready" in log
            assert "Unclosed" not in log
            for private in ("ひみつ", "\\u3072", "いらっしゃい", "\\u3044\\u3089", "snack-ticket", "worker-key"):
                assert private not in log


async def test_worker_finishes_a_running_job_after_sigterm(engine: StubEngine, tmp_path: Path) -> None:
    resume = asyncio.Event()

    async def pause_in_the_middle(response: Any) -> None:
        await response.write(text_event("あら、"))
        await resume.wait()
        await send(text_event("おまたせ。"), end_events())(response)

    engine.answers = [pause_in_the_middle]
    async with running_platform() as platform:
        env = environment(tmp_path, ENGINE_BASE_URL=engine.base_url, **platform.environment())
        async with worker_process(env) as process:
            await platform.queue.put({"id": "job-1", "input": {"text": "やあ", "ticket": ticket()}})
            await asyncio.wait_for(engine.requested.wait(), LIMIT_S)
            process.send_signal(signal.SIGTERM)
            platform.closing.set()
            resume.set()
            _, _, body = await asyncio.wait_for(platform.done.get(), LIMIT_S)
            assert body["output"][-1]["text"] == "あら、おまたせ。"
            code, _ = await wait_for_exit(process)
            assert code == 0


async def test_deeply_nested_job_gets_an_error_while_concurrent_jobs_get_replies(
    engine: StubEngine, tmp_path: Path
) -> None:
    good = json.dumps({"id": "good-%d", "input": {"text": "やあ", "ticket": ticket()}})
    nested = b'{"id":"bad-%d","input":{"text":' + b"[" * 1_000 + b"]" * 1_000 + b"}}"
    async with running_platform() as platform:
        env = environment(tmp_path, ENGINE_BASE_URL=engine.base_url, **platform.environment())
        for index in range(5):
            await platform.queue.put((good % index).encode())
            await platform.queue.put(nested % index)
        async with worker_process(env):
            results = dict([await _next_result(platform) for _ in range(10)])
    for index in range(5):
        assert results[f"good-{index}"]["output"][-1]["text"] == "あら、いらっしゃい。"
        assert json.loads(results[f"bad-{index}"]["error"])["error"] == {
            "code": "invalid_input",
            "message": "input: at most 32 levels of nesting are allowed.",
            "retryable": False,
        }


async def test_worker_exits_with_a_message_when_a_variable_is_invalid(tmp_path: Path) -> None:
    async with worker_process(environment(tmp_path, MODEL="gpt")) as process:
        code, output = await wait_for_exit(process)
        assert code == 1
        assert output == f"snack-worker: MODEL is 'gpt'; allowed: {', '.join(MODELS)}\n"


async def test_worker_exits_before_it_waits_for_the_engine_when_the_tokenizer_is_invalid(tmp_path: Path) -> None:
    tokenizer_file = tmp_path / "tokenizer.json"
    tokenizer_file.write_text("{}")
    env = environment(tmp_path, TOKENIZER_FILE=str(tokenizer_file), ENGINE_BASE_URL="http://127.0.0.1:1/v1")
    async with worker_process(env) as process:
        code, output = await wait_for_exit(process)
        assert code == 1
        assert output == f"snack-worker: TOKENIZER_FILE: {tokenizer_file} is not a tokenizer\n"


async def test_worker_exits_with_a_message_when_the_engine_never_responds(tmp_path: Path) -> None:
    env = environment(tmp_path, ENGINE_BASE_URL="http://127.0.0.1:1/v1", ENGINE_START_LIMIT_S="1")
    async with worker_process(env) as process:
        code, output = await wait_for_exit(process)
        assert code == 1
        assert "the engine at http://127.0.0.1:1/health was not ready within 1 s" in output
