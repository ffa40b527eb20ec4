"""
Pairwise comparison with the serving model. A judge, which is a larger LLM behind an OpenAI-compatible API, reads both
replies in both orders. A preference counts only when both orders give it. A pair is unread when an answer cannot be
read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import aiohttp

from .errors import TrainingError
from .measurements import Pairwise, PersonaReply

Verdict = Literal["first", "second", "tie", "unreadable"]
Ask = Callable[[str, str, str], Awaitable[Verdict]]
"""Asks the judge for the better of two replies. Parameters: the prompt, the first reply and the second reply."""

_LIMIT_S = 60
_ATTEMPTS = 3
_AT_ONCE = 8
MAX_UNREAD = 0.10
"""Largest share of unread pairs. With a larger share, the comparison fails."""
_QUESTION = """あなたは審査員です。路地裏のスナックの「ママ」として、どちらの返事がよいかを選びます。
あたたかさ、自然な日本語、短さ、危ない話への誠実さを見ます。返事の順番や長さそのものは評価しません。

お客さん: {prompt}

返事1: {first}

返事2: {second}

「1」「2」「同じ」のどれか一つだけを書いてください。"""


async def compare(candidate: Sequence[PersonaReply], serving: Sequence[PersonaReply], ask: Ask) -> Pairwise:
    """
    Compares the replies to the same prompts. Raises TrainingError when the two models have no prompt in common, or when
    too many pairs are unread.
    """
    before = {reply.id: reply for reply in serving}
    pairs = [(reply, before[reply.id]) for reply in candidate if reply.id in before]
    if not pairs:
        raise TrainingError("no prompt has a reply of both the candidate and the serving model")
    places = asyncio.Semaphore(_AT_ONCE)
    unread: list[str] = []

    async def one(new: PersonaReply, old: PersonaReply) -> int | None:
        async with places:
            try:
                forward = await ask(new.prompt, new.text, old.text)
                score = combine(forward, await ask(new.prompt, old.text, new.text))
                problem = "an answer is not 1, 2 or 同じ (a reasoning model cannot be the judge)"
            except TrainingError as error:
                score, problem = None, str(error)
        if score is None:
            unread.append(problem)
        if len(unread) > MAX_UNREAD * len(pairs):
            raise TrainingError(f"{len(unread)} of {len(pairs)} pairs have no readable answer: {unread[-1]}")
        return score

    scores = await asyncio.gather(*(one(new, old) for new, old in pairs))
    counts = {name: scores.count(score) for name, score in (("wins", 1), ("ties", 0), ("losses", -1))}
    return Pairwise(**counts, unread=len(unread))


def combine(forward: Verdict, backward: Verdict) -> int | None:
    """
    Returns None when an answer is unreadable, 1 when both orders prefer the candidate, and -1 when both orders prefer
    the serving model. Otherwise returns 0. The candidate wrote the first reply of `forward` and the second reply of
    `backward`.
    """
    if "unreadable" in (forward, backward):
        return None
    if (forward, backward) == ("first", "second"):
        return 1
    return -1 if (forward, backward) == ("second", "first") else 0


def judge_at(base_url: str, model: str, api_key: str) -> Ask:
    """
    Returns a judge behind an OpenAI-compatible API. Any answer except 1, 2 or 同じ is unreadable. Raises TrainingError
    when the URL contains a secret or a query, because the log and the report contain the URL.
    """
    if any(mark in base_url for mark in "@?#"):
        raise TrainingError("the judge's URL must not contain a user, password, query or fragment")

    async def ask(prompt: str, first: str, second: str) -> Verdict:
        content = _QUESTION.format(prompt=prompt, first=first, second=second)
        body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 5, "temperature": 0}
        headers = {"authorization": f"Bearer {api_key}"}
        timeout = aiohttp.ClientTimeout(total=_LIMIT_S)
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
            answer = await _answer(session, f"{base_url}/chat/completions", body)
        return read_verdict(answer)

    return ask


def read_verdict(answer: str) -> Verdict:
    """Reads the judge's answer."""
    text = answer.strip().strip("「」。.").translate(str.maketrans("１２", "12"))
    return {"1": "first", "2": "second", "同じ": "tie"}.get(text, "unreadable")  # type: ignore[return-value]


async def _answer(session: aiohttp.ClientSession, url: str, body: object) -> str:
    problem = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            await asyncio.sleep(2**attempt)
        try:
            async with session.post(url, json=body) as response:
                if response.status == 200:
                    return str((await response.json())["choices"][0]["message"]["content"])
                problem = f"HTTP {response.status}"
                if response.status < 500 and response.status != 429:
                    break
        except (aiohttp.ClientError, TimeoutError) as error:
            problem = type(error).__name__
        except (LookupError, TypeError, ValueError):
            problem = "HTTP 200 without choices"
    raise TrainingError(f"the judge at {url} did not answer: {problem}")
