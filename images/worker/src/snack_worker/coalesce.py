"""Joins small pieces of text, because every item that a RunPod handler yields costs one HTTP POST."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator

# Readers pause at these characters, so text with such a character is sent immediately.
BOUNDARIES = frozenset("、。！？\n")


async def coalesce(pieces: AsyncIterator[str], window_s: float) -> AsyncGenerator[str]:
    """
    Yields the text of `pieces` in larger pieces. The first piece is yielded immediately. Later text is yielded as soon
    as a character of BOUNDARIES arrives or `window_s` has passed since the previous piece. The generator reads ahead
    while the consumer handles a piece. When `pieces` raises an error, the text before the error is yielded first.
    Closing this generator closes `pieces`.
    """
    arrived: asyncio.Queue[str | None] = asyncio.Queue()

    async def read() -> None:
        try:
            async for piece in pieces:
                arrived.put_nowait(piece)
        finally:
            arrived.put_nowait(None)

    reader = asyncio.create_task(read())
    clock = asyncio.get_running_loop().time
    window_end_s = -math.inf
    ended = False
    try:
        while not ended:
            piece = await arrived.get()
            text = ""
            while piece is not None:
                text += piece
                if arrived.empty() and not BOUNDARIES.isdisjoint(text):
                    break
                try:
                    async with asyncio.timeout_at(window_end_s if arrived.empty() else None):
                        piece = await arrived.get()
                except TimeoutError:
                    break
            ended = piece is None
            if text:
                yield text
                window_end_s = clock() + window_s
        await reader
    finally:
        reader.cancel()
        await asyncio.wait([reader])
