import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { FakeRunpod, Fault, Operation } from "./fakeRunpod";
import { answerWorkerRoute, emptyWorkerStates } from "./workerRoutes";

const API_KEY = "rpa_CANARY_KEY";

export interface FakeRequest {
  method: string;
  path: string;
  /** Parsed JSON. Undefined when the request has no body. */
  body: unknown;
  hasKey: boolean;
}

export interface FakeResponse {
  status: number;
  contentType: string;
  /** JSON value. */
  body?: unknown;
}

/** One of RunPod's APIs. */
interface FakeApi {
  /** Returns the operation of a request. Undefined for an unknown path, which gets a 404 response. */
  identify(request: FakeRequest): { operation: Operation; input: Record<string, unknown> } | undefined;
  /** Creates an error response with one of RunPod's error texts. */
  refuse(message: string): FakeResponse;
  /** Executes the operation and returns its response. */
  answer(request: FakeRequest): FakeResponse | Promise<FakeResponse>;
}

type FakeServer = Pick<FakeRunpod, "url" | "apiKey" | "calls" | "count" | "failNext" | "workers" | "reset" | "close">;

/**
 * Starts the HTTP server of a fake. It records the calls, applies the faults and answers the requests for the state of
 * workers.
 */
export async function startFakeServer(api: FakeApi): Promise<FakeServer> {
  const faults: { operation: Operation; fault: Fault }[] = [];
  const calls: FakeRunpod["calls"] = [];
  const workers = emptyWorkerStates();

  function takeFault(operation: Operation): Fault | undefined {
    const next = faults.findIndex((each) => each.operation === operation);
    return next >= 0 ? faults.splice(next, 1)[0]?.fault : undefined;
  }

  const server = createServer(async (incoming, response) => {
    const request = await readRequest(incoming);
    if (answerWorkerRoute(incoming, response, workers)) return;
    const call = api.identify(request);
    const { authorization = "", "user-agent": userAgent = "" } = incoming.headers;
    if (call !== undefined) calls.push({ ...call, authorization, userAgent });

    const send = ({ status, contentType, body }: FakeResponse) => {
      response.writeHead(status, { "content-type": contentType });
      response.end(body === undefined ? undefined : JSON.stringify(body));
    };
    const fault = call && takeFault(call.operation);
    if (fault === "lost request") return incoming.socket.destroy();
    if (typeof fault === "object" && "status" in fault) {
      const { status, retryAfterSeconds } = fault;
      const retryAfter = retryAfterSeconds !== undefined && { "retry-after": String(retryAfterSeconds) };
      response.writeHead(status, { "content-type": "text/html", ...retryAfter });
      return response.end("<html>edge</html>");
    }
    if (typeof fault === "object") return send(api.refuse(fault.message));
    const answer = await api.answer(request);
    if (fault === "lost answer") return incoming.socket.destroy();
    send(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    apiKey: API_KEY,
    calls,
    count: (operation) => calls.filter((call) => call.operation === operation).length,
    failNext: (operation, fault) => void faults.push({ operation, fault }),
    workers,
    reset() {
      faults.length = 0;
      calls.length = 0;
      Object.assign(workers, emptyWorkerStates());
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function readRequest(incoming: IncomingMessage): Promise<FakeRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return {
    method: incoming.method ?? "",
    path: new URL(incoming.url ?? "/", "http://runpod").pathname,
    body: chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString()),
    hasKey: incoming.headers.authorization === `Bearer ${API_KEY}`,
  };
}
