import { createParser } from "eventsource-parser";

/**
 * Fetches, and removes events from a stream of server-sent events whose data is not JSON. The SDKs throw on such an
 * event, although the rest of the reply is intact. The end mark `[DONE]` is removed too: without it an SDK reads to the
 * end of the response, so that the connection can serve the next request.
 */
export async function fetchValidEvents(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const response = await fetch(input, init);
  const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
  if (!isStream || !response.body) return response;
  const { status, statusText, headers } = response;
  return new Response(response.body.pipeThrough(validEvents()), { status, statusText, headers });
}

/** Passes on the events with JSON data. A chunk can end inside an event or inside a character. */
function validEvents(): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let valid = "";
  const parser = createParser({
    onEvent: ({ event, data }) => {
      if (isJson(data)) valid += `${event ? `event: ${event}\n` : ""}data: ${data.replaceAll("\n", "\ndata: ")}\n\n`;
    },
  });
  const pass = (text: string, output: TransformStreamDefaultController<Uint8Array<ArrayBuffer>>) => {
    parser.feed(text);
    if (valid) output.enqueue(encoder.encode(valid));
    valid = "";
  };
  return new TransformStream({
    transform: (chunk, output) => pass(decoder.decode(chunk, { stream: true }), output),
    // Some servers end without the blank line after the last event.
    flush: (output) => pass(`${decoder.decode()}\n\n`, output),
  });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
