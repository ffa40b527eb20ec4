"""
Training conversations: JSON Lines files, each with a licence file. A line is `{"messages": [...]}` with the messages of
a worker's input, and optionally `time`: the time in Tokyo for which the persona is rendered.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from snack_worker.chat_input import Message
from snack_worker.errors import WorkerError
from snack_worker.persona import TOKYO, persona
from snack_worker.schemas import check

from .errors import TrainingError
from .files import read_json
from .personal_data import personal_data_in
from .prompts import Prompts

LICENCES = ("MIT", "Apache-2.0", "CC0-1.0", "CC-BY-4.0")
ORIGINS = ("written", "public", "opt-in")
# Replaces the real persona for tiny models, because its 1,300 tokens take too long on a CPU.
SHORT_PERSONA: Message = {"role": "system", "content": "あなたは美砂樹ママです。"}
_TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LICENCE_FIELDS = {"licence", "origin", "source"}


@dataclass(frozen=True)
class Problem:
    """One problem of the data."""

    file: str
    line: int
    """Line of the file, starting at 1; 0 for a problem of the whole file."""
    field: str
    allowed: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.field}: {self.allowed}"


@dataclass(frozen=True)
class Conversation:
    """A conversation that passed the checks of its form."""

    file: str
    line: int
    messages: list[Message]
    time_s: float
    """Time for which the persona is rendered, in seconds since 1970."""

    @property
    def key(self) -> str:
        """SHA-256 of the messages. The hash ignores the file, white space and the width of characters."""
        normal = [[turn["role"], _normalized(turn["content"])] for turn in self.messages]
        return hashlib.sha256(json.dumps(normal, ensure_ascii=False).encode()).hexdigest()

    def with_persona(self) -> list[Message]:
        """Returns the conversation with the worker's system message for the conversation's time."""
        return [persona(self.time_s), *self.messages]

    def with_short_persona(self) -> list[Message]:
        """Returns the conversation with a system message of one line, for tiny models on a CPU."""
        return [SHORT_PERSONA, *self.messages]


@dataclass(frozen=True)
class DataSet:
    """Checked conversations, split into two parts."""

    trained: list[Conversation]
    held_out: list[Conversation]
    sha256: str
    """Id of the set: the SHA-256 of the sorted keys of all conversations."""
    sources: list[dict[str, str]]
    """Licence and origin of each file."""


def load(files: Sequence[Path], prompts: Prompts, *, max_tokens: int, held_out_percent: int) -> DataSet:
    """Reads and checks files. Raises TrainingError that lists every problem."""
    conversations, problems = examine(files, prompts, max_tokens=max_tokens)
    held_out = [one for one in conversations if _is_held_out(one.key, held_out_percent)]
    trained = [one for one in conversations if not _is_held_out(one.key, held_out_percent)]
    if not trained and not problems:
        needed = f"at least one conversation to train is required, and {len(held_out)} are held out"
        problems = [Problem(", ".join(map(str, files)), 0, "file", needed)]
    if problems:
        raise TrainingError("\n".join(map(str, problems)))
    keys = sorted(conversation.key for conversation in conversations)
    sources = [{"file": file.name, **read_json(_licence_file(file))} for file in files]
    return DataSet(trained, held_out, hashlib.sha256("\n".join(keys).encode()).hexdigest(), sources)


def examine(files: Sequence[Path], prompts: Prompts, *, max_tokens: int) -> tuple[list[Conversation], list[Problem]]:
    """Returns the conversations of all files and the problems of all lines."""
    conversations: list[Conversation] = []
    problems: list[Problem] = []
    seen: dict[str, Conversation] = {}
    for file in files:
        problems += _licence_problems(file)
        for found in _read(file):
            if isinstance(found, Problem):
                problems.append(found)
                continue
            first = seen.setdefault(found.key, found)
            own = list(_content_problems(found, prompts, max_tokens))
            if first is not found:
                own.append(_problem(found, "messages", f"duplicate of {first.file}:{first.line}; remove one of them"))
            problems += own
            if not own:
                conversations.append(found)
    return conversations, problems


def _read(file: Path) -> Iterator[Conversation | Problem]:
    try:
        # Editors on Windows write a byte order mark. Only \n separates lines, because a text may contain U+2028.
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        yield Problem(str(file), 0, "file", f"must be a readable UTF-8 file ({type(error).__name__})")
        return
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _parse(str(file), number, line)


def _parse(file: str, number: int, line: str) -> Conversation | Problem:
    try:
        value = json.loads(line)
    except ValueError:
        return Problem(file, number, "line", "must be one JSON object")
    if not isinstance(value, dict):
        return Problem(file, number, "line", "must be one JSON object")
    if unknown := sorted(value.keys() - {"messages", "time"}):
        return Problem(file, number, unknown[0], "is unknown; only messages and time are allowed")
    if "messages" not in value:
        return Problem(file, number, "messages", "is required")
    try:
        check("worker-input", {"messages": value["messages"]}, "")
    except WorkerError as error:
        return Problem(file, number, (error.field or "messages").removeprefix("."), error.text)
    messages: list[Message] = value["messages"]
    time_s = _time(value, messages)
    if time_s is None:
        return Problem(file, number, "time", "must be a time in Tokyo such as 2026-07-10T20:30")
    return Conversation(file, number, messages, time_s)


def _time(value: dict[str, Any], messages: Sequence[Message]) -> float | None:
    """
    Returns the time of a conversation. For a conversation without a time, returns an evening that depends on the first
    message.
    """
    if "time" not in value:
        day = int(hashlib.sha256(messages[0]["content"].encode()).hexdigest(), 16) % 365
        return datetime(2026, 1, 1, 20, tzinfo=TOKYO).timestamp() + day * 86_400
    text = value["time"]
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=TOKYO).timestamp()
    except ValueError:
        return None


def _content_problems(conversation: Conversation, prompts: Prompts, max_tokens: int) -> Iterator[Problem]:
    messages = conversation.messages
    for index, turn in enumerate(messages):
        expected = "assistant" if index % 2 else "user"
        if turn["role"] != expected:
            yield _problem(conversation, f"messages[{index}].role", f"must be {expected}: roles alternate, user first")
            return
    if len(messages) % 2:
        yield _problem(conversation, "messages", "must end with a message of the assistant")
        return
    for index, turn in enumerate(messages):
        field = f"messages[{index}].content"
        if mark := _mark_in(turn["content"], prompts):
            yield _problem(conversation, field, f"must not contain {mark}, which chat templates use; write ＜ or ［")
        if turn["content"] != turn["content"].strip():
            yield _problem(conversation, field, "must not begin or end with white space")
        if _CONTROL.search(turn["content"]):
            yield _problem(conversation, field, "must not contain control characters, except line ends and tabs")
        if kind := personal_data_in(turn["content"]):
            yield _problem(conversation, field, f"must not contain personal data ({kind})")
    tokens = len(prompts.training_tokens(conversation.with_persona()).ids)
    if tokens > max_tokens:
        yield _problem(conversation, "messages", f"has {tokens} tokens with the persona; at most {max_tokens} allowed")


def _mark_in(text: str, prompts: Prompts) -> str | None:
    """
    Returns the first forbidden text of a conversation, or None. Forbidden are special tokens, and `<` and `[`, which
    the templates replace.
    """
    special = (token.content for token in prompts.tokenizer.get_added_tokens_decoder().values() if token.special)
    return next((mark for mark in (*special, "<", "[") if mark in text), None)


def _licence_file(file: Path) -> Path:
    return file.with_suffix(".license.json")


def _licence_problems(file: Path) -> list[Problem]:
    name = str(_licence_file(file))
    try:
        licence = read_json(_licence_file(file))
    except TrainingError as error:
        fields = "every data file needs its licence: {licence, origin, source}"
        return [Problem(str(file), 0, "licence", f"{fields} ({error})")]
    if not isinstance(licence, dict) or set(licence) != _LICENCE_FIELDS:
        return [Problem(name, 0, "fields", f"must be exactly {', '.join(sorted(_LICENCE_FIELDS))}")]
    problems = []
    if licence["licence"] not in LICENCES:
        problems.append(Problem(name, 0, "licence", f"must be one of {', '.join(LICENCES)}"))
    if licence["origin"] not in ORIGINS:
        allowed = "customers' conversations need their opt-in"
        problems.append(Problem(name, 0, "origin", f"must be one of {', '.join(ORIGINS)}; {allowed}"))
    if not isinstance(licence["source"], str) or not licence["source"].strip():
        problems.append(
            Problem(name, 0, "source", "must say who wrote the conversations, or where they were published")
        )
    return problems


def _is_held_out(key: str, percent: int) -> bool:
    return int(key[:8], 16) % 100 < percent


def _normalized(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip()


def _problem(conversation: Conversation, field: str, allowed: str) -> Problem:
    return Problem(conversation.file, conversation.line, field, allowed)
