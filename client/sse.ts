const LINE_END = /\r\n|\n|\r/;
/** End of an event: two line ends. A CR before a LF is not a line end by itself. */
const EVENT_END = /(?:\r\n|\n|\r(?!\n)){2}/;

/**
 * Creates a parser of server-sent events (HTML Living Standard, 9.2.6). Call the parser with each chunk of the stream.
 * The parser returns the `data` of the events that the chunk completes. Chunks may end anywhere, also inside a
 * character or a line end. When the stream ends inside an event, this event is lost, as the standard says.
 */
export function createEventParser(): (chunk: Uint8Array) => string[] {
  const decoder = new TextDecoder();
  let rest = "";
  return (chunk) => {
    const events = (rest + decoder.decode(chunk, { stream: true })).split(EVENT_END);
    rest = events.pop() ?? "";
    return events.flatMap(dataOf);
  };
}

/** Reads the lines of one event. Reads only the field `data`. Returns an empty list without this field. */
function dataOf(event: string): string[] {
  const values = event.split(LINE_END).flatMap((line) => /^data(?:: ?(.*))?$/s.exec(line)?.slice(1) ?? []);
  return values.length > 0 ? [values.join("\n")] : [];
}
