"""
System prompt of every conversation: the persona (`persona.txt`), the season (`seasons.txt`) and a greeting for the time
of day (`greetings.txt`). A line of `seasons.txt` begins with its month. A line of `greetings.txt` begins with the first
hour of the greeting.
"""

from datetime import datetime, timedelta, timezone
from functools import cache
from importlib.resources import files

from .chat_input import Message

# Japan has no summer time, so a fixed offset is enough and no time zone files are needed.
TOKYO = timezone(timedelta(hours=9), "JST")


def persona(now_s: float) -> Message:
    """
    Returns the system message for a time in seconds since 1970. The season changes with the month, the greeting at 5,
    11, 18 and 23 o'clock in Tokyo.

    Season and greeting are at the end of the message, so that all customers share the persona in the engine's prefix
    cache. They share the whole message until the greeting changes. When the greeting changes during a conversation, the
    engine recomputes the prompt once, starting at the greeting. With the greeting in a user message, the engine would
    recompute a part of the prompt at every turn.
    """
    now = datetime.fromtimestamp(now_s, TOKYO)
    season, greeting = _latest("seasons.txt", now.month), _latest("greetings.txt", now.hour)
    return {"role": "system", "content": f"{_read('persona.txt')}\n\n{season}\n{greeting}"}


@cache
def _latest(name: str, number: int) -> str:
    """
    Returns the last line whose number is at most `number`. If every number is higher, returns the file's last line.
    """
    lines = [line.split(" ", 1) for line in _read(name).splitlines()]
    return next((text for start, text in reversed(lines) if int(start) <= number), lines[-1][1])


@cache
def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8").strip()
