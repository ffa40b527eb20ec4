import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import type { RelayItem } from "../../contract/relay";
import { listen } from "../../local/support/http";
import { doneItem, sessionFor } from "./fakes";

/** A chat request that the scripted relay received, and its open response. */
export interface RelayChat {
  body: { id: string } & Record<string, unknown>;
  headers: IncomingMessage["headers"];
  response: ServerResponse;
  /** Resolves when the client has closed the connection. */
  left: Promise<void>;
  /** Sends items as server-sent events. A comment follows each event, as in the real relay. */
  send(...items: RelayItem[]): void;
  /** Ends the response with a JSON body. */
  answer(status: number, body: unknown, headers?: Record<string, string>): void;
}

/** Script of the relay: answers one chat. */
export type RelayScript = (chat: RelayChat) => void | Promise<void>;

/**
 * Starts a relay that answers every chat by a script and records all requests. It answers a cancellation with
 * `cancelStatus`, or with 404 when the chat has not arrived.
 */
export async function startRelay(script: RelayScript) {
  const chats: RelayChat[] = [];
  const cancels: { id: string; authorization: string | undefined; at: number }[] = [];
  const state = { cancelStatus: 200 };

  const server = await listen("relay", 0, async (request, response) => {
    response.setHeader("access-control-allow-origin", "*");
    response.setHeader("access-control-allow-headers", "authorization, content-type");
    response.setHeader("access-control-expose-headers", "retry-after");
    if (request.method === "OPTIONS") return void response.end();
    const cancelled = /^\/chat\/([^/]+)\/cancel$/.exec(request.url ?? "")?.[1];
    if (cancelled !== undefined) {
      cancels.push({ id: cancelled, authorization: request.headers.authorization, at: performance.now() });
      const known = chats.some(({ body }) => body.id === cancelled);
      response.statusCode = known ? state.cancelStatus : 404;
      return void response.end(JSON.stringify({ id: cancelled, cancelled: true }));
    }
    const chat = await readChat(request, response);
    chats.push(chat);
    await script(chat);
  });
  const session = (change: Partial<ReturnType<typeof sessionFor>> = {}) => ({
    ...sessionFor(server.url),
    inference: { kind: "relay" as const, url: `${server.url}/`, authorization: "Bearer ticket-1" },
    ...change,
  });
  return { ...server, chats, cancels, state, session };
}

async function readChat(request: IncomingMessage, response: ServerResponse): Promise<RelayChat> {
  const body = JSON.parse(await text(request)) as RelayChat["body"];
  const left = new Promise<void>((resolve) => response.once("close", resolve));
  return {
    body,
    headers: request.headers,
    response,
    left,
    send(...items) {
      if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" });
      for (const item of items) response.write(`data: ${JSON.stringify(item)}\n\n:\n\n`);
    },
    answer(status, body, headers = {}) {
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    },
  };
}

/** Final item of the relay's stream with the reply `text`. */
export function relayDone(text: string) {
  return {
    ...doneItem(text),
    id: "chat-0001",
    provider: "anthropic" as const,
    model: { plan: "vip" as const, name: "claude", version: "claude-2026-11-01" },
    attempts: 1,
  };
}
