/**
 * Key prefix of each kind of item in the `ephemeral` table. `infra/data.ts` allows each function only the kinds that it
 * needs.
 */
export const ephemeralKeys = {
  canary: "canary#",
  checkout: "checkout#",
  cooldown: "cooldown#",
  event: "evt#",
  keepAlive: "keepalive#",
  rate: "rate#",
  replies: "replies#",
  spend: "spend#",
  usage: "usage#",
} as const;

/** Kinds of requests that have a rate limit. */
export type CountedUse =
  | "guest"
  | "guest-renewal"
  | "checkout"
  | "portal"
  | "sync"
  | "webhook-event"
  | "webhook-customer";
