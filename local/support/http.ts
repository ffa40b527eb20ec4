import { createServer, IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener, type Http2Bindings, type HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { PortInUseError } from "./portInUse";

/**
 * A running server of the local cloud. Each server has a separate port and therefore a separate origin, like the real
 * domains.
 */
export interface Listening {
  /** `http://localhost:<port>`, without a trailing slash. */
  url: string;
  port: number;
  /** Ends open connections and stops listening. */
  close(): Promise<void>;
}

/** Thrown by a handler to close the connection without a response. */
export class CutConnection extends Error {}

/**
 * Serves a fetch handler (such as `app.fetch` of Hono) on loopback.
 *
 * @param name display name of the server, for the error
 * @param port 0 uses a free port
 * @throws PortInUseError
 */
export function serve(name: string, port: number, fetch: (request: Request) => Response | Promise<Response>) {
  const handle = async (request: Request, { outgoing }: HttpBindings | Http2Bindings) => {
    try {
      return await fetch(request);
    } catch (error) {
      if (!(error instanceof CutConnection)) throw error;
      outgoing.destroy();
      return RESPONSE_ALREADY_SENT;
    }
  };
  return listen(name, port, getRequestListener(handle));
}

/**
 * Serves a Node request listener on loopback, with the parameters of `serve`. Answers only requests to a loopback name.
 */
export async function listen(name: string, port: number, listener: RequestListener): Promise<Listening> {
  const server = createServer(loopbackOnly(listener));
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "EADDRINUSE" ? new PortInUseError(port, name) : error),
    );
    server.listen(port, "127.0.0.1", resolve);
  });
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://localhost:${bound}`,
    port: bound,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/**
 * Refuses requests whose `Host` is not loopback, with status 403. Prevents DNS rebinding: the host name of a web page
 * can resolve to 127.0.0.1. The browser would then treat a local service as part of the page's origin, and the page
 * could read the service.
 */
export function loopbackOnly(listener: RequestListener): RequestListener {
  return (request, response) => {
    if (isLoopback(request.headers.host)) return listener(request, response);
    request.resume();
    response
      .writeHead(403, { "content-type": "text/plain" })
      .end("Use localhost: this service accepts no other host name.\n");
  };
}

/**
 * Makes a library's server answer only requests to a loopback name. The server then refuses all upgrades to WebSocket.
 */
export function restrictToLoopback(server: Server): void {
  const listeners = server.listeners("request") as RequestListener[];
  server.removeAllListeners("request").removeAllListeners("upgrade");
  for (const listener of listeners) server.on("request", loopbackOnly(listener));
}

/**
 * Whether a `Host` header names this machine: `localhost`, a name below `localhost`, 127.0.0.0/8 or `[::1]`, with any
 * port. Names below `localhost` always resolve to the own machine (RFC 6761, 6.3).
 */
function isLoopback(host = ""): boolean {
  const url = `http://${host}`;
  return URL.canParse(url) && /^((?:[a-z0-9-]+\.)*localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(url).hostname);
}

/** Reads the body of a request. Returns undefined when it is larger than `maxBytes`. */
export async function readBody(request: Request, maxBytes: number): Promise<Buffer | undefined> {
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) return undefined;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Creates a request from a request whose body was read, so that a listener can read the body again. */
export function replay(request: IncomingMessage, body: string): IncomingMessage {
  const again = new IncomingMessage(request.socket);
  Object.assign(again, { method: request.method, url: request.url, headers: request.headers, complete: true });
  again.push(body);
  again.push(null);
  return again;
}
