import type { Usage } from "../../contract/relay";

/** Limits of one customer's use of the relay. */
export interface UsageLimits {
  chatsPerMinute: number;
  tokensPerDay: number;
}

/** Stub until the branch `core` is merged. */
export function createUsageTable(_tableName: string): {
  read(account: string, limits: UsageLimits, now: Date): Promise<Usage>;
} {
  return { read: async () => Promise.reject(new Error("not implemented")) };
}
