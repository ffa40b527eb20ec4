import type { JWK } from "jose";
import type { CandidateEvent } from "../../contract/admin";
import type { Model } from "../../contract/plan";
import { getHealth } from "../../runpod/health";
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
  const ready = isReady ? await markReady(model, candidate, services) : candidate;
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
  const call = { url, apiKey: await runpodKey(), timeoutMs: CALL_TIMEOUT_MS };
  const wanted = { ...call, model, endpoint, isBound: true, ticketIssuer, signingKey: await signingKey() };
  const before = { job: state.job, isReady: candidate.isReady };
  const [health, { job, isReady }] = await Promise.all([
    readHealth(model, endpoint, call),
    warmUp(before, wanted, now).catch((error: unknown) => {
      raiseAlarm("keep_alive_failed", { model, endpoint, cause: causesText(error) });
      return before;
    }),
  ]);
  return { state: { ...noteHealth(state, health), job }, isReady };
}

async function readHealth(model: Model, endpoint: string, call: Parameters<typeof getHealth>[0]) {
  try {
    const { status, health } = await getHealth(call, endpoint);
    if (!health) throw new Error(`RunPod answered /health with ${status}`);
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

async function markReady(model: Model, candidate: Candidate, { candidates }: WatchServices): Promise<Candidate> {
  if (candidate.isReady) return candidate;
  const changed = await candidates.change(model, (stored) =>
    isSame(stored, candidate) ? { ...stored, isReady: true } : undefined,
  );
  return changed ?? candidate;
}

/** Returns the customers of a bad candidate to the released model. The testers stay, so that they can see a repair. */
async function rollBack(
  model: Model,
  candidate: Candidate,
  { reason }: Verdict,
  { candidates }: WatchServices,
  at: string,
): Promise<Candidate> {
  const changed = await candidates.change(model, (stored) => {
    if (!isSame(stored, candidate) || audienceOf(stored).share === 0) return undefined;
    const override = { share: 0, isAborted: false, replaces: stored.share, by: "verdict", reason, at } as const;
    return { ...stored, override };
  });
  return changed ?? candidate;
}

/** Whether a deployment has not replaced the candidate meanwhile. */
function isSame(stored: Candidate, { image, url }: Candidate): boolean {
  return stored.image === image && stored.url === url;
}
