import { createServer, type IncomingMessage, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** The ways out of a process that dies at one of its calls: nothing it asks for after that is heard. */
export interface Mortal {
  /** In place of each service's own URL. */
  urls: Record<string, string>;
  /** Calls made so far. */
  calls(): number;
  /** Settles at the moment of death. */
  died: Promise<void>;
  close(): Promise<void>;
}

/**
 * Stands between one process and its services.
 *
 * @param services their URLs
 * @param death at which call, counted from 1 over all services, and whether the service still gets it; undefined: never
 */
export async function mortal(
  services: Record<string, string>,
  death?: { at: number; when: "before" | "after" },
): Promise<Mortal> {
  let calls = 0;
  let dead = false;
  const { promise: died, resolve: die } = Promise.withResolvers<void>();
  const end = () => {
    dead = true;
    die();
  };
  const servers: Server[] = [];
  const urls: Record<string, string> = {};
  for (const [name, target] of Object.entries(services)) {
    const server = createServer(async (incoming, outgoing) => {
      const body = await collect(incoming);
      const isLast = !dead && ++calls === death?.at;
      if (dead || (isLast && death?.when === "before")) {
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
        if (dead) incoming.socket.destroy();
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
    died,
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
