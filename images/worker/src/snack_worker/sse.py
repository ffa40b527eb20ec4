"""Server-sent events, as an OpenAI-compatible engine streams them."""

from collections.abc import AsyncGenerator, AsyncIterable

# An engine's event is a few hundred bytes; a stream of data that never ends an event must not fill the memory.
MAX_EVENT_BYTES = 2**20


async def sse_data(lines: AsyncIterable[bytes]) -> AsyncGenerator[str]:
    """
    The data of each event. `lines` are whole lines with their ending: only then is a line decoded, so a character that
    was split between two packets survives. An event the stream broke off in the middle of is dropped. Raises ValueError
    for a line that is not UTF-8 and for an event of more than a megabyte.
    """
    data: list[str] = []
    size = 0
    async for raw in lines:
        line = raw.decode("utf-8").rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
            size += len(raw)
            if size > MAX_EVENT_BYTES:
                raise ValueError("an event without an end")
        elif not line and data:
            yield "\n".join(data)
            data, size = [], 0
