import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

/** What goes wrong with a call: the answer gets lost after the work is done, the call never arrives, or another answers. */
type Fault = "lost answer" | "not reached" | { status: number; body: object; headers?: Record<string, string> };

/** A call as Stripe got it. */
interface Call {
  /** `POST /v1/webhook_endpoints` */
  operation: string;
  fields: URLSearchParams;
  headers: IncomingMessage["headers"];
}

/** Stands between the provider and Stripe: records every call, and lets calls go wrong on demand. */
export async function startProxy() {
  const calls: Call[] = [];
  const faults: { operation: string; fault: Fault }[] = [];
  let target = "";

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const { method = "", url = "", headers } = request;
    const [path] = url.split("?");
    // One name for each operation, whichever endpoint it is about.
    const operation = `${method} ${path?.replace(/\/we_\w+$/, "/id")}`;
    calls.push({ operation, fields: new URLSearchParams(body), headers });

    const next = faults.findIndex((each) => each.operation === operation);
    const fault = next >= 0 ? faults.splice(next, 1)[0]?.fault : undefined;
    if (fault === "not reached") return request.socket.destroy();
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
    /** Every call since the last `leadTo`, in order. */
    calls,
    /** How often an operation was called. */
    count: (operation: string) => calls.filter((call) => call.operation === operation).length,
    /** Makes the next calls of an operation go wrong, as many as `times`. */
    fail(operation: string, fault: Fault, times = 1) {
      for (let n = 0; n < times; n++) faults.push({ operation, fault });
    },
    /** Leads to another Stripe from now on, without faults. */
    leadTo(url: string) {
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

/** See `startProxy`. */
export type StripeProxy = Awaited<ReturnType<typeof startProxy>>;
