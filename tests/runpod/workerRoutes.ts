import type { IncomingMessage, ServerResponse } from "node:http";
import type { WorkerState, WorkerStates } from "./fakeRunpod";

/** Responses of an account without workers. */
export function emptyWorkerStates(): WorkerStates {
  return {
    rest: [{ version: 1, workers: [] }],
    health: undefined,
    runningJobs: [],
    hasNoReleases: false,
    hasNoWorkers: false,
    hostLog: [],
    reads: [],
    latest: undefined,
  };
}

/**
 * Answers requests for the state of workers, through REST v2 and the job API. Both fakes call this function.
 *
 * @returns false for any other request
 */
export function answerWorkerRoute(request: IncomingMessage, response: ServerResponse, states: WorkerStates): boolean {
  const { pathname } = new URL(request.url ?? "/", "http://runpod");
  const json = (body: unknown) => {
    response.writeHead(body === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(body ?? { title: "Not Found", status: 404, detail: "resource not found" }));
    return true;
  };
  if (/^\/v2\/serverless\/[^/]+\/releases$/.test(pathname)) {
    states.reads.push("releases");
    const now = next(states.rest);
    states.latest = now;
    if (states.hasNoReleases) return json(undefined);
    return json(now && { endpointVersion: now.version, rollout: rolloutOf(now.workers), releases: [] });
  }
  if (/^\/v2\/serverless\/[^/]+\/workers$/.test(pathname)) {
    states.reads.push("workers");
    const now = states.rest && !states.hasNoWorkers ? states.latest : undefined;
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
    states.reads.push("health");
    const workers = next(states.health);
    return json(workers && { jobs: { inProgress: next(states.runningJobs) }, workers });
  }
  return false;
}

/** Leaves out workers that wait for a GPU or crash: no public source says that RunPod counts them. */
function rolloutOf(all: WorkerState[]) {
  const workers = all.filter(({ status }) => status !== "THROTTLED" && status !== "UNHEALTHY");
  const workersOnLatest = workers.filter(({ isStale }) => !isStale).length;
  const percentOnLatest = workers.length === 0 ? 0 : Math.round((100 * workersOnLatest) / workers.length);
  const inProgress = workersOnLatest < workers.length;
  return { inProgress, workersOnLatest, workersTotal: workers.length, percentOnLatest };
}

function next<T>(list: T[] | undefined): T | undefined {
  return list && list.length > 1 ? list.shift() : list?.[0];
}
