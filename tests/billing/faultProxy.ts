import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";

/** A request on its way to a service. */
interface Passing {
  method: string;
  path: string;
  /** DynamoDB's `UpdateItem`; empty for a service that has no such header. */
  operation: string;
}

/** What becomes of one: never answered, answered by us, or with a change to what the service says. */
type Meddling = "hang" | { status: number; body: unknown } | ((answer: never) => unknown);

/** Stands between functions and one service, and changes what is said. */
export interface Meddler {
  /** In place of the service's own URL. */
  url: string;
  /** Asked for each request; undefined lets it pass. */
  meddle: (passing: Passing) => Meddling | undefined;
  close(): Promise<void>;
}

/** Starts one that lets everything pass at first. */
export async function startMeddler(service: string): Promise<Meddler> {
  const server = createServer(async (incoming, outgoing) => {
    const body = await collect(incoming);
    const meddling = meddler.meddle({
      method: incoming.method ?? "",
      path: incoming.url ?? "/",
      operation: String(incoming.headers["x-amz-target"] ?? "").replace(/^.*\./, ""),
    });
    if (meddling === "hang") return;
    const answer = (status: number, type: string, text: string | Buffer) =>
      outgoing.writeHead(status, { "content-type": type }).end(text);
    if (typeof meddling === "object") return answer(meddling.status, "application/json", JSON.stringify(meddling.body));
    const upstream = request(new URL(incoming.url ?? "/", service), {
      method: incoming.method,
      headers: { ...incoming.headers, "accept-encoding": "identity" },
    });
    upstream.on("error", () => incoming.socket.destroy());
    upstream.on("response", async (response) => {
      const given = await collect(response);
      const { statusCode = 502, headers } = response;
      if (meddling === undefined) return outgoing.writeHead(statusCode, headers).end(given);
      answer(statusCode, headers["content-type"] ?? "", JSON.stringify(meddling(JSON.parse(String(given)) as never)));
    });
    upstream.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const meddler: Meddler = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    meddle: () => undefined,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return meddler;
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
