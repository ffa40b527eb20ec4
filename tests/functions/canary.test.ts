import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { TicketClaims } from "../../contract/ticket";
import { create, type Settings } from "../../functions/canary";
import { createCandidateAdmin } from "../../functions/canary/candidateAdmin";
import { noReplies, type ReplyCounts } from "../../functions/core/canary/verdict";
import { createReplyCounts } from "../../functions/tables/replyCounts";
import { Topics } from "../../local/aws/sns/topics";
import { startSsm } from "../../local/aws/ssm";
import { AwsAccount } from "../../local/aws/support/account";
import { Events } from "../../local/support/events";
import type { Listening } from "../../local/support/http";
import { ACCOUNT_KEY, RunpodFixture } from "../local/runpod/fixture";
import { engines } from "../tables/engines";
import { type Database, openDatabase, type Tables } from "../tables/tables";
import { type Recording, recordMetrics } from "./metricLines";
import { createTicketKeys } from "./ticketKeys";

// The canary function with a real table, Parameter Store, SNS and a RunPod endpoint. Only the time is simulated.
const PARAMETER = "/candidates/mistral";
const dir = mkdtempSync(join(tmpdir(), "snack-misaki-canary-"));
let database: Database;
let tables: Tables;
let account: AwsAccount;
let ssm: Listening;
let topics: Topics;
let runpod: RunpodFixture;
let metrics: Recording;
let settings: Settings;
let endpoint: string;
let run: () => Promise<void>;

beforeAll(async () => {
  const [engine] = engines;
  if (!engine) throw new Error("The list of database engines is empty");
  database = await openDatabase(engine);
  account = new AwsAccount(join(dir, "account.db"), "us-east-1");
  ssm = await startSsm(account, new Events());
  topics = await Topics.start(account, new Events());
  vi.stubEnv("AWS_ENDPOINT_URL_SSM", ssm.url);
  vi.stubEnv("AWS_ENDPOINT_URL_SNS", topics.url);
  const { key } = await createTicketKeys();
  putParameter("/runpod", ACCOUNT_KEY);
  putParameter("/signing-key", JSON.stringify(key));
});
beforeEach(async () => {
  for (const level of ["info", "error"] as const) vi.spyOn(console, level).mockImplementation(() => {});
  vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-12-01T00:00:30Z") });
  runpod = new RunpodFixture();
  await runpod.start();
  endpoint = (await runpod.deploy({ name: "mistral-candidate" })).id;
  tables = await database.make();
  metrics = recordMetrics();
  const topicArn = account.arn("sns", "operations");
  account.put({ type: "aws:sns/topic:Topic", id: topicArn, inputs: {}, outputs: { arn: topicArn } });
  const subscription = { topic: topicArn, protocol: "email", endpoint: "operator@example.com" };
  const type = "aws:sns/topicSubscription:TopicSubscription";
  account.put({ type, id: "subscription", inputs: {}, outputs: subscription });
  await topics.effects.create?.({ type, id: "subscription", inputs: {}, outputs: subscription });
  topics.deliveries.splice(0);
  settings = {
    candidatesPath: "/candidates",
    stack: "dev",
    runpodJobApiUrl: runpod.jobApiUrl,
    runpodKeyParameter: "/runpod",
    ephemeralTable: tables.ephemeral,
    ticketIssuer: "snack-misaki/test",
    signingKeyParameter: "/signing-key",
    topicArn,
  };
  run = create(settings);
});
afterEach(async () => {
  metrics[Symbol.dispose]();
  vi.useRealTimers();
  vi.restoreAllMocks();
  account.delete("aws:ssm/parameter:Parameter", PARAMETER);
  await runpod.dispose();
});
afterAll(async () => {
  await Promise.all([database?.close(), ssm?.close(), topics?.close()]);
  account?.close();
  rmSync(dir, { recursive: true });
});

function putParameter(name: string, value: string): void {
  account.put({
    type: "aws:ssm/parameter:Parameter",
    id: name,
    inputs: {},
    outputs: { type: "String", value, version: 1 },
  });
}
const deploy = (more: object = {}) => {
  const url = `${runpod.jobApiUrl}/${endpoint}`;
  putParameter(PARAMETER, JSON.stringify({ image: "2", url, share: 5, testers: ["tester"], isReady: true, ...more }));
};
const stored = () => JSON.parse(String(account.get("aws:ssm/parameter:Parameter", PARAMETER)?.outputs.value));
const status = () => createCandidateAdmin(settings).show("mistral");
const passMinutes = async (minutes: number) => {
  for (let minute = 0; minute < minutes; minute++) {
    vi.setSystemTime(Date.now() + 60_000);
    await run();
  }
};
const alarms = (code: string) =>
  vi.mocked(console.error).mock.calls.flatMap(([line]) => (line.alarm === code ? [line] : []));
/** Counts replies of the candidate and of the released model in the present slot. */
const count = async (candidate: Partial<ReplyCounts>, released: Partial<ReplyCounts> = { replies: 200 }) => {
  const counts = createReplyCounts(settings.ephemeralTable);
  await counts.add({ model: "mistral", image: "2" }, { ...noReplies(), ...candidate }, new Date());
  await counts.add({ model: "mistral" }, { ...noReplies(), ...released }, new Date());
};
/** Lets the candidate's worker answer its next job. */
const answerJob = async () => {
  const worker = await vi.waitFor(() => runpod.workers.at(-1) ?? expect.fail("no worker has started"), {
    interval: 10,
  });
  const job = await vi.waitFor(() => worker.next(), { interval: 10 });
  await worker.done(job.id, { output: [] });
  return job;
};
/** A candidate with a share of 5% that has had its first look. */
const settled = async () => {
  deploy();
  await run();
  await answerJob();
  await passMinutes(5);
};

describe("The canary function", () => {
  it("does nothing without a candidate", async () => {
    await run();
    expect(metrics.lines).toEqual([]);
    expect((await runpod.json(`${endpoint}/health`)).jobs).toMatchObject({ inQueue: 0 });
    await expect(status()).rejects.toMatchObject({
      code: "invalid_input",
      message: "model: mistral has no candidate: set mistral.candidate in the stack's configuration, and run pulumi up",
    });
  });

  it("marks a candidate as ready when a worker has answered one job, and then the share is in force", async () => {
    deploy({ isReady: false });
    await run();
    await passMinutes(1);
    expect(await status()).toMatchObject({ is_ready: false, share: 0, configured_share: 5 });
    const { input } = await answerJob();
    const { ticket } = input as { ticket: string };
    const claims = TicketClaims.parse(JSON.parse(Buffer.from(ticket.split(".")[1] ?? "", "base64url").toString()));
    expect(claims).toMatchObject({ kind: "keepalive", aud: "mistral", endpoint });
    await passMinutes(1);
    expect(await status()).toMatchObject({ is_ready: true, share: 5 });
    expect((await status()).events[0]).toMatchObject({ by: "configuration", from: 0, to: 5 });
    await passMinutes(3);
    expect((await runpod.json(`${endpoint}/health`)).jobs).toMatchObject({ completed: 1, inQueue: 0, inProgress: 0 });
    expect(metrics.lines).toContainEqual({ CandidateShare: 0, model: "mistral" });
    expect(metrics.lines.at(-1)).toEqual({ CandidateShare: 5, model: "mistral" });
  });

  it("sends another job when a job ended without an answer", async () => {
    deploy({ isReady: false });
    await run();
    const worker = await vi.waitFor(() => runpod.workers.at(-1) ?? expect.fail("no worker"), { interval: 10 });
    const job = await vi.waitFor(() => worker.next(), { interval: 10 });
    await worker.done(job.id, { error: "broken" });
    await passMinutes(1);
    expect(stored().isReady).toBe(false);
    await answerJob();
    await passMinutes(1);
    expect(stored().isReady).toBe(true);
  });

  it("says how many replies are missing when there are too few, and keeps the share", async () => {
    await settled();
    await count({ replies: 10, failed: 1 });
    await passMinutes(5);
    expect(await status()).toMatchObject({
      share: 5,
      verdict: { action: "wait", reason: "10 replies, too few for a verdict: at least 50 are needed." },
      candidate: { replies: 10, failed: 1 },
      released: { replies: 200, failed: 0 },
    });
  });

  it("keeps a candidate that is not worse than the released model", async () => {
    await settled();
    await count({ replies: 100, failed: 1 }, { replies: 500, failed: 5 });
    await passMinutes(5);
    expect(await status()).toMatchObject({ share: 5, verdict: { action: "keep" } });
    expect(topics.deliveries).toEqual([]);
  });

  it("rolls a worse candidate back once, with a reason, an event, a log line and a message", async () => {
    await settled();
    await count({ replies: 100, failed: 40 });
    await passMinutes(5);
    const reason = "40.0% of the replies are failed, against 0.0% of the released version.";
    expect(stored().override).toMatchObject({ share: 0, isAborted: false, replaces: 5, by: "verdict", reason });
    const { share, testers, verdict, events } = await status();
    expect({ share, testers, action: verdict?.action }).toEqual({ share: 0, testers: ["tester"], action: "rollback" });
    expect(events[0]).toMatchObject({ by: "verdict", from: 5, to: 0, reason });
    expect(vi.mocked(console.info).mock.calls).toContainEqual([
      expect.objectContaining({ candidate: "mistral", image: "2", by: "verdict", reason }),
    ]);
    await passMinutes(5);
    expect(topics.deliveries).toHaveLength(1);
    const [{ subject, message } = { subject: "", message: "" }] = topics.deliveries;
    expect(subject).toBe("Rollback: the candidate of mistral");
    expect(message).toContain(`Reason: ${reason}`);
    expect(message).toContain("First: npm run admin -- --stack dev canary mistral status");
  });

  it("rolls a candidate back when its workers crash while jobs wait", async () => {
    await settled();
    runpod.double.switches.crashing.push("mistral-candidate");
    await runpod.worker.crash("out of memory");
    await runpod.json(`${endpoint}/run`, { input: { text: "x" } });
    await vi.waitFor(async () => expect((await runpod.json(`${endpoint}/health`)).workers.unhealthy).toBe(1), {
      interval: 20,
    });
    await passMinutes(2);
    expect(stored().override).toMatchObject({ share: 0, reason: "The workers have crashed for 2 minutes." });
  });

  it("does not count an unreadable endpoint against the candidate, and raises an alarm", async () => {
    await settled();
    runpod.double.switches.faults.push({
      on: "GET /v2/*/health",
      answer: 500,
      times: 100,
      skip: 0,
      done: false,
      delayMs: 0,
    });
    await passMinutes(6);
    expect(await status()).toMatchObject({ share: 5, verdict: { action: "wait" }, workers: null });
    expect(alarms("runpod_unreadable")).toHaveLength(6);
  });

  it("ignores the replies before an operator set the share again", async () => {
    await settled();
    await count({ replies: 100, failed: 40 });
    await passMinutes(5);
    await createCandidateAdmin(settings).setShare("mistral", 5);
    await passMinutes(10);
    expect(await status()).toMatchObject({ share: 5, override: null, verdict: { action: "wait" } });
  });

  it("fails when the message cannot be sent, after the rollback is in force, and sends it in the next run", async () => {
    await settled();
    await count({ replies: 100, failed: 40 });
    run = create({ ...settings, topicArn: account.arn("sns", "missing") });
    await expect(passMinutes(5)).rejects.toMatchObject({ code: "unavailable" });
    expect(await status()).toMatchObject({ share: 0, events: [{ by: "verdict" }, {}, {}] });
    run = create(settings);
    await passMinutes(2);
    expect(topics.deliveries).toHaveLength(1);
    expect((await status()).events.filter(({ by }) => by === "verdict")).toHaveLength(1);
  });

  it("keeps the abort of an operator who wrote it while the function wrote a rollback", async () => {
    await settled();
    await count({ replies: 100, failed: 40 });
    await passMinutes(4);
    const { send } = SSMClient.prototype;
    const sent = vi.spyOn(SSMClient.prototype, "send").mockImplementation(async function (
      this: SSMClient,
      command: PutParameterCommand,
    ) {
      if (command instanceof PutParameterCommand) {
        sent.mockRestore();
        await createCandidateAdmin(settings).abort("mistral");
      }
      return Reflect.apply(send, this, [command]);
    } as never);
    await expect(passMinutes(1)).rejects.toMatchObject({ code: "conflict" });
    expect(stored().override).toMatchObject({ share: 0, isAborted: true, by: "verdict" });
    expect(stored().override.reason).toMatch(/^Two changes came at the same time/);
    await passMinutes(1);
    expect(await status()).toMatchObject({ share: 0, testers: [] });
    expect(topics.deliveries).toHaveLength(1);
  });

  it.each(["/runpod", "/signing-key"])("still judges the candidate when %s cannot be read", async (parameter) => {
    await settled();
    await count({ replies: 100, failed: 40 });
    settings = { ...settings, [parameter === "/runpod" ? "runpodKeyParameter" : "signingKeyParameter"]: "/missing" };
    run = create(settings);
    await passMinutes(5);
    expect(stored().override).toMatchObject({ share: 0, by: "verdict" });
    expect(alarms("keep_alive_failed")).not.toEqual([]);
  });

  it("logs the failure of each model", async () => {
    run = create({ ...settings, ephemeralTable: "missing" });
    deploy();
    await expect(run()).rejects.toMatchObject({ code: "unavailable" });
    expect(vi.mocked(console.error).mock.calls).toContainEqual([
      expect.objectContaining({ candidate: "mistral", run: "failed" }),
    ]);
  });

  it("raises an alarm for a parameter that it cannot read, and still looks at the other models", async () => {
    deploy({ share: 500 });
    await run();
    expect(alarms("candidate_unreadable")).toMatchObject([{ model: "mistral" }]);
  });
});
