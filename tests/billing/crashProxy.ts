import { createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** Proxies that simulate a process crash at one of the calls. After the crash, the proxies forward no call. */
export interface CrashProxy {
  /** Proxy URLs by service. */
  urls: Record<string, string>;
  /** Number of calls so far. */
  calls(): number;
  /** Resolves at the crash. */
  crashed: Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts proxies between one process and its services.
 *
 * @param services URLs of the services, by name
 * @param crash Undefined for no crash. `at` is the number of the call at which the process crashes, counted from 1 over
 * all services. `when` is the time of the crash: before or after the service handles this call.
 */
export async function startCrashProxy(
  services: Record<string, string>,
  crash?: { at: number; when: "before" | "after" },
): Promise<CrashProxy> {
  let calls = 0;
  let isCrashed = false;
  const { promise: crashed, resolve: crashNow } = Promise.withResolvers<void>();
  const end = () => {
    isCrashed = true;
    crashNow();
  };
  const servers: Server[] = [];
  const urls: Record<string, string> = {};
  for (const [name, target] of Object.entries(services)) {
    const server = createServer(async (incoming, outgoing) => {
      const body = await collect(incoming);
      const isLast = !isCrashed && ++calls === crash?.at;
      if (isCrashed || (isLast && crash?.when === "before")) {
        end();
        incoming.socket.destroy();
        return;
      }
      const upstream = request(new URL(incoming.url ?? "/", target), {
        method: incoming.method,
        headers: incoming.headers,
      });
      upstream.on("error", () => incoming.socket.destroy());
      upstream.on("response", async (response) => {
        const answer = await collect(response);
        if (isLast) end();
        if (isCrashed) incoming.socket.destroy();
        else outgoing.writeHead(response.statusCode ?? 502, response.headers).end(answer);
      });
      upstream.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    servers.push(server);
    urls[name] = `http://localhost:${(server.address() as AddressInfo).port}`;
  }
  return {
    urls,
    calls: () => calls,
    crashed,
    async close() {
      for (const server of servers) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
