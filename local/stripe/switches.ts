import * as z from "zod";

/** Faults that can be switched on at any time. */
export const Switches = z.strictObject({
  /** Sends each delivery twice. */
  duplicate: z.boolean(),
  /** Maximum of the random delay of each delivery, in milliseconds. */
  delayUpToMs: z.int().min(0),
  /** Holds deliveries back until `release` is called. */
  hold: z.boolean(),
  /** Drops deliveries. A dropped delivery counts as failed. */
  lose: z.boolean(),
  /** Sends deliveries of one burst in random order. */
  reorder: z.boolean(),
  /** Signs deliveries with another secret. */
  wrongSecret: z.boolean(),
  /** Sets the timestamp of signatures one day into the future. */
  futureTimestamp: z.boolean(),
  /**
   * The operator's settings of the customer portal. `missing`: they were never saved. `fixedPlan`: they do not allow a
   * change of plan.
   */
  portal: z.enum(["complete", "fixedPlan", "missing"]),
  /** Delays API answers, in milliseconds. */
  apiDelayMs: z.int().min(0),
  /** Number of API requests that fail from now on. */
  apiFailures: z.int().min(0),
  /**
   * HTTP status of the failures. With 0, the double executes the request and then closes the connection without an
   * answer.
   */
  apiFailureStatus: z.union([z.literal(0), z.int().min(400).max(599)]),
});
export type Switches = z.output<typeof Switches>;

/** Creates switches that are all off. */
export function createSwitches(): Switches {
  return {
    duplicate: false,
    delayUpToMs: 0,
    hold: false,
    lose: false,
    reorder: false,
    wrongSecret: false,
    futureTimestamp: false,
    portal: "complete",
    apiDelayMs: 0,
    apiFailures: 0,
    apiFailureStatus: 500,
  };
}
