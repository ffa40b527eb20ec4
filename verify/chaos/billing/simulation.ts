import type { Customer } from "../../../functions/core/customer";
import { ensureStripeCustomer } from "../../../functions/stripe/customer";
import type { SimulationOptions } from "../report";
import { fixedIdempotencyKeys, isLockedOut } from "./customerCreation";
import { type Difference, firstDifference } from "./difference";
import { runScenario, type ScenarioResult } from "./runScenario";
import { makeScenario, type Scenario } from "./scenario";
import {
  createdThenId,
  type Environment,
  payloadLastWrite,
  policy,
  production,
  refetchNoFence,
  type Strategy,
} from "./strategies";
import { factsOf } from "./stripeState";

export interface BillingOptions extends SimulationOptions {
  /** False removes the write condition. A test then proves that the simulation finds wrong runs. Default true. */
  fence?: boolean;
  /** False removes the reconciler. A test then proves that the simulation finds wrong runs. Default true. */
  reconciler?: boolean;
}

/** Counts of wrong runs. A run is wrong when its final row and Stripe's state give different entitlements. */
export interface BillingResult {
  runs: number;
  /** Wrong runs of the production code. A run is also wrong when the new customer in it can no longer buy. */
  wrong: number;
  /** Number of writes that the write condition refused. */
  staleRefused: number;
  /** Wrong runs of weaker strategies, in the same scenarios. */
  weaker: Record<keyof typeof weaker | "fixedIdempotencyKeys", number>;
}

/** A wrong run of the production code. `difference` is missing when the new customer in the run can no longer buy. */
export interface WrongRun {
  seed: number;
  difference?: Difference;
}

const weaker = { payloadLastWrite, createdThenId, refetchNoFence } satisfies Record<
  string,
  (environment: Environment) => Strategy
>;
const weakerNames = Object.keys(weaker) as (keyof typeof weaker)[];

const PROGRESS_EVERY_RUNS = 100;

/**
 * Runs random scenarios with the production sync and with weaker strategies, in virtual time, and compares each final row
 * with Stripe. The same options give the same result.
 *
 * @param onWrongRun called with each wrong run of the production code
 */
export async function simulateBilling(
  { runs, seed: firstSeed, fence = true, reconciler = true, trace, progress }: BillingOptions,
  onWrongRun: (wrong: WrongRun) => void = () => {},
): Promise<BillingResult> {
  const result: BillingResult = {
    runs,
    wrong: 0,
    staleRefused: 0,
    weaker: { payloadLastWrite: 0, createdThenId: 0, refetchNoFence: 0, fixedIdempotencyKeys: 0 },
  };
  for (let run = 0; run < runs; run += 1) {
    const seed = firstSeed + run;
    const scenario = makeScenario(seed);
    const ended = await runScenario(scenario, seed, (environment) => production(environment, fence), {
      reconciler,
      ...(trace && { trace }),
    });
    const difference = differenceFromStripe(scenario, ended);
    if (difference || (await isLockedOut(seed, ensureStripeCustomer))) {
      result.wrong += 1;
      onWrongRun({ seed, ...(difference && { difference }) });
    }
    if (await isLockedOut(seed, fixedIdempotencyKeys)) result.weaker.fixedIdempotencyKeys += 1;
    result.staleRefused += ended.row.staleRefused;
    for (const name of weakerNames) {
      const weakerEnded = await runScenario(scenario, seed, weaker[name], { reconciler });
      if (differenceFromStripe(scenario, weakerEnded)) result.weaker[name] += 1;
    }
    if ((run + 1) % PROGRESS_EVERY_RUNS === 0) await progress?.(run + 1, result.wrong);
  }
  return result;
}

function differenceFromStripe({ endsAt }: Scenario, { row, stripe }: ScenarioResult): Difference | undefined {
  return firstDifference(expectedCustomer(row, stripe), row.customer, new Date(endsAt), policy);
}

/**
 * The customer's expected row, computed from the state at Stripe. When the price is unknown, Stripe's state does not
 * contain the earlier plan of the subscription. The row must then keep every plan that it has contained.
 */
function expectedCustomer({ customer, everKnown }: ScenarioResult["row"], stripe: ScenarioResult["stripe"]): Customer {
  const known_plans = Object.fromEntries([...everKnown].map((id) => [id, { plan: "paid" as const, price_ids: [] }]));
  return { user_id: customer.user_id, ...factsOf(stripe), known_plans };
}
