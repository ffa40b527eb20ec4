import { StripeProblem } from "./problem";
import type { KeptAnswer } from "./state";

const KEEP_MS = 24 * 3600 * 1000;

/** Stored answers by Idempotency-Key, and the running requests. */
export class Idempotency {
  private readonly kept = new Map<string, KeptAnswer>();
  private readonly running = new Set<string>();

  /**
   * Runs a request only once per key.
   *
   * @param fingerprint identifies the request: path and parameters
   * @param answer runs the request. Its answer is stored when `keep` is true. A thrown error is not stored
   * @returns the answer, and whether it is a replay
   * @throws StripeProblem when the key was used with other parameters, or when a request with the key is still running
   */
  async once(
    key: string,
    fingerprint: string,
    answer: () => Promise<Omit<KeptAnswer, "fingerprint" | "at"> & { keep: boolean }>,
  ): Promise<{ given: Omit<KeptAnswer, "fingerprint" | "at">; replayed: boolean }> {
    const before = this.kept.get(key);
    if (before && Date.now() - before.at < KEEP_MS) {
      if (before.fingerprint === fingerprint) return { given: before, replayed: true };
      throw new StripeProblem(
        400,
        "idempotency_error",
        `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`,
      );
    }
    if (this.running.has(key)) {
      throw new StripeProblem(
        409,
        "invalid_request_error",
        "There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through). Please try again later.",
        { code: "idempotency_key_in_use" },
      );
    }
    this.running.add(key);
    try {
      const { keep, ...given } = await answer();
      if (keep) this.kept.set(key, { ...given, fingerprint, at: Date.now() });
      return { given, replayed: false };
    } finally {
      this.running.delete(key);
    }
  }
}
