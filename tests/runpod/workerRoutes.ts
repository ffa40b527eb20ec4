import type { IncomingMessage, ServerResponse } from "node:http";
import type { WorkerStates } from "./plane";

/** What an account without workers answers. */
export function noWorkers(): WorkerStates {
  return { rest: [{ version: 1, workers: [] }], health: undefined, hostLog: [] };
}

/**
 * Answers what both planes answer alike: how an endpoint's workers are, by REST v2 and by the job API.
 *
 * @returns false when the request is for something else
 */
export function answerWorkers(request: IncomingMessage, response: ServerResponse, states: WorkerStates): boolean {
  const { pathname } = new URL(request.url ?? "/", "http://plane");
  const json = (body: unknown) => {
    response.writeHead(body === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(body ?? { title: "Not Found", status: 404, detail: "resource not found" }));
    return true;
  };
  if (/^\/v2\/serverless\/[^/]+\/workers$/.test(pathname)) {
    const now = next(states.rest);
    const workers = now?.workers.map((worker, index) => ({ id: `w${index}`, gpuCount: 1, ...worker }));
    return json(now && { endpointVersion: now.version, workers, summary: {} });
  }
  if (/^\/v2\/serverless\/[^/]+\/workers\/[^/]+\/logs$/.test(pathname)) {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const line of states.hostLog)
      response.write(`data: ${JSON.stringify({ ts: "", source: "system", line })}\n\n`);
    response.end();
    return true;
  }
  if (/^\/v2\/[^/]+\/health$/.test(pathname) && !pathname.startsWith("/v2/serverless/")) {
    const workers = next(states.health);
    return json(workers && { jobs: {}, workers });
  }
  return false;
}

function next<T>(list: T[] | undefined): T | undefined {
  return list && list.length > 1 ? list.shift() : list?.[0];
}
