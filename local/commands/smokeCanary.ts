import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod/mini";
import type { Session } from "../../client";
import type { Model } from "../../contract/plan";
import { START_STACK, stackNames } from "../../names";
import { parseLine } from "../aws/cloudwatch/cloudwatch";
import { askAdmin } from "../cloud/adminFunction";
import type { LocalCloud } from "../cloud/cloud";
import { customers } from "../cloud/customers";
import type { ProgramOutputs } from "../cloud/outputs";
import { customerApi } from "../visitor/customer";
import { validTicket, withTicket } from "../visitor/tickets";
import { talkOnce } from "./smokeChat";

/** Output of `npm run smoke -- --canary --json`. Each version comes from a reply. */
export interface CanaryResult {
  model: Model;
  /** Number of workers of the released model and of the candidate, when both have answered. */
  workers: Record<"released" | "candidate", number>;
  /** Version that answers a tester. */
  tester: string;
  /** Version that answers another customer. */
  other: string;
  abort: {
    /** Version that answers the tester after the abort. */
    tester: string;
    /** Milliseconds from the abort to the tester's first reply of the released version. */
    ms: number;
  };
  promotion: {
    /** Milliseconds that `up` took with the candidate's image as the released image. */
    ms: number;
    /** Number of chats of both customers that ended during the promotion. */
    chats: number;
    failed: number;
    /** Versions that answered the tester during the promotion. The released version must not be in the list. */
    testerMeanwhile: string[];
    tester: string;
    other: string;
    /** Names of the model's endpoints after the promotion. */
    endpoints: string[];
  };
  /** Codes of the alarms that the functions have raised. */
  alarms: string[];
}

const LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup";
/** Log line of an alarm (`functions/lib/alarms.ts`), as Lambda writes it. */
const AlarmLine = z.object({ message: z.object({ alarm: z.string() }) });

const MODEL = "mistral" satisfies Model;
const RELEASED = "local-1";
const CANDIDATE = "local-2";
const OTHER_USER = "3f1c2b9e-5a52-4b6e-9a5e-0f6a7d1c0009";
/** The functions cache the candidate for 10 s. */
const ABORT_LIMIT_MS = 30_000;

/** Configuration with a candidate that answers only the seeded customer on the paid plan. */
export function canaryConfig(): Record<string, unknown> {
  const testers = customers.filter(({ label }) => label === "paid").map(({ sub }) => sub);
  return { [`${MODEL}.imageTag`]: RELEASED, [`${MODEL}.candidate`]: { imageTag: CANDIDATE, share: 0, testers } };
}

/**
 * Tests the life of a candidate. First a tester chats with the candidate. Then an abort moves the tester back to the
 * released version. Finally a promotion replaces the released image while both customers chat.
 *
 * @param redeploy runs `up` with changes of the configuration
 * @throws Error when a step has an unexpected result
 */
export async function walkCanary(
  cloud: LocalCloud,
  outputs: ProgramOutputs,
  redeploy: (overrides: Record<string, unknown>) => Promise<unknown>,
  say: (line: string) => void,
): Promise<CanaryResult> {
  const api = await customerApi("paid", cloud, outputs);
  const tester = () => api.session();
  const other = async () => sessionOf(OTHER_USER, await api.session(), cloud);
  const versionFor = async (who: () => Promise<Session>) => (await talkOnce(await who())).version;

  say("chatting as a tester and as another customer");
  const versions = { tester: await versionFor(tester), other: await versionFor(other) };
  expectVersion("the tester", versions.tester, CANDIDATE);
  expectVersion("the other customer", versions.other, RELEASED);
  const workers = workersOf(cloud);

  say("aborting the candidate");
  await askAdmin(cloud.aws, { command: "candidate-abort", model: MODEL });
  const abort = await untilVersion(RELEASED, () => versionFor(tester));

  say("promoting the candidate while both customers chat");
  // An operator's command with the configured share ends the abort.
  await askAdmin(cloud.aws, { command: "candidate-share", model: MODEL, share: 0 });
  await untilVersion(CANDIDATE, () => versionFor(tester));
  const promotion = await promote({ tester, other }, redeploy);
  const after = { tester: await versionFor(tester), other: await versionFor(other) };
  for (const [who, version] of Object.entries(after))
    expectVersion(`the ${who} after the promotion`, version, CANDIDATE);
  const endpoints = endpointsOf(cloud).map(({ name }) => name);
  for (const version of promotion.testerMeanwhile) expectVersion("the tester during the promotion", version, CANDIDATE);
  if (promotion.failed > 0) throw new Error(`${promotion.failed} of ${promotion.chats} chats failed`);
  if (endpoints.length !== 1) throw new Error(`Expected one endpoint after the promotion, got ${endpoints.join(", ")}`);
  const alarms = alarmsOf(cloud);
  if (alarms.length > 0) throw new Error(`Expected no alarm, got ${alarms.join(", ")}`);
  return { model: MODEL, workers, ...versions, abort, promotion: { ...promotion, ...after, endpoints }, alarms };
}

/** Promotes the candidate. Meanwhile each customer sends messages one after another. */
async function promote(
  customers: Record<"tester" | "other", () => Promise<Session>>,
  redeploy: (overrides: Record<string, unknown>) => Promise<unknown>,
): Promise<Pick<CanaryResult["promotion"], "ms" | "chats" | "failed" | "testerMeanwhile">> {
  let isOver = false;
  /**
   * Sends messages until the promotion has ended. Returns the version of each reply, or undefined for a failed chat.
   */
  const chatOn = async (session: () => Promise<Session>) => {
    const versions: (string | undefined)[] = [];
    while (!isOver)
      versions.push(
        await session()
          .then(talkOnce)
          .then(
            ({ version }) => version,
            () => undefined,
          ),
      );
    return versions;
  };
  const chatting = Promise.all([chatOn(customers.tester), chatOn(customers.other)]);
  const startedAt = performance.now();
  await redeploy({ [`${MODEL}.imageTag`]: CANDIDATE, [`${MODEL}.candidate`]: undefined }).finally(() => {
    isOver = true;
  });
  const ms = Math.round(performance.now() - startedAt);
  const [tester, other] = await chatting;
  const chats = [...tester, ...other];
  const failed = chats.filter((version) => version === undefined).length;
  const testerMeanwhile = [...new Set(tester.filter((version) => version !== undefined))];
  return { ms, chats: chats.length, failed, testerMeanwhile };
}

/** Chats until a version answers. */
async function untilVersion(expected: string, read: () => Promise<string>): Promise<CanaryResult["abort"]> {
  const startedAt = performance.now();
  for (;;) {
    const version = await read();
    const ms = Math.round(performance.now() - startedAt);
    if (version === expected) return { tester: version, ms };
    if (ms > ABORT_LIMIT_MS) throw new Error(`Expected a reply of ${expected} within ${ms} ms, got ${version}`);
    await sleep(200);
  }
}

/** Session of another customer of the same plan. */
async function sessionOf(userId: string, session: Session, cloud: LocalCloud): Promise<Session> {
  return withTicket(session, await validTicket(cloud, { ...session, user_id: userId }));
}

function endpointsOf({ runpod }: LocalCloud) {
  const names = stackNames(START_STACK);
  return runpod
    .endpoints()
    .filter(({ name }) => [names.endpoint(MODEL), names.candidateEndpoint(MODEL)].includes(name));
}

function workersOf(cloud: LocalCloud): CanaryResult["workers"] {
  const count = (wanted: string) => endpointsOf(cloud).find(({ name }) => name === wanted)?.workers.length ?? 0;
  const names = stackNames(START_STACK);
  return { released: count(names.endpoint(MODEL)), candidate: count(names.candidateEndpoint(MODEL)) };
}

/** Codes of the alarms in the logs of all functions. */
function alarmsOf({ aws }: LocalCloud): string[] {
  const lines = aws.account.list(LOG_GROUP).flatMap(({ id }) => aws.cloudwatch.linesOf(id));
  return lines.flatMap(({ text }) => AlarmLine.safeParse(parseLine(text)).data?.message.alarm ?? []);
}

function expectVersion(who: string, version: string, expected: string): void {
  if (version !== expected) throw new Error(`Expected a reply of ${expected} for ${who}, got ${version}`);
}
