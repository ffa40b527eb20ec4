/** Faults that can be switched on at any time. All are off at first. */
export interface Switches {
  /** Sends each delivery twice. */
  duplicate: boolean;
  /** Maximum of the random delay of each delivery, in milliseconds. */
  delayUpToMs: number;
  /** Holds deliveries back until `release` is called. */
  hold: boolean;
  /** Drops deliveries. A dropped delivery counts as failed. */
  lose: boolean;
  /** Sends deliveries of one burst in random order. */
  reorder: boolean;
  /** Signs deliveries with another secret. */
  wrongSecret: boolean;
  /** Sets the timestamp of signatures one day into the future. */
  futureTimestamp: boolean;
  /**
   * The operator's settings of the customer portal. `missing`: they were never saved. `fixedPlan`: they do not allow a
   * change of plan.
   */
  portal: "complete" | "fixedPlan" | "missing";
  /** Delays API answers, in milliseconds. */
  apiDelayMs: number;
  /** Number of API requests that fail from now on. */
  apiFailures: number;
  /** HTTP status of the failures. With 0, the double executes the request and then cuts the connection. */
  apiFailureStatus: number;
}

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
