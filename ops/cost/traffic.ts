import type { Plan } from "../../contract/plan";
import type { PlainConfig } from "../../infra/configSchema";
import { type ByCase, byCase } from "./estimate";

/** A month of the estimate. */
export const DAYS = 30;
export const SECONDS = DAYS * 86_400;

/**
 * Assumptions about the customers and the models. The command prints them, so that an operator can judge the estimate.
 */
export const assumptions = {
  /** Share of the chats by plan. Guests have the free plan. */
  planShare: { free: 0.8, paid: 0.15, vip: 0.05 } satisfies Record<Plan, number>,
  /** Messages of one visit. */
  chatsPerVisit: 10,
  /** A person types for 20 to 60 seconds. The worker waits for that time. */
  secondsBetweenChats: 30,
  /** Time of a worker for one reply of 120 characters. */
  secondsPerReply: 2,
  /** Time from the start of a worker to its first reply, with the weights in the image. */
  secondsPerStart: 60,
  /** Tokens of one chat in a visit of ten, with the persona and the history. */
  promptTokens: 1_850,
  /** Share of the prompt that the provider has cached. */
  cachedShare: 0.85,
  replyTokens: 140,
  /** Time for which the relay's function runs for one chat. */
  relaySecondsPerChat: 8,
  /** Visits of one customer in a month. */
  visitsPerCustomer: 4,
  /** Calls of the auth/billing API in one visit. */
  apiCallsPerVisit: 3,
  apiSecondsPerCall: 0.2,
  /** Hosts that pull a model's image in a month. In the worst case, every worker starts on a new host each day. */
  pullsPerModel: { low: 1, expected: 4 },
  /** Tagged images of each model, which the registry keeps until the operator deletes them. Worst: one a month, for a year. */
  imagesPerModel: { low: 1, expected: 3, worst: 12 },
} as const;

/** Use of the stack in one month. */
export interface Traffic {
  /** Chats of each plan. They are the same in the low and the expected case. */
  chats: Record<Plan, number>;
  visits: Record<Plan, number>;
  /** Customers who sign in. */
  customers: number;
  /** Chats that the relay serves. In the worst case, all its concurrent chats are always busy. */
  relayChats: ByCase<number>;
  /** Requests to the relay. In the worst case also requests that it rejects at once, up to Lambda's limit. */
  relayRequests: ByCase<number>;
}

/** Concurrent executions of an AWS account, for a relay without its own limit (Lambda's default quota). */
const ACCOUNT_CONCURRENCY = 1_000;
/** Requests per second that Lambda accepts for each concurrent execution (Lambda quotas, "synchronous invocations"). */
const REQUESTS_PER_CONCURRENCY = 10;

/** Largest number of chats at the same time. */
export function relayConcurrency({ relay }: Pick<PlainConfig, "relay">): number {
  return relay.concurrency === -1 ? ACCOUNT_CONCURRENCY : relay.concurrency;
}

/** Largest number of chats that the relay can serve in a month. */
export function mostRelayChats(config: Pick<PlainConfig, "relay">): number {
  return (relayConcurrency(config) * SECONDS) / assumptions.relaySecondsPerChat;
}

/** Use of a stack with `operations.expectedChatsPerDay` chats. */
export function trafficOf(config: Pick<PlainConfig, "operations" | "relay">): Traffic {
  const { planShare, chatsPerVisit, visitsPerCustomer } = assumptions;
  const all = config.operations.expectedChatsPerDay * DAYS;
  const share = (of: Plan) => all * planShare[of];
  const chats = { free: share("free"), paid: share("paid"), vip: share("vip") };
  const mostRequests = relayConcurrency(config) * REQUESTS_PER_CONCURRENCY * SECONDS;
  return {
    chats,
    visits: {
      free: chats.free / chatsPerVisit,
      paid: chats.paid / chatsPerVisit,
      vip: chats.vip / chatsPerVisit,
    },
    customers: all / chatsPerVisit / visitsPerCustomer,
    relayChats: byCase((of) => (of === "worst" ? Math.max(mostRelayChats(config), all) : all)),
    relayRequests: byCase((of) => (of === "worst" ? Math.max(mostRequests, all) : all)),
  };
}
