import asyncio
from collections.abc import AsyncGenerator

import pytest

from snack_worker.coalesce import coalesce

ENDLESS_S = 60


async def _pieces(*pieces: str) -> AsyncGenerator[str]:
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


async def test_coalesce_keeps_all_text_in_order() -> None:
    pieces = [chr(0x3042 + index % 80) for index in range(500)]
    assert "".join([text async for text in coalesce(_pieces(*pieces), 0.0)]) == "".join(pieces)


async def test_coalesce_yields_the_first_piece_at_once_and_later_text_after_punctuation() -> None:
    texts = [text async for text in coalesce(_pieces("あ", "ら", "い", "。", "り", "ん", "ご"), ENDLESS_S)]
    assert texts == ["あ", "らい。", "りんご"]


async def test_coalesce_yields_text_without_punctuation_after_the_time_window() -> None:
    resume = asyncio.Event()

    async def slow() -> AsyncGenerator[str]:
        async for piece in _pieces("あ", "ら"):
            yield piece
        await resume.wait()
        yield "ま"

    texts = coalesce(slow(), 0.01)
    assert await anext(texts) == "あ"
    assert await anext(texts) == "ら"
    resume.set()
    assert await anext(texts) == "ま"
    await texts.aclose()


async def test_coalesce_joins_text_that_arrived_while_the_consumer_was_busy() -> None:
    texts = coalesce(_pieces("あ", "、", "い", "、", "う"), 0.0)
    assert await anext(texts) == "あ"
    await asyncio.sleep(0.02)
    assert [text async for text in texts] == ["、い、う"]


async def test_coalesce_yields_the_received_text_before_it_raises_an_error() -> None:
    async def failing() -> AsyncGenerator[str]:
        async for piece in _pieces("あ", "ら"):
            yield piece
        raise OSError("disconnected")

    texts = coalesce(failing(), ENDLESS_S)
    assert [await anext(texts), await anext(texts)] == ["あ", "ら"]
    with pytest.raises(OSError, match="disconnected"):
        await anext(texts)


async def test_coalesce_closes_its_source_when_the_consumer_closes_coalesce() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[str]:
        try:
            while True:
                yield "あ"
                await asyncio.sleep(0.001)
        finally:
            closed.set()

    texts = coalesce(endless(), 0.0)
    await anext(texts)
    await texts.aclose()
    assert closed.is_set()
