"""System prompt of every conversation: the persona (`persona.txt`) and the hour's greeting (`greetings.txt`)."""

from datetime import datetime, timedelta, timezone
from functools import cache
from importlib.resources import files

from .chat_input import Message

# Japan has no summer time, so a fixed offset is enough and no time zone files are needed.
TOKYO = timezone(timedelta(hours=9), "JST")


def persona(now_s: float) -> Message:
    """
    Returns the system message for a time in seconds since 1970. The greeting changes at 5, 18 and 23 o'clock and comes
    last, so the engine's prefix cache is shared by all customers: the persona always, the whole message between two
    changes. A conversation that continues past a change is computed again from the greeting on, once. A greeting in a
    user message would cause this at every turn.
    """
    return {"role": "system", "content": f"{_text()}\n\n{_greeting(datetime.fromtimestamp(now_s, TOKYO).hour)}"}


@cache
def _text() -> str:
    return _read("persona.txt")


@cache
def _greeting(hour: int) -> str:
    by_hour = [line.split(" ", 1) for line in _read("greetings.txt").splitlines()]
    # Hours before the first line's hour belong to the last line.
    return next((text for start, text in reversed(by_hour) if int(start) <= hour), by_hour[-1][1])


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8").strip()
