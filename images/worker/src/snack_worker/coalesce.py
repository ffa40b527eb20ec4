"""Coalescing of small pieces of text: every item that a RunPod handler yields costs one HTTP POST."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator

# A reader pauses at these characters, so the text up to here is sent at once.
BOUNDARIES = frozenset("、。！？\n")


async def coalesce(pieces: AsyncIterator[str], window_s: float) -> AsyncGenerator[str]:
    """
    Yields the same text in larger pieces: the first piece at once, then one at each boundary, or `window_s` after the
    last. It reads ahead while the consumer handles a piece. When `pieces` raises an error, the text before it is
    yielded first. Closing this generator closes `pieces`.
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
