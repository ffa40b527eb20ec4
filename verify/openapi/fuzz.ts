import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root } from "../../cli/root";
import { createApi, type Session } from "../../client";
import { openApi, type Server } from "../../contract/openapi/document";
import { session as exampleSession } from "../../contract/openapi/examples";
import { models, Plan } from "../../contract/plan";
import type { LocalCloud } from "../../local/cloud/cloud";
import { customers } from "../../local/cloud/customers";
import type { ProgramOutputs } from "../../local/cloud/outputs";
import { inTemporaryCloud } from "../../local/cloud/temporaryCloud";
import { signedIn } from "../../local/visitor/customer";
import { inferenceOf } from "../../local/visitor/modelSessions";
import { createAnswerCheck, type SeenAnswer } from "./answers";
import { runSchemathesis } from "./schemathesis";
import { watchAnswers } from "./watchAnswers";

/** Result of the fuzzing. All numbers except `requests` and `accepted` must be 0. */
export interface FuzzReport {
  /** Requests that reached the API, the relay and the endpoints. */
  requests: number;
  /** Requests with a status below 300. */
  accepted: number;
  serverErrors: number;
  undocumentedStatuses: number;
  /** Bodies, content types or headers that the document does not allow. */
  schemaViolations: number;
  /** Number of operations that accepted a caller without a valid token. */
  ignoredAuth: number;
  /** The first differences, as readable lines. */
  details: string[];
}

/** Options of `fuzz`. */
export interface FuzzOptions {
  python: string;
  /** Minimum number of requests. */
  requests: number;
  seed: number;
  /** Called with a line of progress. */
  say(line: string): void;
}

/** A caller of one server. */
interface Target {
  server: Server;
  who: string;
  url: string;
  headers: Record<string, string>;
  /** Ticket that replaces the ticket of the document's examples. */
  ticket: string;
}

const MAX_DETAILS = 20;

/** File with the output of Schemathesis about the failures of the newest run. */
const outputFile = join(root, ".build/reports/schemathesis.txt");

/** Approximate number of cases that every run has: examples, and one case for each constraint. */
const FIXED_CASES = 3_200;
/** Number of operations. An operation counts once for each of its callers. */
const OPERATIONS = 50;

/** Limits so high that most requests reach a handler. The limits of guests and of billing do not change. */
const config = {
  "throttle.ratePerSecond": 2_000,
  "throttle.burst": 4_000,
  "throttle.guest": { ratePerSecond: 2_000, burst: 4_000 },
  "throttle.webhook": { ratePerSecond: 2_000, burst: 4_000 },
};

/** Regular expression of the document's paths at each server. */
const pathsOf: Record<Server, string> = {
  api: "^/(auth|billing|webhook)/",
  relay: "^/chat",
  runpod: "^/(run|stream|status|cancel|openai)\\b",
};

/**
 * Sends generated requests to both domains of a new local cloud. The callers are a guest and a customer of each plan.
 * Compares all answers with the OpenAPI document.
 */
export async function fuzz({ python, requests, seed, say }: FuzzOptions): Promise<FuzzReport> {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-fuzz-"));
  rmSync(outputFile, { force: true });
  try {
    return await inTemporaryCloud({ engine: "scripted", progress: say, config }, async (cloud, outputs) => {
      const report = newReport();
      const unwatch = watchAnswers(outputs, recorder(report));
      const examples = Math.max(1, Math.round((requests - FIXED_CASES) / OPERATIONS));
      const isWhole = requests > FIXED_CASES;
      for (let round = 0; report.requests < requests; round++) {
        for (const target of await targetsOf(cloud, outputs)) {
          await fuzzTarget(target, { python, dir, examples, seed: seed + round }, report);
          say(`${target.server} as ${target.who}: ${report.requests} requests, ${report.details.length} differences`);
          if (report.requests >= requests && (round > 0 || !isWhole)) break;
        }
      }
      unwatch();
      return report;
    });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function newReport(): FuzzReport {
  const counts = {
    requests: 0,
    accepted: 0,
    serverErrors: 0,
    undocumentedStatuses: 0,
    schemaViolations: 0,
    ignoredAuth: 0,
  };
  return { ...counts, details: [] };
}

/** Counts each answer and its differences from the document. */
function recorder(report: FuzzReport): (seen: SeenAnswer) => void {
  const check = createAnswerCheck(openApi({ strict: true }));
  return (seen) => {
    report.requests += 1;
    if (seen.status < 300) report.accepted += 1;
    if (isServerError(seen)) {
      report.serverErrors += 1;
      addDetail(report, `${seen.method} ${seen.path} → ${seen.status}: ${seen.body.slice(0, 200)}`);
    }
    for (const { kind, text } of check(seen)) {
      report[kind === "status" ? "undocumentedStatuses" : "schemaViolations"] += 1;
      addDetail(report, text);
    }
  };
}

/**
 * Whether the answer is an error of our server. RunPod answers 500 for every failed job, even when the worker refused a
 * bad request. For these answers, the code of the worker's error decides.
 */
function isServerError({ server, status, body }: SeenAnswer): boolean {
  if (status < 500) return false;
  return (
    server !== "runpod" || /"code": ?"(internal|unavailable|timeout|overloaded)"/.test(body) || !body.includes('"code"')
  );
}

async function fuzzTarget(
  { server, url, headers, ticket }: Target,
  run: { python: string; dir: string; examples: number; seed: number },
  report: FuzzReport,
): Promise<void> {
  const document = join(run.dir, "openapi.json");
  writeFileSync(document, documentFor(ticket));
  const exceptChecks = server === "runpod" ? ["not_a_server_error"] : [];
  const { failures, output } = await runSchemathesis({
    ...run,
    document,
    url,
    headers,
    paths: pathsOf[server],
    exceptChecks,
  });
  if (failures.length > 0) keepOutput(output);
  for (const { type, title, count, operations } of failures) {
    if (type === "IgnoredAuth") report.ignoredAuth += count;
    else if (type === "ServerError") report.serverErrors += count;
    else if (type === "UndefinedStatusCode") report.undocumentedStatuses += count;
    else report.schemaViolations += count;
    addDetail(report, `Schemathesis: ${title}: ${operations.join(", ")}`);
  }
}

/** Stores the output of Schemathesis about failures. It contains each request as a curl command, without tokens. */
function keepOutput(output: string): void {
  mkdirSync(dirname(outputFile), { recursive: true });
  appendFileSync(outputFile, output);
}

/**
 * Text of the document with a valid ticket in its examples. The text omits the schemas of events. These
 * schemas describe only the data of an event, and Schemathesis would compare the whole event. Another check compares the
 * data.
 */
function documentFor(ticket: string): string {
  const document = openApi({ strict: true });
  const text = JSON.stringify(document, (key, value) => (key === "text/event-stream" ? {} : value));
  return text.replaceAll(exampleSession.ticket, ticket);
}

function addDetail({ details }: FuzzReport, text: string): void {
  if (details.length < MAX_DETAILS && !details.includes(text)) details.push(text);
}

/** Creates new callers of each server, because a ticket is valid for only two minutes. */
async function targetsOf(cloud: LocalCloud, outputs: ProgramOutputs): Promise<Target[]> {
  const callers = [
    await guest(outputs),
    ...(await Promise.all(Plan.options.map((plan) => customer(plan, cloud, outputs)))),
  ];
  const api = callers.map(({ who, idToken, session }): Target => {
    const headers: Target["headers"] = idToken ? { Authorization: `Bearer ${idToken}` } : {};
    return { server: "api", who, url: outputs.apiUrl, headers, ticket: session.ticket };
  });
  const relay = callers.map(({ who, session }, index): Target => {
    const accept = index % 2 === 0 ? "application/json" : "text/event-stream";
    const headers = { Authorization: `Bearer ${session.ticket}`, Accept: accept };
    return { server: "relay", who, url: outputs.relayUrl, headers, ticket: session.ticket };
  });
  const runpod = models.flatMap((model) => {
    const { url, authorization } = inferenceOf(model, cloud, outputs);
    const caller = callers.find(({ session }) => session.model === model);
    const ticket = caller?.session.ticket ?? "";
    return [{ server: "runpod" as const, who: model, url, headers: { Authorization: authorization }, ticket }];
  });
  // The first callers cover all servers. So even a run with few requests reaches every server.
  return [api, relay, runpod]
    .flatMap((one) => one.slice(-1))
    .concat([api, relay, runpod].flatMap((one) => one.slice(0, -1)));
}

interface Caller {
  who: string;
  idToken?: string;
  session: Session;
}

async function guest({ apiUrl }: ProgramOutputs): Promise<Caller> {
  const session = await createApi({ apiUrl, getIdToken: async () => undefined }).guest();
  return { who: "guest", session };
}

async function customer(plan: Plan, { pageUrl }: LocalCloud, outputs: ProgramOutputs): Promise<Caller> {
  const seeded = customers.find(({ label }) => label === plan);
  if (!seeded) throw new Error(`No seeded customer has the plan ${plan}`);
  const { getIdToken } = await signedIn(outputs, pageUrl, seeded);
  const idToken = (await getIdToken()) ?? "";
  return { who: plan, idToken, session: await createApi({ apiUrl: outputs.apiUrl, getIdToken }).session() };
}
