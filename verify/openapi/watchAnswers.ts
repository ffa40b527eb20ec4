import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server } from "../../contract/openapi/document";
import type { ProgramOutputs } from "../../local/cloud/outputs";
import type { SeenAnswer } from "./answers";

/** Base URLs whose answers are watched. */
type Bases = { server: Server; url: URL }[];

const REQUEST_START = "http.server.request.start";

/**
 * Calls `onAnswer` with each complete answer of the program's API, relay and endpoints. Node publishes every request to
 * an HTTP server of this process. So no server needs a hook, and this function also sees answers to browsers.
 *
 * @returns a function that stops watching
 */
export function watchAnswers(outputs: ProgramOutputs, onAnswer: (seen: SeenAnswer) => void): () => void {
  const bases: Bases = [
    { server: "api", url: new URL(outputs.apiUrl) },
    { server: "relay", url: new URL(outputs.relayUrl) },
    ...Object.values(outputs.inference).map((url) => ({ server: "runpod" as const, url: new URL(url) })),
  ];
  const watch = (message: unknown) => {
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
    const place = placeOf(request, bases);
    if (place) watchAnswer(response, { ...place, method: request.method ?? "" }, onAnswer);
  };
  subscribe(REQUEST_START, watch);
  return () => void unsubscribe(REQUEST_START, watch);
}

/** Calls `onAnswer` when a response has been sent completely. */
export function watchAnswer(
  response: ServerResponse,
  request: Pick<SeenAnswer, "server" | "method" | "path">,
  onAnswer: (seen: SeenAnswer) => void,
): void {
  const chunks = collectBody(response);
  response.once("finish", () =>
    onAnswer({
      ...request,
      status: response.statusCode,
      contentType: response.getHeader("content-type")?.toString() ?? headerOf(response, "content-type"),
      body: Buffer.concat(chunks).toString("utf8"),
    }),
  );
}

/**
 * Server and path of a request. Undefined for any other server of this process, and for a host name that the server
 * does not serve.
 */
function placeOf(request: IncomingMessage, bases: Bases): Pick<SeenAnswer, "server" | "path"> | undefined {
  if (request.headers.host?.split(":")[0] !== "localhost") return undefined;
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  const base = bases.find(
    ({ url }) => Number(url.port) === request.socket.localPort && pathname.startsWith(url.pathname),
  );
  if (!base) return undefined;
  const prefix = base.url.pathname.replace(/\/$/, "");
  return { server: base.server, path: pathname.slice(prefix.length) };
}

/** Copies every chunk that the server writes to a response. */
function collectBody(response: ServerResponse): Buffer[] {
  const chunks: Buffer[] = [];
  const { write, end } = response;
  const keep = (chunk: unknown) => {
    if (typeof chunk === "string" || chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk as Uint8Array));
  };
  response.write = function (this: ServerResponse, chunk: unknown, ...rest: unknown[]) {
    keep(chunk);
    return Reflect.apply(write, this, [chunk, ...rest]);
  } as typeof write;
  response.end = function (this: ServerResponse, chunk: unknown, ...rest: unknown[]) {
    keep(chunk);
    return Reflect.apply(end, this, [chunk, ...rest]);
  } as typeof end;
  return chunks;
}

/** Reads a header that the server passed to `writeHead` in a list. `getHeader` does not return such a header. */
function headerOf(response: ServerResponse, name: string): string | undefined {
  const { _header = "" } = response as { _header?: string };
  return new RegExp(`^${name}: (.+)$`, "im").exec(_header)?.[1]?.trim();
}
