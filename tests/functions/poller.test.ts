import type { JWK } from "jose";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { byModel } from "../../contract/plan";
import { create, type Settings } from "../../functions/poller";
import { startSsm } from "../../local/aws/ssm";
import type { AwsAccount } from "../../local/aws/support/account";
import { Events } from "../../local/support/events";
import { type Listening, serve } from "../../local/support/http";
import { engines } from "../tables/engines";
import { type Database, openDatabase } from "../tables/tables";
import { type Recording, recordMetrics } from "./metricLines";
import { createTicketKeys } from "./ticketKeys";

// These tests run the poller with a real table, a real Parameter Store and a RunPod double whose routes fail on demand.
let database: Database;
let ssm: Listening;
let runpod: Listening;
let key: JWK;
let settings: Settings;
let metrics: Recording;
/** Path suffixes that the RunPod double answers with 500. */
let failing: string[];
/** Paths of the requests. */
let asked: string[];
let jobs: { input: { ticket: string } }[];
/** Bodies with which the RunPod double answers with 200 instead of its usual bodies, by the end of their path. */
let odd: [string, unknown][];

const answers: [string, unknown][] = [
  ["/health", { jobs: { inQueue: 1, failed: 0 }, workers: { throttled: 1 } }],
  ["/releases", { rollout: { percentOnLatest: 100, workersTotal: 1 } }],
  ["/billing/serverless", { records: [{ totalAmount: 2 }] }],
  ["/run", { id: "job", status: "IN_QUEUE" }],
  ["/phi3", { workers: { max: 1 } }],
  ["/mistral", { workers: { max: 3 } }],
];

beforeAll(async () => {
  ({ key } = await createTicketKeys());
  const [engine] = engines;
  if (!engine) throw new Error("The list of database engines is empty");
  database = await openDatabase(engine);
  const values = new Map([
    ["/runpod", "rpa_key"],
    ["/signing-key", JSON.stringify(key)],
  ]);
  const account = {
    get: (_type: string, id: string) =>
      values.has(id) ? { id, outputs: { type: "String", value: values.get(id) } } : undefined,
    list: () => [],
    arn: () => "",
  } as unknown as AwsAccount;
  ssm = await startSsm(account, new Events());
  vi.stubEnv("AWS_ENDPOINT_URL_SSM", ssm.url);
  runpod = await serve("RunPod", 0, async (request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    if (failing.some((end) => pathname.endsWith(end))) return new Response("", { status: 500 });
    if (request.method === "POST") jobs.push((await request.json()) as (typeof jobs)[number]);
    const answer = [...odd, ...answers].find(([end]) => pathname.endsWith(end));
    return answer ? Response.json(answer[1]) : new Response("", { status: 404 });
  });
});
beforeEach(async () => {
  failing = [];
  odd = [];
  asked = [];
  jobs = [];
  for (const level of ["log", "error"] as const) vi.spyOn(console, level).mockImplementation(() => {});
  metrics = recordMetrics();
  settings = {
    runpodApiUrl: runpod.url,
    runpodJobApiUrl: `${runpod.url}/v2`,
    runpodKeyParameter: "/runpod",
    endpoints: byModel((model) => ({ id: model, workersMax: 3 })),
    ephemeralTable: (await database.make()).ephemeral,
    ticketIssuer: "snack-misaki/test",
    signingKeyParameter: "/signing-key",
    metrics: "all",
  };
});
afterEach(() => {
  metrics[Symbol.dispose]();
  vi.useRealTimers();
  vi.restoreAllMocks();
});
afterAll(() => Promise.all([database?.close(), ssm?.close(), runpod?.close()]));

const alarms = (code: string) =>
  vi.mocked(console.error).mock.calls.flatMap(([line]) => (line.alarm === code ? [line] : []));
const claimsOf = ({ input }: (typeof jobs)[number]) =>
  JSON.parse(Buffer.from(input.ticket.split(".")[1] ?? "", "base64url").toString());

describe("The poller", () => {
  it("publishes the health, the shrinking, the rollout and the costs of each endpoint", async () => {
    await create(settings)();
    expect(metrics.values("QueueDepth")).toEqual([1, 1]);
    expect(metrics.lines).toContainEqual({ EndpointShrunk: 1, model: "phi3" });
    expect(metrics.lines).toContainEqual({ EndpointShrunk: 0, model: "mistral" });
    expect(metrics.values("RolloutPercent")).toEqual([100, 100]);
    expect(metrics.values("HourlyUsd")).toEqual([2, 2]);
    expect(alarms("runpod_unreadable")).toEqual([]);
  });

  it.each([
    ["health", "/health", "QueueDepth"],
    ["endpoint", "/phi3", "EndpointShrunk"],
    ["rollout", "/releases", "RolloutPercent"],
    ["costs", "/billing/serverless", "HourlyUsd"],
  ])(
    "publishes all other metrics when it cannot read %s, and logs one line with this name",
    async (part, path, metric) => {
      failing = [path];
      await create(settings)();
      const others = ["QueueDepth", "EndpointShrunk", "RolloutPercent", "HourlyUsd"].filter((name) => name !== metric);
      for (const name of others) expect(metrics.values(name), name).toHaveLength(2);
      const raised = alarms("runpod_unreadable").filter(({ model }) => model === "phi3");
      expect(raised).toHaveLength(1);
      expect(Object.keys(raised[0].failed)).toEqual([part]);
    },
  );

  it.each([
    ["health", "/health", { jobs: { inQueue: 0 } }],
    ["endpoint", "/phi3", { workers: null }],
    ["rollout", "/releases", { releases: [] }],
    ["costs", "/billing/serverless", "<html>maintenance</html>"],
  ])("logs that the body is unexpected when RunPod answers 200 without the fields of %s", async (part, path, body) => {
    odd = [[path, body]];
    await create(settings)();
    const [raised] = alarms("runpod_unreadable").filter(({ model }) => model === "phi3");
    expect(raised.failed[part]).toMatch(/RunPod answered \S+ with 200 and an unexpected body/);
  });

  it("does not count failed jobs again after a pause of more than five minutes", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-11-22T12:10:00Z") });
    const [first, second] = [create(settings), create(settings)];
    const failed = (count: number) => {
      odd = [["/health", { jobs: { inQueue: 0, failed: count }, workers: {} }]];
    };
    failed(0);
    await second();
    await first();
    failed(4);
    vi.setSystemTime(new Date("2026-11-22T12:11:00Z"));
    await first();
    vi.setSystemTime(new Date("2026-11-22T13:11:00Z"));
    await second();
    // One value of each model's endpoint.
    expect(metrics.values("JobsFailed")).toEqual([4, 4]);
  });

  it("reads the costs every ten minutes, and retries in the next minute after a failure", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-11-22T12:10:00Z") });
    const poll = create(settings);
    const reads = () => asked.filter((path) => path.includes("/billing/")).length;
    failing = ["/billing/serverless"];
    await poll();
    failing = [];
    await poll();
    expect(reads()).toBe(4);
    vi.setSystemTime(new Date("2026-11-22T12:19:00Z"));
    await poll();
    expect(reads()).toBe(4);
    vi.setSystemTime(new Date("2026-11-22T12:20:00Z"));
    await poll();
    expect(reads()).toBe(6);
  });

  it("publishes the metrics and sends the keep-alive jobs before it fails", async () => {
    await expect(create({ ...settings, tokenExpiryParameter: "/missing" })()).rejects.toMatchObject({
      code: "unavailable",
    });
    expect(metrics.values("QueueDepth")).toEqual([1, 1]);
    expect(jobs).toHaveLength(2);
  });
});

describe("A keep-alive job", () => {
  it("is sent in the first run with a keep-alive ticket, and is not sent in the next run", async () => {
    const poll = create(settings);
    await poll();
    await poll();
    expect(jobs.map(claimsOf)).toEqual(
      expect.arrayContaining(
        ["phi3", "mistral"].map((aud) =>
          expect.objectContaining({ kind: "keepalive", aud, plan: "free", sub: "keepalive" }),
        ),
      ),
    );
    expect(jobs).toHaveLength(2);
  });

  it.each([
    ["refused it", { paths: ["/run"], bodies: [] }, "RunPod answered /run with 500"],
    [
      "answered without a job id",
      { paths: [], bodies: [["/run", { error: "busy" }]] },
      "RunPod answered /run without a job id",
    ],
  ] as [string, { paths: string[]; bodies: typeof odd }, string][])(
    "is sent again ten minutes after RunPod %s, and the alarm contains RunPod's answer",
    async (_what, { paths, bodies }, cause) => {
      vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-11-22T12:10:00Z") });
      const poll = create(settings);
      failing = paths;
      odd = bodies;
      await poll();
      expect(alarms("keep_alive_failed")).toHaveLength(2);
      expect(alarms("keep_alive_failed")[0].cause).toContain(cause);
      failing = [];
      odd = [];
      jobs = [];
      await poll();
      expect(jobs).toEqual([]);
      vi.setSystemTime(new Date("2026-11-22T12:20:00Z"));
      await poll();
      expect(jobs).toHaveLength(2);
    },
  );
});
