"""Gathers small pieces of text into fewer ones: every item a RunPod handler yields costs one awaited HTTP POST."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator

# Where a reader pauses: text up to here is worth showing at once.
BOUNDARIES = frozenset("、。！？\n")


async def coalesce(pieces: AsyncIterator[str], window_s: float) -> AsyncGenerator[str]:
    """
    The same text in larger pieces: the first at once, then one at a boundary or when `window_s` has passed since the
    last. Reading goes on while the consumer is busy with a piece, so nothing waits for it twice. What was read before
    an error is yielded before the error is raised. Closing this closes `pieces`.
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
    due = -math.inf
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
                    async with asyncio.timeout_at(due if arrived.empty() else None):
                        piece = await arrived.get()
                except TimeoutError:
                    break
            ended = piece is None
            if text:
                yield text
                due = clock() + window_s
        await reader
    finally:
        reader.cancel()
        await asyncio.wait([reader])
