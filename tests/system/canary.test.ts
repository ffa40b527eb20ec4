import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeleteItemCommand, DynamoDBClient, PutItemCommand, ScanCommand } from "@aws-sdk/client-dynamodb";
import { marshall, unmarshall } from "@aws-sdk/util-dynamodb";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import type { AdminCandidate } from "../../contract/admin";
import { isChosen } from "../../functions/core/canary/candidate";
import { SLOT_MINUTES } from "../../functions/core/canary/verdict";
import { ephemeralKeys } from "../../functions/tables/ephemeralKeys";
import { SimulatedTimers } from "../../local/aws/support/timers";
import { localCredentials } from "../../local/cloud/awsEndpoints";
import { type LocalCloud, startLocalCloud } from "../../local/cloud/cloud";
import type { ProgramOutputs } from "../../local/cloud/outputs";
import { bringUp } from "../../local/cloud/program";
import { Stage } from "../../verify/drill/stage";

// Tests a candidate of the deployed program. The relay counts replies, the canary function judges the candidate, and
// the admin function returns its state.
const programDir = process.cwd();
const dir = mkdtempSync(join(tmpdir(), "snack-misaki-canary-"));
const model = "phi3";
const image = "local-2";
const share = 50;
const config = {
  [`${model}.candidate`]: { imageTag: image, share },
  "operations.emails": ["operator@example.com"],
};
let cloud: LocalCloud;
let outputs: ProgramOutputs;
let stage: Stage;
let client: DynamoDBClient;

beforeAll(async () => {
  const options = { engine: "scripted" as const, withoutPython: true, timers: new SimulatedTimers() };
  cloud = await startLocalCloud({ programDir, dir, freePorts: true, config, ...options });
  outputs = await bringUp(cloud, programDir, dir);
  stage = new Stage(cloud, outputs, options.timers);
  const { endpoints, account } = cloud.aws;
  client = new DynamoDBClient({ endpoint: endpoints.dynamodb, region: account.region, credentials: localCredentials });
});
afterAll(async () => {
  client?.destroy();
  await cloud?.close();
  rmSync(dir, { recursive: true, force: true });
});

const runCanary = () => cloud.aws.invoke(stage.function("canary").id, {});
const admin = (request: object) =>
  cloud.aws.invoke(stage.names.functions.admin, { model, ...request }) as Promise<AdminCandidate>;
const status = () => admin({ command: "candidate" });

/**
 * Opens sessions until the configured share assigns a guest to the wanted version. Returns the session of that guest.
 */
async function guestOf(version: "candidate" | "released") {
  for (;;) {
    const session = await stage.openSession("guest");
    const isOfCandidate = isChosen(model, { image, share, testers: [], isReady: true }, session.user_id);
    if (isOfCandidate === (version === "candidate")) return session;
  }
}

type Guest = Awaited<ReturnType<typeof guestOf>>;

/** Sends `count` chats of a guest. Returns the version of the model that answered each chat. */
async function chat({ inference, ticket }: Guest, count: number): Promise<(string | undefined)[]> {
  const versions: (string | undefined)[] = [];
  for (let sent = 0; sent < count; sent += 5) {
    const chats = Array.from({ length: Math.min(5, count - sent) }, async () => {
      const response = await fetch(`${inference.url}/chat`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${ticket}` },
        body: JSON.stringify({ text: "こんばんは" }),
      });
      return ((await response.json()) as { model?: { version: string } }).model?.version;
    });
    versions.push(...(await Promise.all(chats)));
  }
  await vi.waitUntil(() => cloud.aws.isIdle, { timeout: 60_000 });
  return versions;
}

/** Simulates a slot of five minutes: moves the counts and the events in the table five minutes into the past. */
async function passSlot(): Promise<void> {
  const table = stage.resources("aws:dynamodb/table:Table").find(({ outputs }) => outputs.hashKey === "pk");
  const TableName = String(table?.outputs.name);
  const { Items = [] } = await client.send(new ScanCommand({ TableName }));
  const earlier = (at: string) => new Date(Date.parse(at) - SLOT_MINUTES * 60_000).toISOString();
  const items = Items.map((each) => unmarshall(each));
  const replies = items.filter(({ pk }) => pk.startsWith(ephemeralKeys.replies));
  const states = items.filter(({ pk }) => pk.startsWith(ephemeralKeys.canary));
  const moved = [
    ...replies.map((item) => ({
      ...item,
      pk: item.pk.replace(/#(\d+)#/, (_: string, slot: string) => `#${+slot - 1}#`),
    })),
    ...states.map((item) => ({
      ...item,
      events: item.events.map((event: { at: string }) => ({ ...event, at: earlier(event.at) })),
    })),
  ];
  for (const { pk } of replies) await client.send(new DeleteItemCommand({ TableName, Key: marshall({ pk }) }));
  for (const item of moved) await client.send(new PutItemCommand({ TableName, Item: marshall(item) }));
}

/**
 * Simulates two slots, so that the replies so far are in complete slots. One slot is too few when a real slot ends
 * during the test. Then runs the canary function. Returns the state of the candidate.
 */
async function judged(): Promise<AdminCandidate> {
  await passSlot();
  await passSlot();
  await runCanary();
  return status();
}

/** Ends a rollback like an operator, and moves the replies from before the rollback out of the newest slots. */
async function enabled(guest: Guest): Promise<void> {
  await admin({ command: "candidate-share", share });
  await runCanary();
  await passSlot();
  await passSlot();
  // The relay caches the candidate for ten seconds.
  await vi.waitUntil(async () => (await chat(guest, 1))[0] === image, { timeout: 30_000, interval: 1_000 });
}

it("a candidate answers no guest before its worker is ready, and answers its share of the guests afterwards", async () => {
  const guest = await guestOf("candidate");
  await runCanary();
  expect(await chat(guest, 1)).toEqual(["local-1"]);
  expect(await status()).toMatchObject({ image, is_ready: false, share: 0, configured_share: share });
  await vi.waitUntil(
    async () => {
      await runCanary();
      return (await status()).is_ready;
    },
    { timeout: 60_000, interval: 500 },
  );
  expect(await status()).toMatchObject({ is_ready: true, share, workers: { waiting_jobs: 0 } });
  // The relay caches the candidate for ten seconds.
  await vi.waitUntil(async () => (await chat(guest, 1))[0] === image, { timeout: 30_000, interval: 1_000 });
  expect(await chat(await guestOf("released"), 1)).toEqual(["local-1"]);
});

it("a candidate with too few replies for a verdict keeps its share, and the verdict gives this reason", async () => {
  await chat(await guestOf("candidate"), 3);
  const { share: inForce, verdict, candidate } = await judged();
  expect(inForce).toBe(share);
  expect(verdict).toMatchObject({ action: "wait", reason: expect.stringMatching(/too few for a verdict/) });
  expect(candidate.replies).toBeGreaterThanOrEqual(3);
});

it("a healthy candidate keeps its share", async () => {
  expect(new Set(await chat(await guestOf("candidate"), 55))).toEqual(new Set([image]));
  expect(new Set(await chat(await guestOf("released"), 55))).toEqual(new Set(["local-1"]));
  const found = await judged();
  expect(found).toMatchObject({ share, override: null, verdict: { action: "keep" } });
  expect(found.candidate).toMatchObject({ failed: 0, empty: 0, invalid: 0 });
  expect(found.released.replies).toBeGreaterThanOrEqual(55);
  expect(cloud.aws.deliveries).toEqual([]);
});

it.each([
  ["failed", 60, /^[\d.]+% of the replies are failed, against /],
  // The released model replaces an empty reply, so the empty reply counts as failed.
  ["empty", 60, /^[\d.]+% of the replies are failed, against /],
  ["slow", 60, /^The first text is slower: /],
  // One invalid reply causes a rollback.
  ["invalid", 1, /^\d+ replies break the contract\.$/],
] as const)(
  "a candidate with the fault %s is rolled back with a reason, an event and a message, and no chat fails",
  async (fault, chats, text) => {
    const { switches } = cloud.runpod;
    const guest = await guestOf("candidate");
    await enabled(guest);
    const messages = cloud.aws.deliveries.length;
    await chat(await guestOf("released"), 55);
    switches.replyFaults.push({ on: stage.names.candidateEndpoint(model), fault });
    const versions = new Set(await chat(guest, chats));
    switches.replyFaults.splice(0);
    // With every fault except `slow`, the released model answers instead of the candidate.
    expect(versions).toEqual(new Set([fault === "slow" ? image : "local-1"]));
    const found = await judged();
    const reason = expect.stringMatching(text);
    expect(found).toMatchObject({ share: 0, override: { by: "verdict", is_aborted: false, reason } });
    expect(found.verdict).toMatchObject({ action: "rollback", reason });
    expect(found.events[0]).toMatchObject({ by: "verdict", from: share, to: 0, reason });
    expect(cloud.aws.deliveries.slice(messages)).toMatchObject([
      { protocol: "email", endpoint: "operator@example.com", subject: `Rollback: the candidate of ${model}` },
    ]);
  },
);

it("the share of a candidate is published as a metric", async () => {
  const id = { namespace: stage.names.metrics, name: "CandidateShare", dimensions: { model } };
  await vi.waitUntil(() => cloud.aws.cloudwatch.metrics.read(id, 0, Number.POSITIVE_INFINITY));
});

it("an operator can set the share of a candidate after a rollback, and can abort the candidate", async () => {
  expect(await admin({ command: "candidate-share", share: 100 })).toMatchObject({
    share: 100,
    configured_share: share,
  });
  const guest = await guestOf("released");
  await vi.waitUntil(async () => (await chat(guest, 1))[0] === image, { timeout: 30_000, interval: 1_000 });
  await runCanary();
  expect((await status()).events[0]).toMatchObject({ by: "operator", from: 0, to: 100 });
  expect(await admin({ command: "candidate-abort" })).toMatchObject({ share: 0, override: { is_aborted: true } });
  await vi.waitUntil(async () => (await chat(guest, 1))[0] === "local-1", { timeout: 30_000, interval: 1_000 });
});
