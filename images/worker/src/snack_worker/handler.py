"""
The handler RunPod calls for each job: checks the input's shape, then its ticket, then the ticket's limits, all before
the engine is asked; then streams the reply.

Shape comes before the ticket because it is free to check and a ticket can only be read from a well-formed input.
"""

import logging
import time
import traceback
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from .chat_input import ChatInput, check_limits, reply_tokens
from .coalesce import coalesce
from .dialect import Dialect, Item, OwnDialect, Reply, usage
from .engine import Engine, Outcome
from .errors import WorkerError
from .history import conversation
from .openai_route import OpenAiDialect, is_openai
from .persona import persona
from .settings import Settings
from .tickets import verify_ticket
from .tokenizer import Count, read_counter

log = logging.getLogger(__name__)

# A reader does not notice gaps this short, and each item costs a request to RunPod.
COALESCE_WINDOW_S = 0.06

# What suits talking; a client's own parameters win.
SAMPLING = {"temperature": 0.7, "top_p": 0.9}

Handler = Callable[[Mapping[str, Any]], AsyncGenerator[Item]]


def make_handler(settings: Settings, engine: Engine) -> Handler:
    """
    An async generator of a job's items in the dialect it was asked in. A failed job ends with
    `{"error": "<JSON of the contract's error>"}`: the RunPod SDK takes a yielded `error` for the end of the job and
    sends `str()` of it, so it must be text already. Raises SettingsError when a file of the model cannot be read.
    """
    count = read_counter(settings.tokenizer_file, settings.chat_template_file)

    async def handle(job: Mapping[str, Any]) -> AsyncGenerator[Item]:
        job_id = str(job.get("id"))
        value = job.get("input")
        dialect: Dialect = OpenAiDialect(value, job_id, settings) if is_openai(value) else OwnDialect(value, settings)
        try:
            async with aclosing(_answer(dialect, job_id, settings, engine, count)) as items:
                async for item in items:
                    yield item
            return
        except WorkerError as error:
            failure = error
        except Exception as error:
            # Its text could hold a customer's words, so only its type is kept.
            failure = WorkerError("internal", cause=_where(error))
        log.warning("job %s: %s (%s)", job_id, failure.code, failure.cause or "refused")
        for item in dialect.failed(failure):
            yield item

    return handle


async def _answer(
    dialect: Dialect, job_id: str, settings: Settings, engine: Engine, count: Count
) -> AsyncGenerator[Item]:
    start_s = time.perf_counter()
    chat = dialect.parse()
    if not isinstance(chat, ChatInput):
        yield chat
        return
    limits = verify_ticket(
        chat.ticket,
        keys=settings.ticket_keys,
        issuer=settings.ticket_issuer,
        model=settings.model,
        now_s=time.time(),
    )
    check_limits(chat, limits)
    max_tokens = reply_tokens(chat, limits)
    request = {
        "model": settings.model,
        "messages": conversation(
            chat,
            persona(time.time()),
            max_tokens=max_tokens,
            context_tokens=settings.context_tokens,
            count=count,
        ),
        **SAMPLING,
        **chat.params,
        "max_tokens": max_tokens,
    }

    outcome = Outcome()
    text = ""
    first_text_s: float | None = None
    async with (
        aclosing(engine.stream_text(request, outcome)) as pieces,
        aclosing(coalesce(pieces, COALESCE_WINDOW_S)) as deltas,
    ):
        async for delta in deltas:
            first_text_s = first_text_s or time.perf_counter()
            text += delta
            if (item := dialect.delta(delta)) is not None:
                yield item
    end_s = time.perf_counter()
    timings = {"ttft_ms": _ms(start_s, first_text_s or end_s), "total_ms": _ms(start_s, end_s)}
    log.info("job %s: %s %s %s request=%r", job_id, outcome.finish_reason, usage(outcome), timings, chat.request_id)
    yield dialect.done(Reply(text, outcome, timings))


def _ms(start_s: float, end_s: float) -> float:
    return round((end_s - start_s) * 1_000, 1)


def _where(error: Exception) -> str:
    """Type and place of an unexpected error, without its text."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
