import { createServer, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";

/** An intercepted request. */
interface Passing {
  method: string;
  path: string;
  /** DynamoDB operation such as `UpdateItem`; empty for other services. */
  operation: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Fault for one request: no answer, an answer from the test, or a change to the service's answer. */
type Fault = "hang" | { status: number; body: unknown } | ((answer: never) => unknown);

/** A proxy between the functions and one service that injects faults. */
export interface FaultProxy {
  /** URL of the proxy, to use instead of the service's URL. */
  url: string;
  /** Called for each request. Returns undefined to forward the request unchanged. */
  fault: (passing: Passing) => Fault | undefined;
  close(): Promise<void>;
}

/** Starts a proxy. It forwards every request unchanged until a test sets `fault`. */
export async function startFaultProxy(service: string): Promise<FaultProxy> {
  const server = createServer(async (incoming, outgoing) => {
    const body = await collect(incoming);
    const meddling = faultProxy.fault({
      method: incoming.method ?? "",
      path: incoming.url ?? "/",
      operation: String(incoming.headers["x-amz-target"] ?? "").replace(/^.*\./, ""),
      headers: incoming.headers,
      body: body.toString(),
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
  const faultProxy: FaultProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fault: () => undefined,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return faultProxy;
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
