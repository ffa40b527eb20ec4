import type { IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { createParser } from "eventsource-parser";
import { sendRequest } from "./httpClient";

/**
 * A `fetch` for the SDKs. It removes every server-sent event whose data is not JSON. The SDKs throw on such an event,
 * although the rest of the reply is intact. It also removes the end mark `[DONE]`, because the SDKs would stop reading
 * there. Only a connection whose response was read to the end can serve the next request.
 */
export async function fetchValidEvents(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const response = await sendRequest(input, init);
  const { statusCode: status = 502, statusMessage: statusText = "" } = response;
  const headers = new Headers(response.headers as Record<string, string>);
  const isStream = headers.get("content-type")?.startsWith("text/event-stream");
  const body = isStream ? validEvents(response) : await buffer(response);
  return new Response(body, { status, statusText, headers });
}

/** The events with JSON data. Reading pauses until the SDK has read the earlier events. */
function validEvents(response: IncomingMessage): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(output) {
      const parser = createParser({
        onEvent: ({ event, data }) => {
          if (data === "[DONE]" || !isJson(data)) return;
          const lines = `${event ? `event: ${event}\n` : ""}data: ${data.replaceAll("\n", "\ndata: ")}\n\n`;
          output.enqueue(encoder.encode(lines));
        },
      });
      response.setEncoding("utf8").on("data", (text: string) => {
        parser.feed(text);
        if ((output.desiredSize ?? 0) <= 0) response.pause();
      });
      response
        .once("error", (error) => output.error(error))
        .once("end", () => {
          // Some servers end without the blank line after the last event.
          parser.feed("\n\n");
          output.close();
        });
    },
    pull: () => void response.resume(),
    cancel: () => void response.destroy(),
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
