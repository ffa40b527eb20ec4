"""
Tests of a worker that starts its engine: both processes of the container, and the end of each process.
"""

import asyncio
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from snack_worker.engine_process import EngineProcess

from .runpod_platform import Platform, running_platform
from .worker_environment import environment, ticket
from .worker_process import LIMIT_S, wait_for_exit, worker_process

MODEL_ID = "someone/some-model"
REVISION = "2fe192450127e6a83f7441aef6e3ca586c338b77"


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with running_platform() as running:
        yield running


def _write_vllm(directory: Path, script: str) -> None:
    """Writes a shell script named `vllm` to the folder on PATH."""
    program = directory / "bin" / "vllm"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.fixture
def env(tmp_path: Path, platform: Platform) -> dict[str, str]:
    """Environment of an image with cached weights. Its `vllm` writes its process id to `vllm.pid`."""
    snapshot = tmp_path / "models--someone--some-model" / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    template = tmp_path / "chat_template.jinja"
    template.write_text("{{ messages }}")
    tests = Path(__file__).parent
    _write_vllm(
        tmp_path,
        f'echo $$ > {tmp_path}/vllm.pid; cd {tests.parent}; exec {sys.executable} -m tests.vllm_command "$@"',
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = environment(
        tmp_path,
        PATH=f"{tmp_path}/bin:{os.environ['PATH']}",
        WEIGHTS="cached",
        MODEL_CACHE=str(tmp_path),
        MODEL_ID=MODEL_ID,
        MODEL_REVISION=REVISION,
        CHAT_TEMPLATE_FILE=str(template),
        ENGINE_PORT=str(port),
        ENGINE_HEALTH_EVERY_S="1",
        **platform.environment(),
    )
    del env["ENGINE_BASE_URL"]
    return env


async def _submit(platform: Platform, job_id: str = "job-1", **value: Any) -> None:
    await platform.queue.put({"id": job_id, "input": {"text": "こんばんは", "ticket": ticket(), **value}})


async def _result(platform: Platform) -> Any:
    _, _, body = await asyncio.wait_for(platform.done.get(), LIMIT_S)
    return body


def _engine_pid(tmp_path: Path) -> int:
    return int((tmp_path / "vllm.pid").read_text())


def _wait_for_file(path: Path) -> None:
    give_up_s = time.monotonic() + LIMIT_S
    while not path.exists():
        assert time.monotonic() < give_up_s, f"{path} was not created"
        time.sleep(0.01)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_worker_starts_an_engine_for_its_jobs_and_stops_the_engine_on_sigterm(
    env: dict[str, str], platform: Platform, tmp_path: Path
) -> None:
    async with worker_process(env) as process:
        await _submit(platform)
        assert (await _result(platform))["output"][-1]["text"] == "あら、いらっしゃい。"
        pid = _engine_pid(tmp_path)
        assert _is_running(pid)
        process.send_signal(signal.SIGTERM)
        platform.closing.set()
        code, _ = await wait_for_exit(process)
        assert code == 0
        assert not _is_running(pid)
        assert platform.unhealthy_reports == []


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (signal.SIGKILL, "the engine was killed by SIGKILL"),
        (signal.SIGSTOP, "the engine hangs: its health check failed 3 times in a row (last check: TimeoutError)"),
    ],
    ids=["engine killed", "engine hanging"],
)
async def test_worker_fails_the_running_jobs_and_exits_when_the_engine_is_lost(
    env: dict[str, str], platform: Platform, tmp_path: Path, fault: signal.Signals, reason: str
) -> None:
    # The platform keeps long polls open. The worker must not wait for these polls.
    async with worker_process({**env, "VLLM_STUB_REPLY_S": "60"}) as process:
        await _submit(platform)
        await asyncio.wait_for(platform.streaming.wait(), LIMIT_S)
        os.kill(_engine_pid(tmp_path), fault)
        body = await _result(platform)
        assert json.loads(body["error"])["error"] == {
            "code": "unavailable",
            "message": "Not available at the moment. Try again.",
            "retryable": True,
        }
        code, log = await wait_for_exit(process)
        assert code == 1
        assert log.endswith(f"snack-worker: {reason}\n")
        [report] = platform.unhealthy_reports
        assert report == {"status": "unhealthy", "check": "engine", "reason": reason}
        assert not _is_running(_engine_pid(tmp_path))


async def test_worker_exits_when_a_healthy_engine_sends_no_first_text_three_times_in_a_row(
    env: dict[str, str], platform: Platform, tmp_path: Path
) -> None:
    env = {**env, "VLLM_STUB_FIRST_TEXT_S": "60", "FIRST_TEXT_LIMIT_S": "1"}
    reason = "the engine is stuck: it sent no text in time, 3 times in a row"
    async with worker_process(env) as process:
        for job_id in ("job-1", "job-2", "job-3"):
            await _submit(platform, job_id)
        errors = [json.loads((await _result(platform))["error"])["error"] for _ in range(3)]
        assert {(error["code"], error["retryable"]) for error in errors} == {("timeout", True)}
        code, log = await wait_for_exit(process)
        assert code == 1
        assert log.endswith(f"snack-worker: {reason}\n")
        assert [report["reason"] for report in platform.unhealthy_reports] == [reason]
        assert not _is_running(_engine_pid(tmp_path))


async def test_worker_exits_when_the_engine_is_lost_between_jobs(
    env: dict[str, str], platform: Platform, tmp_path: Path
) -> None:
    async with worker_process(env) as process:
        await _submit(platform)
        await _result(platform)
        os.kill(_engine_pid(tmp_path), signal.SIGKILL)
        code, log = await wait_for_exit(process)
        assert code == 1
        assert log.endswith("snack-worker: the engine was killed by SIGKILL\n")
        assert len(platform.unhealthy_reports) == 1
        assert platform.done.empty()


@pytest.mark.parametrize(
    ("script", "limit_s", "reason"),
    [
        ("exit 3", "600", r"the engine exited with code 3 before it was ready"),
        (
            "exec sleep 1000",
            "1",
            r"the engine at http://127.0.0.1:\d+/health was not ready within 1 s \(last check: .*\)",
        ),
        (None, "600", r"the engine could not be started: vllm: No such file or directory"),
    ],
    ids=["exits at once", "never becomes healthy", "is not installed"],
)
async def test_worker_exits_with_the_reason_when_the_engine_does_not_start(
    env: dict[str, str], platform: Platform, tmp_path: Path, script: str | None, limit_s: str, reason: str
) -> None:
    if script is None:
        (tmp_path / "bin" / "vllm").unlink()
        env = {**env, "PATH": str(tmp_path / "bin")}
    else:
        _write_vllm(tmp_path, f"echo $$ > {tmp_path}/vllm.pid; {script}")
    async with worker_process({**env, "ENGINE_START_LIMIT_S": limit_s}) as process:
        code, log = await wait_for_exit(process)
        assert code == 1
        assert re.search(f"snack-worker: {reason}\n$", log)
        [report] = platform.unhealthy_reports
        assert re.fullmatch(reason, report["reason"])
        if script is not None:
            assert not _is_running(_engine_pid(tmp_path))


def test_engine_is_not_reported_as_lost_after_the_worker_stops_the_engine() -> None:
    lost: list[str] = []
    engine = EngineProcess(["sleep", "1000"])
    engine.watch("http://127.0.0.1:1/health", 600, lost.append)
    [watch] = [thread for thread in threading.enumerate() if thread.name == "engine-watch"]
    engine.stop()
    watch.join(LIMIT_S)
    assert not watch.is_alive()
    assert lost == []


async def test_worker_and_engine_exit_when_sigterm_arrives_while_the_engine_loads(
    env: dict[str, str], tmp_path: Path
) -> None:
    started = tmp_path / "started"
    _write_vllm(tmp_path, f"echo $$ > {tmp_path}/vllm.pid; touch {started}; exec sleep 1000")
    async with worker_process(env) as process:
        await asyncio.to_thread(_wait_for_file, started)
        process.send_signal(signal.SIGTERM)
        code, _ = await wait_for_exit(process)
        assert code == 128 + signal.SIGTERM
        assert not _is_running(_engine_pid(tmp_path))


async def test_worker_and_engine_exit_when_sigterm_arrives_during_the_engine_start(
    env: dict[str, str], tmp_path: Path
) -> None:
    _write_vllm(tmp_path, f"echo $$ > {tmp_path}/vllm.pid; kill -TERM $PPID; exec sleep 1000")
    async with worker_process(env) as process:
        code, _ = await wait_for_exit(process)
        assert code == 128 + signal.SIGTERM
        assert not _is_running(_engine_pid(tmp_path))


async def test_worker_exits_before_it_starts_the_engine_when_cached_weights_are_missing(env: dict[str, str]) -> None:
    async with worker_process({**env, "MODEL_ID": "someone/another-model"}) as process:
        code, log = await wait_for_exit(process)
        assert code == 1
        assert log.startswith("snack-worker: WEIGHTS is 'cached', but RunPod's model cache has no ")
        assert "models--someone--another-model" in log
