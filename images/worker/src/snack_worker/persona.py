"""
System prompt of every conversation: the persona (`persona.txt`) and a greeting for the time of day (`greetings.txt`).
"""

from datetime import datetime, timedelta, timezone
from functools import cache
from importlib.resources import files

from .chat_input import Message

# Japan has no summer time, so a fixed offset is enough and no time zone files are needed.
TOKYO = timezone(timedelta(hours=9), "JST")


def persona(now_s: float) -> Message:
    """
    Returns the system message for a time in seconds since 1970. The greeting changes at 5, 18 and 23 o'clock in Tokyo.

    The greeting is at the end of the message, so that all customers share the persona in the engine's prefix cache.
    They share the whole message until the greeting changes. When the greeting changes during a conversation, the engine
    recomputes the prompt once, starting at the greeting. If the greeting were in a user message, the engine would
    recompute part of the prompt at every turn.
    """
    return {"role": "system", "content": f"{_text()}\n\n{_greeting(datetime.fromtimestamp(now_s, TOKYO).hour)}"}


@cache
def _text() -> str:
    return _read("persona.txt")


@cache
def _greeting(hour: int) -> str:
    by_hour = [line.split(" ", 1) for line in _read("greetings.txt").splitlines()]
    # Each line begins with the hour from which its greeting applies. Before the first hour, the last line still
    # applies.
    return next((text for start, text in reversed(by_hour) if int(start) <= hour), by_hour[-1][1])


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8").strip()
