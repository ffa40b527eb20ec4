import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

/** Fault of a call. The proxy drops the answer after the operation, drops the request, or answers instead of Stripe. */
type Fault = "lost answer" | "lost request" | { status: number; body: object; headers?: Record<string, string> };

/** A call that the proxy received. */
interface Call {
  /** Method and path, such as `POST /v1/webhook_endpoints`. */
  operation: string;
  fields: URLSearchParams;
  headers: IncomingMessage["headers"];
}

/** Starts a proxy between the provider and Stripe that records every call and adds faults on demand. */
export async function startFaultProxy() {
  const calls: Call[] = [];
  const faults: { operation: string; fault: Fault }[] = [];
  let target = "";

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const { method = "", url = "", headers } = request;
    const [path] = url.split("?");
    // The operation's name contains `id` instead of the endpoint's id.
    const operation = `${method} ${path?.replace(/\/we_\w+$/, "/id")}`;
    calls.push({ operation, fields: new URLSearchParams(body), headers });

    const next = faults.findIndex((each) => each.operation === operation);
    const fault = next >= 0 ? faults.splice(next, 1)[0]?.fault : undefined;
    if (fault === "lost request") return request.socket.destroy();
    if (typeof fault === "object") {
      response.writeHead(fault.status, { "content-type": "application/json", ...fault.headers });
      return response.end(JSON.stringify(fault.body));
    }
    const { host: _, connection: __, "content-length": ___, ...passed } = headers;
    const answer = await fetch(`${target}${url}`, {
      method,
      headers: passed as Record<string, string>,
      ...(body && { body }),
    });
    const text = await answer.text();
    if (fault === "lost answer") return request.socket.destroy();
    const { "content-encoding": ____, "transfer-encoding": _____, ...answered } = Object.fromEntries(answer.headers);
    response.writeHead(answer.status, answered);
    response.end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Every call since the most recent `setTarget`, in order. */
    calls,
    /** Number of calls of an operation. */
    count: (operation: string) => calls.filter((call) => call.operation === operation).length,
    /** Adds a fault for the next `times` calls of an operation. */
    fail(operation: string, fault: Fault, times = 1) {
      for (let n = 0; n < times; n++) faults.push({ operation, fault });
    },
    /** Forwards all later calls to another address. Forgets the recorded calls and the remaining faults. */
    setTarget(url: string) {
      target = url;
      calls.length = 0;
      faults.length = 0;
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** See `startFaultProxy`. */
export type FaultProxy = Awaited<ReturnType<typeof startFaultProxy>>;
