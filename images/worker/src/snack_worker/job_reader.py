"""
Reads one job from the body of RunPod's response.

Anyone with a key of the endpoint can send any JSON. Therefore the bytes, the nesting and the number of values are
checked before the JSON is parsed. Any refused job then costs only a few milliseconds of CPU, and other jobs do not wait
for it.
"""

import json
import re
from typing import NotRequired, TypedDict

import aiohttp

from .errors import WorkerError

# The longest conversation of the contract (40 messages of 2,000 characters) has 320 KB in UTF-8, and 480 KB when
# Japanese characters are escaped (`\u3042`).
MAX_JOB_BYTES = 512 * 1024
# In an OpenAI job, a part of a message is seven levels deep. The other levels are for fields that are ignored.
MAX_DEPTH = 32
# The largest valid conversation has 40 messages of 8 parts. Each part counts as six values: its beginning, two names,
# two texts and its end.
MAX_VALUES = 4_000

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_WORD = rb'[^\s,:"\[\]{}]++'

# One value, or the beginning or the end of a list or object, with the white space and punctuation before it.
_VALUE = re.compile(rb"[\s,:]*+(?:" + _STRING + rb"|([\[{])|([\]}])|" + _WORD + rb")", re.DOTALL)

# The id before or after the input. `_ID_AFTER` cannot match an id inside the input, because at least one more bracket
# follows that id.
_MEMBER = rb"\s*+" + _STRING + rb"\s*+:\s*+(?:" + _STRING + rb"|" + _WORD + rb")\s*+"
_ID = rb'\s*+"id"\s*+:\s*+"([\w-]{1,200})"\s*+'
_ID_BEFORE = re.compile(rb'\s*+\{(?:(?!\s*+"id")' + _MEMBER + rb",)*+" + _ID, re.DOTALL)
_ID_AFTER = re.compile(rb"," + _ID + rb"(?:," + _MEMBER + rb")*+\}\s*+\Z", re.DOTALL)
_TAIL_BYTES = 4_096


class Job(TypedDict):
    """A job of the queue."""

    id: str
    input: object
    """Parsed JSON, or the error with which the job is refused."""
    submitted_after_s: NotRequired[float]
    """
    Earliest possible submission time of the job, in seconds since 1970. It is the newest time at which the queue was
    empty, because RunPod does not return the submission time.
    """


async def read_job(content: aiohttp.StreamReader) -> Job:
    """
    Reads a job. Reads only the beginning of a job that is too big. Raises ValueError when the job has no id. In this
    case RunPod gets no result, and ends the job at the job's time limit.
    """
    body = bytearray()
    while len(body) <= MAX_JOB_BYTES and (piece := await content.readany()):
        body += piece
    return parse_job(bytes(body))


def parse_job(body: bytes) -> Job:
    """Parses a job. Raises ValueError when it has no id."""
    if refusal := _refusal(body):
        return {"id": _find_id(body), "input": refusal}
    try:
        job = json.loads(body.decode())
    except ValueError:
        # Python refuses a number of more than 4,300 digits. Such a number is valid JSON, so RunPod passes it on.
        return {"id": _find_id(body), "input": WorkerError("invalid_input", "is not valid JSON.", field="input")}
    if not isinstance(job, dict) or not isinstance(job.get("id"), str):
        raise ValueError("the job has no id")
    return {"id": job["id"], "input": job.get("input")}


def _refusal(body: bytes) -> WorkerError | None:
    """Returns the reason why a job is not parsed, or None."""
    if len(body) > MAX_JOB_BYTES:
        return WorkerError("too_long", f"at most {MAX_JOB_BYTES} bytes are allowed.", field="input")
    depth = position = 0
    for _ in range(MAX_VALUES):
        # The regular expression is possessive, so the time of a match is proportional to the matched bytes.
        if (value := _VALUE.match(body, position)) is None:
            return None
        position = value.end()
        if value[1]:
            depth += 1
        elif value[2]:
            depth -= 1
        if depth > MAX_DEPTH:
            return WorkerError("invalid_input", f"at most {MAX_DEPTH} levels of nesting are allowed.", field="input")
    return WorkerError("too_long", f"at most {MAX_VALUES} JSON values are allowed.", field="input")


def _find_id(body: bytes) -> str:
    """Returns the id of a job that is not parsed. Raises ValueError when the id is not found."""
    found = _ID_BEFORE.match(body)
    # When only a part of a body is read, the final bytes of this part belong to the input. A client can write any id
    # there.
    if found is None and len(body) <= MAX_JOB_BYTES:
        found = _ID_AFTER.search(body, max(0, len(body) - _TAIL_BYTES))
    if found is None:
        raise ValueError("the id of a refused job was not found")
    return found[1].decode()
