/** Parts of the product that can fail separately. */
export const areas = ["session", "billing", "webhook", "worker chat", "vip chat"] as const;
export type Area = (typeof areas)[number];

/** Time after the end of a fault in which the fault can still cause errors. */
const TAIL_MS = 3_000;

/** Faults that were on, with their times as `performance.now()`. */
export class Timeline {
  private readonly windows: { explains: readonly Area[]; fromMs: number; untilMs: number }[] = [];

  /**
   * Records that a fault begins.
   *
   * @param explains areas in which the fault may cause errors
   * @returns a function that records the end of the fault
   */
  begin(explains: readonly Area[], fromMs = performance.now()): (untilMs?: number) => void {
    const window = { explains, fromMs, untilMs: Number.POSITIVE_INFINITY };
    this.windows.push(window);
    return (untilMs = performance.now()) => {
      window.untilMs = untilMs;
    };
  }

  /**
   * Whether a fault explains the error of a request. The fault must affect one of the areas between the start of the
   * request and its error.
   */
  explains(of: readonly Area[], beganMs: number, failedMs = performance.now()): boolean {
    return this.windows.some(
      ({ explains, fromMs, untilMs }) =>
        of.some((area) => explains.includes(area)) && fromMs <= failedMs && beganMs <= untilMs + TAIL_MS,
    );
  }
}
