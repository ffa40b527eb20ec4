import type { JWK } from "jose";
import type { CandidateEvent } from "../../contract/admin";
import type { Model } from "../../contract/plan";
import { getHealth } from "../../runpod/health";
import { unexpectedResponse } from "../../runpod/http";
import { audienceOf, type Candidate, endpointIdOf } from "../core/canary/candidate";
import { type CanaryState, firstState, noteChange, noteHealth, stateOf } from "../core/canary/state";
import { judge, type Verdict } from "../core/canary/verdict";
import { raiseAlarm } from "../lib/alarms";
import type { CandidateStore } from "../lib/candidates";
import { causesText } from "../lib/causes";
import { putMetrics } from "../lib/metrics";
import type { CanaryStates } from "../tables/canaryStates";
import type { ReplyCountTable } from "../tables/replyCounts";
import { warmUp } from "./warmUp";

const CALL_TIMEOUT_MS = 8_000;

/** Everything outside of the watch that it uses. */
export interface WatchServices {
  candidates: CandidateStore;
  states: CanaryStates;
  counts: ReplyCountTable;
  /** Base URL of RunPod's job API, with `/v2`. */
  runpodJobApiUrl: string;
  /** Reads the account's RunPod key. */
  runpodKey(): Promise<string>;
  ticketIssuer: string;
  /** Reads the private JWK that signs tickets. */
  signingKey(): Promise<JWK>;
  /** Sends a message about a rollback to the operators. */
  tell(model: Model, rollback: { image: string; event: CandidateEvent }): Promise<void>;
}

/**
 * Looks at a model's candidate once: marks it as ready after its first answer, compares its replies with those of the
 * released model, and returns its customers to the released model when it is worse. Does nothing without a candidate.
 *
 * A rollback first changes the parameter, then records the event, and then sends the message. The next run repeats the
 * steps that failed.
 *
 * @throws Error when Parameter Store, the table or the topic does not answer. A failed read of RunPod never counts
 * against the candidate
 */
export async function watch(model: Model, services: WatchServices, now: Date): Promise<void> {
  const { candidates, states } = services;
  const candidate = await candidates.read(model).catch((error: unknown) => {
    raiseAlarm("candidate_unreadable", { model, cause: causesText(error) });
  });
  if (!candidate) return;
  const stored = await states.read(model);
  const at = now.toISOString();
  const known = stateOf(candidate, stored) ?? firstState(candidate, stored?.events ?? [], at);
  const { state: looked, isReady } = await look(model, candidate, known, services, now);
  const ready = isReady ? await markReady(model, candidate, services, at) : candidate;
  const noted = noteChange(looked, ready, at);
  const verdict = await verdictOf(model, noted, services, now);
  const after = verdict.action === "rollback" ? await rollBack(model, ready, verdict, services, at) : ready;
  const state: CanaryState = { ...noteChange(noted, after, at), verdict: { ...verdict, at } };
  await states.write(model, state, now);
  logNewEvents(model, stored?.events ?? [], state);
  putMetrics({ CandidateShare: state.share }, { model });
  if (!state.unsent) return;
  await services.tell(model, { image: state.image, event: state.unsent });
  await states.write(model, { ...state, unsent: undefined }, now);
}

/** Writes a log line for each change of the share, for the saved log query. */
function logNewEvents(model: Model, known: readonly CandidateEvent[], { image, events }: CanaryState): void {
  const added = events.slice(0, known[0] ? events.indexOf(known[0]) : undefined);
  for (const event of added.reverse()) console.info({ candidate: model, image, ...event });
}

/** Reads the candidate's endpoint, and sends the job that proves that a worker answers. */
async function look(
  model: Model,
  candidate: Candidate,
  state: CanaryState,
  { runpodKey, signingKey, runpodJobApiUrl: url, ticketIssuer }: WatchServices,
  now: Date,
): Promise<{ state: CanaryState; isReady: boolean }> {
  const endpoint = endpointIdOf(candidate.url);
  const callOf = async () => ({ url, apiKey: await runpodKey(), timeoutMs: CALL_TIMEOUT_MS });
  const before = { job: state.job, isReady: candidate.isReady };
  const warm = async () => {
    const bound = { model, endpoint, isBound: true, ticketIssuer, signingKey: await signingKey() };
    return warmUp(before, { ...(await callOf()), ...bound }, now);
  };
  const [health, { job, isReady }] = await Promise.all([
    readHealth(model, endpoint, callOf),
    warm().catch((error: unknown) => {
      raiseAlarm("keep_alive_failed", { model, endpoint, cause: causesText(error) });
      return before;
    }),
  ]);
  return { state: { ...noteHealth(state, health), job }, isReady };
}

async function readHealth(model: Model, endpoint: string, callOf: () => Promise<Parameters<typeof getHealth>[0]>) {
  try {
    const { status, health } = await getHealth(await callOf(), endpoint);
    if (!health) throw new Error(unexpectedResponse("/health", status));
    return health;
  } catch (error) {
    raiseAlarm("runpod_unreadable", { model, endpoint, failed: { health: causesText(error) } });
    return undefined;
  }
}

/** Compares the replies since the last change of the share, because a change often follows a repair. */
async function verdictOf(
  model: Model,
  { image, events, minutes }: CanaryState,
  { counts }: WatchServices,
  now: Date,
): Promise<Verdict> {
  const since = new Date(events[0]?.at ?? now);
  const [candidate, released] = await Promise.all([
    counts.read({ model, image }, since, now),
    counts.read({ model }, since, now),
  ]);
  return judge({ candidate, released, workers: minutes });
}

async function markReady(
  model: Model,
  candidate: Candidate,
  { candidates }: WatchServices,
  at: string,
): Promise<Candidate> {
  if (candidate.isReady) return candidate;
  const change = (stored: Candidate) => (isSame(stored, candidate) ? { ...stored, isReady: true } : undefined);
  return (await candidates.change(model, change, failSafe(at))) ?? candidate;
}

/** Returns the customers of a bad candidate to the released model. The testers stay, so that they can see a repair. */
async function rollBack(
  model: Model,
  candidate: Candidate,
  { reason }: Verdict,
  { candidates }: WatchServices,
  at: string,
): Promise<Candidate> {
  const change = (stored: Candidate) => {
    if (!isSame(stored, candidate) || audienceOf(stored).share === 0) return undefined;
    return withShareZero(stored, { isAborted: false, reason, at });
  };
  return (await candidates.change(model, change, failSafe(at))) ?? candidate;
}

/** Returns all users to the released model after two changes at the same time. The lost one may have been an abort. */
function failSafe(at: string): (stored: Candidate) => Candidate {
  const reason = "Two changes came at the same time, and one of them is lost. The testers also get the released model.";
  return (stored) => withShareZero(stored, { isAborted: true, reason, at });
}

function withShareZero(
  stored: Candidate,
  change: Pick<NonNullable<Candidate["override"]>, "isAborted" | "reason" | "at">,
): Candidate {
  return { ...stored, override: { ...change, share: 0, replaces: stored.share, by: "verdict" } };
}

/** Whether the stored candidate is still this candidate. A deployment may have replaced it in the meantime. */
function isSame(stored: Candidate, { image, url }: Candidate): boolean {
  return stored.image === image && stored.url === url;
}
