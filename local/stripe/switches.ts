/** Faults that can be switched on at any time. All are off at first. */
export interface Switches {
  /** Sends each delivery twice. */
  duplicate: boolean;
  /** Delays a delivery by a random time up to this, in milliseconds. */
  delayUpToMs: number;
  /** Holds deliveries until released. */
  hold: boolean;
  /** Drops deliveries; they count as failed. */
  lose: boolean;
  /** Sends deliveries of one burst in random order. */
  reorder: boolean;
  /** Signs deliveries with another secret. */
  wrongSecret: boolean;
  /** Dates signatures one day in the future. */
  futureTimestamp: boolean;
  /** Delays API answers, in milliseconds. */
  apiDelayMs: number;
  /** Number of the next API requests that fail. */
  apiFailures: number;
  /** HTTP status of the failure, or 0 to cut the connection after the work is done. */
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
    apiDelayMs: 0,
    apiFailures: 0,
    apiFailureStatus: 500,
  };
}
