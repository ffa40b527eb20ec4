import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener, type Http2Bindings, type HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";

/** A server of the local cloud. Each listens on a port of its own: separate origins, like the real domains. */
export interface Listening {
  /** `http://localhost:<port>`, without a trailing slash. */
  url: string;
  port: number;
  /** Ends open connections and stops listening. */
  close(): Promise<void>;
}

/** Thrown when a port is taken: says which, what for, and what to do. */
export class PortInUseError extends Error {
  override readonly name = "PortInUseError";
  constructor(port: number, what: string) {
    super(`Port ${port} (${what}) is in use. Stop what listens there, or run npm start -- --free-ports.`);
  }
}

/** Thrown by a handler to have the connection cut without an answer. */
export class CutConnection extends Error {}

/**
 * Serves a web-standard handler (`app.fetch` of Hono) on loopback.
 *
 * @param what what the server is, for the error text
 * @param port 0 takes a free one
 * @throws PortInUseError
 */
export function serve(what: string, port: number, fetch: (request: Request) => Response | Promise<Response>) {
  const handle = async (request: Request, { outgoing }: HttpBindings | Http2Bindings) => {
    try {
      return await fetch(request);
    } catch (error) {
      if (!(error instanceof CutConnection)) throw error;
      outgoing.destroy();
      return RESPONSE_ALREADY_SENT;
    }
  };
  return listen(what, port, getRequestListener(handle));
}

/** The same for a classic Node request listener. */
export async function listen(what: string, port: number, listener: RequestListener): Promise<Listening> {
  const server = createServer(listener);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "EADDRINUSE" ? new PortInUseError(port, what) : error),
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
