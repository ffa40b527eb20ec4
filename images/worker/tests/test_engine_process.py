"""The worker with an engine of its own: a container's two processes, and what becomes of one without the other."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from snack_worker.engine_process import EngineProcess

from .runpod_platform import Platform, running_platform
from .tickets_maker import environment, ticket
from .worker_process import LIMIT_S, ended, worker_process

ID = "microsoft/Phi-3.5-mini-instruct"
REVISION = "2fe192450127e6a83f7441aef6e3ca586c338b77"


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with running_platform() as running:
        yield running


def _vllm(directory: Path, script: str) -> None:
    """Puts a `vllm` on the path: a shell script."""
    program = directory / "bin" / "vllm"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.fixture
def env(tmp_path: Path, platform: Platform) -> dict[str, str]:
    """The environment of an image with cached weights, whose `vllm` leaves its process id in `vllm.pid`."""
    snapshot = tmp_path / "models--microsoft--Phi-3.5-mini-instruct" / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    template = tmp_path / "chat_template.jinja"
    template.write_text("{{ messages }}")
    tests = Path(__file__).parent
    _vllm(
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
        MODEL_ID=ID,
        MODEL_REVISION=REVISION,
        CHAT_TEMPLATE_FILE=str(template),
        ENGINE_PORT=str(port),
        ENGINE_HEALTH_EVERY_S="1",
        **platform.environment(),
    )
    del env["ENGINE_BASE_URL"]
    return env


async def _ask(platform: Platform, job_id: str = "job-1", **value: Any) -> None:
    await platform.queue.put({"id": job_id, "input": {"text": "こんばんは", "ticket": ticket(), **value}})


async def _done(platform: Platform) -> Any:
    _, _, body = await asyncio.wait_for(platform.done.get(), LIMIT_S)
    return body


def _engine_pid(tmp_path: Path) -> int:
    return int((tmp_path / "vllm.pid").read_text())


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_answers_from_the_engine_it_started_and_ends_it_on_sigterm(
    env: dict[str, str], platform: Platform, tmp_path: Path
) -> None:
    async with worker_process(env) as process:
        await _ask(platform)
        assert (await _done(platform))["output"][-1]["text"] == "あら、いらっしゃい。"
        pid = _engine_pid(tmp_path)
        assert _runs(pid)
        process.send_signal(signal.SIGTERM)
        platform.closing.set()
        code, _ = await ended(process)
        assert code == 0
        assert not _runs(pid)
        assert platform.unfit == []


@pytest.mark.parametrize(
    ("blow", "says"),
    [
        (signal.SIGKILL, "the engine was ended by SIGKILL"),
        (signal.SIGSTOP, "the engine hangs: no answer from its health page, 3 times in a row (last: TimeoutError)"),
    ],
)
async def test_a_lost_engine_fails_the_jobs_by_name_and_ends_the_worker(
    env: dict[str, str], platform: Platform, tmp_path: Path, blow: signal.Signals, says: str
) -> None:
    # The platform goes on holding its long polls: the worker does not wait for them.
    async with worker_process({**env, "VLLM_STUB_REPLY_S": "60"}) as process:
        await _ask(platform)
        await asyncio.wait_for(platform.streaming.wait(), LIMIT_S)
        os.kill(_engine_pid(tmp_path), blow)
        body = await _done(platform)
        assert json.loads(body["error"])["error"] == {
            "code": "unavailable",
            "message": "Not available at the moment. Try again.",
            "retryable": True,
        }
        code, log = await ended(process)
        assert code == 1
        assert log.endswith(f"snack-worker: {says}\n")
        [report] = platform.unfit
        assert report == {"status": "unhealthy", "check": "engine", "reason": says}
        assert not _runs(_engine_pid(tmp_path))


async def test_an_engine_lost_between_jobs_ends_the_worker(
    env: dict[str, str], platform: Platform, tmp_path: Path
) -> None:
    async with worker_process(env) as process:
        await _ask(platform)
        await _done(platform)
        os.kill(_engine_pid(tmp_path), signal.SIGKILL)
        code, log = await ended(process)
        assert code == 1
        assert log.endswith("snack-worker: the engine was ended by SIGKILL\n")
        assert len(platform.unfit) == 1
        assert platform.done.empty()


@pytest.mark.parametrize(
    ("script", "limit_s", "says"),
    [
        ("exit 3", "600", r"the engine ended with exit code 3 before it was ready"),
        ("exec sleep 1000", "1", r"the engine at http://127.0.0.1:\d+/health was not ready within 1 s \(last: .*\)"),
        (None, "600", r"the engine could not be started: vllm: No such file or directory"),
    ],
)
async def test_an_engine_that_never_starts_ends_the_worker(
    env: dict[str, str], platform: Platform, tmp_path: Path, script: str | None, limit_s: str, says: str
) -> None:
    if script is None:
        (tmp_path / "bin" / "vllm").unlink()
        env = {**env, "PATH": str(tmp_path / "bin")}
    else:
        _vllm(tmp_path, f"echo $$ > {tmp_path}/vllm.pid; {script}")
    async with worker_process({**env, "ENGINE_START_LIMIT_S": limit_s}) as process:
        code, log = await ended(process)
        assert code == 1
        assert re.search(f"snack-worker: {says}\n$", log)
        [report] = platform.unfit
        assert re.fullmatch(says, report["reason"])
        if script is not None:
            assert not _runs(_engine_pid(tmp_path))


def test_an_engine_that_was_told_to_end_is_not_lost() -> None:
    lost: list[str] = []
    engine = EngineProcess(["sleep", "1000"])
    engine.watch("http://127.0.0.1:1/health", 600, lost.append)
    [watch] = [thread for thread in threading.enumerate() if thread.name == "engine-watch"]
    engine.stop()
    watch.join(LIMIT_S)
    assert not watch.is_alive()
    assert lost == []


async def test_sigterm_while_the_engine_loads_ends_both(env: dict[str, str], tmp_path: Path) -> None:
    started = tmp_path / "started"
    os.mkfifo(started)
    _vllm(tmp_path, f"echo $$ > {tmp_path}/vllm.pid; echo > {started}; exec sleep 1000")
    async with worker_process(env) as process:
        # Opening a pipe waits for the one who writes to it.
        await asyncio.wait_for(asyncio.to_thread(started.read_bytes), LIMIT_S)
        process.send_signal(signal.SIGTERM)
        code, _ = await ended(process)
        assert code == 128 + signal.SIGTERM
        assert not _runs(_engine_pid(tmp_path))


async def test_sigterm_while_the_engine_is_being_started_leaves_none_behind(
    env: dict[str, str], tmp_path: Path
) -> None:
    _vllm(tmp_path, f"echo $$ > {tmp_path}/vllm.pid; kill -TERM $PPID; exec sleep 1000")
    async with worker_process(env) as process:
        code, _ = await ended(process)
        assert code == 128 + signal.SIGTERM
        assert not _runs(_engine_pid(tmp_path))


async def test_weights_that_are_not_cached_are_named_before_anything_starts(env: dict[str, str]) -> None:
    async with worker_process({**env, "MODEL_ID": "someone/else"}) as process:
        code, log = await ended(process)
        assert code == 1
        assert log.startswith("snack-worker: WEIGHTS is 'cached', but RunPod's model cache has no ")
        assert "models--someone--else" in log
