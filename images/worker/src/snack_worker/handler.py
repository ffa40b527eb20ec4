"""
Handler of a job. It checks the ticket, the input's shape and the ticket's limits, in this order. Then it requests a
reply from the engine and streams that reply. `job_reader` has checked the input's bytes and nesting before.
"""

import logging
import time
import traceback
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path

from .chat_input import check_limits, reply_tokens
from .coalesce import coalesce
from .dialect import Dialect, Item, NativeDialect, Reply, usage
from .engine import Engine, Outcome
from .errors import WorkerError
from .history import fit_conversation
from .job_reader import Job
from .openai_route import OpenAiDialect, is_openai
from .persona import persona
from .settings import Settings
from .tickets import TicketGate
from .tokenizer import PromptFormat, read_prompt_format

log = logging.getLogger(__name__)

# Text without punctuation (`coalesce.BOUNDARIES`) is collected for this time before it is sent, because each delta
# costs a request to RunPod. People do not notice such a short pause.
COALESCE_WINDOW_S = 0.06

# Default sampling parameters. The client's parameters override them.
SAMPLING = {"temperature": 0.7, "top_p": 0.9}

Handler = Callable[[Job], AsyncGenerator[Item]]


def make_handler(settings: Settings, engine: Engine) -> Handler:
    """
    Returns an async generator function that yields a job's items in the dialect of its input. The final item of a
    failed job is `{"error": "<JSON text of the contract's error>"}`. Raises SettingsError when the tokenizer or the
    chat template cannot be read.
    """
    prompt_format = read_prompt_format(settings.tokenizer_file, settings.chat_template_file)
    gate = TicketGate(settings.ticket_keys, settings.ticket_issuer, settings.model, settings.endpoint)

    async def handle(job: Job) -> AsyncGenerator[Item]:
        job_id, value = job["id"], job["input"]
        dialect: Dialect = (
            OpenAiDialect(value, job_id, settings) if is_openai(value) else NativeDialect(value, settings)
        )
        try:
            async with aclosing(_answer(dialect, job, settings, gate, engine, prompt_format)) as items:
                async for item in items:
                    yield item
            return
        except WorkerError as error:
            failure = error
        except Exception as error:
            # The error's text may contain a customer's message, so only its type is logged.
            failure = WorkerError("internal", cause=_type_and_place(error))
        log.warning("job %s: %s (%s)", job_id, failure.code, failure.cause or "refused")
        for item in dialect.failed(failure):
            yield item

    return handle


async def _answer(
    dialect: Dialect, job: Job, settings: Settings, gate: TicketGate, engine: Engine, prompt_format: PromptFormat
) -> AsyncGenerator[Item]:
    start_s = time.perf_counter()
    now_s = time.time()
    if isinstance(job["input"], WorkerError):
        raise job["input"]
    if (response := dialect.public_response()) is not None:
        yield response
        return
    ticket = gate.check(dialect.ticket(), submitted_after_s=job.get("submitted_after_s", now_s), now_s=now_s)
    if ticket.is_keep_alive:
        # A keep-alive job is not a customer's job. It does not reach the engine, the job count of the ticket, or the
        # log of replies.
        log.info("job %s: keep-alive", job["id"])
        yield dialect.done(Reply("", Outcome(finish_reason="stop"), {"ttft_ms": 0, "total_ms": 0}))
        return
    chat = dialect.parse()
    check_limits(chat, ticket.limits)
    max_tokens = reply_tokens(chat, ticket.limits)
    request = {
        "model": settings.model,
        "messages": fit_conversation(
            chat,
            persona(now_s),
            max_tokens=max_tokens,
            context_tokens=settings.context_tokens,
            count_tokens=prompt_format.count_tokens,
        ),
        **SAMPLING,
        **chat.params,
        "max_tokens": max_tokens,
        **prompt_format.stop,
    }

    gate.count(ticket)
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
    log.info(
        "job %s: %s %s %s request=%r correlation=%r",
        job["id"],
        outcome.finish_reason,
        usage(outcome),
        timings,
        chat.request_id,
        ticket.correlation_id,
    )
    yield dialect.done(Reply(text, outcome, timings))


def _ms(start_s: float, end_s: float) -> float:
    return round((end_s - start_s) * 1_000, 1)


def _type_and_place(error: Exception) -> str:
    """Returns the type, file and line of an error, without its text."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
