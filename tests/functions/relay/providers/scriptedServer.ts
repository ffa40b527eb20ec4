import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { type Listening, listen } from "../../../../local/support/http";

/** Answers one request. */
export type Script = (response: ServerResponse, request: IncomingMessage) => void | Promise<void>;

/** A server of any wire format. A test sets `script` before each request. */
export interface ScriptedServer extends Listening {
  script: Script;
  /** Requests so far, with their JSON bodies. */
  requests: { path: string; headers: IncomingMessage["headers"]; body: Record<string, unknown> }[];
  /** Client port of each request so far: the same port means the same connection. */
  ports: (number | undefined)[];
  /** Settles when the client closes the connection of the newest request. */
  closed: Promise<void>;
}

/** Starts a server on a free port. */
export async function startScriptedServer(): Promise<ScriptedServer> {
  const state = { script: (() => {}) as Script, requests: [], ports: [], closed: Promise.resolve() };
  const closed = new WeakMap<Socket, Promise<void>>();
  const closing = (socket: Socket) => {
    const known = closed.get(socket) ?? new Promise<void>((resolve) => socket.once("close", () => resolve()));
    closed.set(socket, known);
    return known;
  };
  const listening = await listen("scripted server", 0, async (request, response) => {
    server.ports.push(request.socket.remotePort);
    server.closed = closing(request.socket);
    const body = JSON.parse((await text(request)) || "{}");
    server.requests.push({ path: request.url ?? "", headers: request.headers, body });
    await server.script(response, request);
  });
  const server: ScriptedServer = { ...listening, ...state };
  return server;
}

/** Answers with a status and JSON. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Script {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
  };
}

/** Answers with a stream of these parts, and ends the stream. */
export function stream(contentType: string, ...parts: Uint8Array[]): Script {
  return (response) => {
    response.writeHead(200, { "content-type": contentType });
    for (const part of parts) response.write(part);
    response.end();
  };
}

/** Answers with a stream of these parts, and leaves the stream open. */
export function openStream(contentType: string, ...parts: Uint8Array[]): Script {
  return (response) => {
    response.writeHead(200, { "content-type": contentType });
    for (const part of parts) response.write(part);
  };
}
