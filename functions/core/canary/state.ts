import * as z from "zod/mini";
import { CandidateEvent, CandidateVerdict, CandidateWorkers } from "../../../contract/admin";
import { type EndpointHealth, healthMetrics } from "../endpointState";
import { audienceOf, type Candidate } from "./candidate";
import { WorkerMinutes } from "./verdict";

/** Number of events that are kept. */
const MAX_EVENTS = 50;

/** Knowledge of the canary function about a model's candidate. Only this function writes it, once in each minute. */
export const CanaryState = z.object({
  /** Image and URL of the candidate. Another candidate starts with an empty state, except for the events. */
  image: z.string(),
  url: z.string(),
  /** Share in force at the last look, and the time of the override at that look. A difference is an event. */
  share: z.number(),
  overriddenAt: z.optional(z.string()),
  /** The job that proves that a worker answers. Undefined before the first one. */
  job: z.optional(z.object({ id: z.string(), sentAt: z.iso.datetime() })),
  minutes: WorkerMinutes,
  /** Undefined when RunPod did not return them in the last minute. */
  workers: z.optional(CandidateWorkers),
  verdict: z.optional(CandidateVerdict),
  /** The newest first. */
  events: z.array(CandidateEvent),
  /** A rollback whose message is not sent yet. */
  unsent: z.optional(CandidateEvent),
});
export type CanaryState = z.infer<typeof CanaryState>;

/** State of a candidate at the first look. The events of an earlier candidate stay. */
export function firstState({ image, url }: Candidate, events: readonly CandidateEvent[], at: string): CanaryState {
  const event: CandidateEvent = { at, by: "configuration", from: null, to: 0, reason: `The candidate is ${image}.` };
  return { image, url, share: 0, minutes: { crashLoop: 0, noCapacity: 0 }, events: newest([event, ...events]) };
}

/** The state, if it belongs to the candidate. */
export function stateOf({ image, url }: Candidate, state: CanaryState | undefined): CanaryState | undefined {
  return state?.image === image && state.url === url ? state : undefined;
}

/** The state with an event, if the share in force or the override has changed since the last look. */
export function noteChange(state: CanaryState, candidate: Candidate, at: string): CanaryState {
  const { share } = audienceOf(candidate);
  const { override } = candidate;
  if (share === state.share && override?.at === state.overriddenAt) return state;
  const event: CandidateEvent = {
    at: override && override.at !== state.overriddenAt ? override.at : at,
    by: override?.by ?? "configuration",
    from: state.share,
    to: share,
    reason: override?.reason ?? "The share of the configuration applies.",
  };
  const { overriddenAt: _, ...rest } = state;
  return {
    ...rest,
    share,
    ...(override && { overriddenAt: override.at }),
    events: newest([event, ...state.events]),
    ...(event.by === "verdict" && { unsent: event }),
  };
}

/**
 * State after a read of the health of the candidate's endpoint. `health` is undefined when the read has failed, and
 * this never counts against the candidate. A minute also counts as one without capacity when jobs wait, workers wait
 * for a GPU, and no other worker can take the jobs.
 */
export function noteHealth(state: CanaryState, health: EndpointHealth | undefined): CanaryState {
  if (!health) {
    const { workers: _, ...rest } = state;
    return { ...rest, minutes: { crashLoop: 0, noCapacity: 0 } };
  }
  const { CrashLoop, NoCapacity, Scarcity } = healthMetrics(health, undefined);
  const { idle, running, initializing, throttled, unhealthy } = health.workers;
  const hasNoWorker = NoCapacity === 1 || (Scarcity === 1 && idle + running === 0);
  const minutes = (before: number, isBad: boolean) => (isBad ? before + 1 : 0);
  return {
    ...state,
    minutes: {
      crashLoop: minutes(state.minutes.crashLoop, CrashLoop === 1),
      noCapacity: minutes(state.minutes.noCapacity, hasNoWorker),
    },
    workers: { idle, running, initializing, throttled, unhealthy, waiting_jobs: health.jobs.inQueue },
  };
}

function newest(events: readonly CandidateEvent[]): CandidateEvent[] {
  return events.slice(0, MAX_EVENTS);
}
