"""
Who 美砂樹ママ is: the system prompt of every conversation (`persona.txt`), and how she greets at this hour
(`greetings.txt`).
"""

from datetime import datetime, timedelta, timezone
from functools import cache
from importlib.resources import files

from .chat_input import Message

# Japan has no summer time, so this needs no time zone files.
TOKYO = timezone(timedelta(hours=9), "JST")


def persona(now_s: float) -> Message:
    """
    The system turn at this time (seconds since 1970). The hour's greeting comes last: what is before it is the same for
    everyone at every hour, and the whole is the same for everyone within one part of the day, so the engine's prefix
    cache holds it for all customers and through a conversation. Only one that goes on past 5, 18 or 23 o'clock is
    computed anew from the greeting on, once. In the customer's turn, or in the first turn only, it would cost that at
    every turn.
    """
    return {"role": "system", "content": f"{_text()}\n\n{_greeting(datetime.fromtimestamp(now_s, TOKYO).hour)}"}


@cache
def _text() -> str:
    return _read("persona.txt")


@cache
def _greeting(hour: int) -> str:
    by_hour = [line.split(" ", 1) for line in _read("greetings.txt").splitlines()]
    # Before the first of the day it is still the night before.
    return next((text for start, text in reversed(by_hour) if int(start) <= hour), by_hour[-1][1])


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8").strip()
