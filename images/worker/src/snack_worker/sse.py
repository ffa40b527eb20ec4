"""Server-sent events, as an OpenAI-compatible engine streams them."""

from collections.abc import AsyncGenerator, AsyncIterable


async def sse_data(lines: AsyncIterable[bytes]) -> AsyncGenerator[str]:
    """
    The data of each event. `lines` are whole lines with their ending: only then is a line decoded, so a character that
    was split between two packets survives. An event the stream broke off in the middle of is dropped.
    """
    data: list[str] = []
    async for raw in lines:
        line = raw.decode("utf-8").rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []
