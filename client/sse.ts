/**
 * Creates a parser of server-sent events (HTML Living Standard, 9.2.6). Call it with each chunk of the stream. It returns
 * the `data` of the events that the chunk completes. Chunks may end anywhere, also inside a character or a line end.
 * An event that the stream does not complete is lost, as the standard says.
 */
export function createEventParser(): (chunk: Uint8Array) => string[] {
  const decoder = new TextDecoder();
  let unfinishedLine = "";
  let endedWithCr = false;
  let data: string[] = [];

  /** Reads one line. Returns the event's data when the line ends an event. */
  function readLine(line: string): string | undefined {
    if (line === "") {
      const event = data.length > 0 ? data.join("\n") : undefined;
      data = [];
      return event;
    }
    // A line that starts with a colon is a comment. The relay needs no other field than `data`.
    const [, name, value = ""] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (name === "data") data.push(value);
    return undefined;
  }

  return (chunk) => {
    const decoded = decoder.decode(chunk, { stream: true });
    // The previous chunk ended a line with CR. A LF now belongs to the same line end.
    const text = endedWithCr && decoded.startsWith("\n") ? decoded.slice(1) : decoded;
    if (decoded !== "") endedWithCr = text.endsWith("\r");
    const lines = (unfinishedLine + text).split(/\r\n|\n|\r/);
    unfinishedLine = lines.pop() ?? "";
    return lines.map(readLine).filter((event) => event !== undefined);
  };
}
