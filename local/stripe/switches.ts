/** What can be made to go wrong. All off at first; change them at any time. */
export interface Switches {
  /** Each delivery is made twice. */
  duplicate: boolean;
  /** A delivery waits a random time up to this, in milliseconds. */
  delayUpToMs: number;
  /** Deliveries wait until released. */
  hold: boolean;
  /** Deliveries are not made, and count as failed. */
  lose: boolean;
  /** Deliveries of one burst go out in random order. */
  reorder: boolean;
  /** Deliveries are signed with another secret. */
  wrongSecret: boolean;
  /** Signatures are dated a day ahead. */
  futureTimestamp: boolean;
  /** The API answers after this wait, in milliseconds. */
  apiDelayMs: number;
  /** So many of the next API requests fail. */
  apiFailures: number;
  /** How they fail: an HTTP status, or 0 for a connection cut after the work was done. */
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
