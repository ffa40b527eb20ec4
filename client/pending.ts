import { ApiProblem, textField } from "./problem";
import type { SafeStore } from "./store";

/** Secrets of a sign-in that has started and is not finished yet. Each tab may have one pending sign-in. */
export interface Pending {
  state: string;
  nonce: string;
  verifier: string;
}

/** The pending sign-ins of all tabs. */
export interface PendingSignIns {
  /** @throws ApiProblem `unavailable` when the browser does not store data */
  add(pending: Pending): void;
  all(): Pending[];
  remove(pending: Pending): void;
}

/** Maximum number of pending sign-ins. Older sign-ins count as abandoned. */
const MAX_PENDING = 5;

/** Opens the list of pending sign-ins in a storage. */
export function openPendingSignIns(store: SafeStore, key: string): PendingSignIns {
  function all(): Pending[] {
    return [store.get(key)].flat().filter((one): one is Pending => !!textField(one, "state"));
  }

  return {
    all,
    add(pending) {
      // The hosted pages are another site, so a value in memory would be lost.
      if (store.set(key, [...all(), pending].slice(-MAX_PENDING))) return;
      throw new ApiProblem("unavailable", "Allow this page to store data.", { retryable: false });
    },
    remove: ({ state }) =>
      void store.set(
        key,
        all().filter((one) => one.state !== state),
      ),
  };
}
