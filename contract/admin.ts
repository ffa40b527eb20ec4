import * as z from "zod/mini";
import { Model, Plan } from "./plan";

/** A user: Cognito `sub`, e-mail address, or the id of the Stripe customer. */
const User = z.string().check(z.minLength(1), z.maxLength(128));

/** Request to the admin function. */
export const AdminRequest = z.discriminatedUnion("command", [
  /** Shows the user's row, plan and the plan's reason. */
  z.strictObject({ command: z.literal("show"), user: User }),
  /** Grants the user a plan that does not depend on Stripe. */
  z.strictObject({
    command: z.literal("grant"),
    user: User,
    plan: z.enum(["paid", "vip"]),
    /** End of the grant, ISO 8601. A grant without an end never expires. */
    until: z.optional(z.iso.datetime()),
    /** Reason of the grant. It is stored in the user's row. */
    note: z.optional(z.string().check(z.maxLength(500))),
  }),
  /**
   * Removes the link to the user's Stripe customer, and all facts read from that customer. This command is needed when
   * Stripe does not know the customer, for example because the new key belongs to another account.
   */
  z.strictObject({ command: z.literal("unlink"), user: User }),
  /** Removes the grant. */
  z.strictObject({ command: z.literal("revoke"), user: User }),
  /** Reads the user from Stripe and updates the row. */
  z.strictObject({ command: z.literal("resync"), user: User }),
  /** Lists the users that have a Stripe customer. */
  z.strictObject({ command: z.literal("users") }),
  /** Lists Stripe's latest events and the outcome of each event. */
  z.strictObject({ command: z.literal("events"), limit: z.int().check(z.minimum(1), z.maximum(100)) }),
  /** Shows a model's candidate. */
  z.strictObject({ command: z.literal("candidate"), model: Model }),
  /**
   * Sets the share of the customers that a model's candidate answers, in percent. If the new share equals the
   * configured share, the override is removed.
   */
  z.strictObject({
    command: z.literal("candidate-share"),
    model: Model,
    share: z.number().check(z.minimum(0), z.maximum(100)),
  }),
  /** Returns every user of a model's candidate to the released model, including the testers. */
  z.strictObject({ command: z.literal("candidate-abort"), model: Model }),
]);
export type AdminRequest = z.infer<typeof AdminRequest>;

/** A Stripe event in a response of the admin function. */
export const AdminEvent = z.object({
  id: z.string(),
  type: z.string(),
  created: z.iso.datetime(),
  /** Whether every webhook endpoint at Stripe has accepted the event. */
  delivered: z.boolean(),
  /**
   * Outcome of the event in this stack. `ignored` means that events of this type change no plan. `null` means that the
   * stack has not handled the event.
   */
  outcome: z.nullable(z.enum(["synced", "foreign", "ignored"])),
  /** The user whose row was synced; `null` when no row was synced. */
  user_id: z.nullable(z.string()),
  /** Stripe customer of the event; `null` when the event names no customer. */
  customer: z.nullable(z.string()),
  handled_at: z.nullable(z.iso.datetime()),
});
export type AdminEvent = z.infer<typeof AdminEvent>;

/** A user in a response of the admin function. */
export const AdminUser = z.object({
  user_id: z.string(),
  plan: Plan,
  reason: z.string(),
  expires_at: z.nullable(z.string()),
  grace_until: z.optional(z.string()),
  cancel_at: z.optional(z.string()),
  /** The stored row, or `null` when the user has no row. */
  row: z.nullable(z.record(z.string(), z.unknown())),
});
export type AdminUser = z.infer<typeof AdminUser>;

/** A change of the share of customers that a candidate answers. */
export const CandidateEvent = z.object({
  at: z.iso.datetime(),
  /** `configuration`: a deployment, or the first answer of a worker. `verdict`: the rollback of a bad candidate. */
  by: z.enum(["configuration", "operator", "verdict"]),
  /** Shares in percent. `from` is null for a new candidate. */
  from: z.nullable(z.number()),
  to: z.number(),
  reason: z.string(),
});
export type CandidateEvent = z.infer<typeof CandidateEvent>;

/** Result of the comparison of a candidate with the released model. `wait`: there are too few replies for a decision. */
export const CandidateVerdict = z.object({
  action: z.enum(["keep", "wait", "rollback"]),
  reason: z.string(),
  at: z.iso.datetime(),
});
export type CandidateVerdict = z.infer<typeof CandidateVerdict>;

/** Replies of one version of a model in the last 30 minutes. */
export const VersionReplies = z.object({
  replies: z.int(),
  failed: z.int(),
  empty: z.int(),
  invalid: z.int(),
  /**
   * Percentiles of the time to the first text, in milliseconds, measured by the worker. Each value is the upper bound
   * of its histogram bin. 8,001 means more than 8,000. Null when there is no complete reply.
   */
  first_text_ms: z.nullable(z.object({ p50: z.number(), p95: z.number() })),
});
export type VersionReplies = z.infer<typeof VersionReplies>;

/** Numbers of a candidate's workers, as RunPod returned them in the last minute. */
export const CandidateWorkers = z.object({
  idle: z.int(),
  running: z.int(),
  initializing: z.int(),
  throttled: z.int(),
  unhealthy: z.int(),
  waiting_jobs: z.int(),
});
export type CandidateWorkers = z.infer<typeof CandidateWorkers>;

/** A model's candidate in a response of the admin function. */
export const AdminCandidate = z.object({
  model: Model,
  /** Image of the candidate: its tag or its whole URI. */
  image: z.string(),
  /** RunPod's id of the candidate's endpoint. */
  endpoint: z.string(),
  /** Whether a worker of the candidate has answered. Before, the share in force is 0. */
  is_ready: z.boolean(),
  /** Share in force, in percent. */
  share: z.number(),
  /** Share of the configuration, in percent. */
  configured_share: z.number(),
  /** Users that the candidate answers whatever the share is. Empty after an abort. */
  testers: z.array(z.string()),
  /** The change that replaces the share of the configuration. */
  override: z.nullable(
    z.object({
      share: z.number(),
      is_aborted: z.boolean(),
      by: z.enum(["operator", "verdict"]),
      reason: z.string(),
      at: z.iso.datetime(),
    }),
  ),
  /** The last verdict. Null before the first one. */
  verdict: z.nullable(CandidateVerdict),
  candidate: VersionReplies,
  released: VersionReplies,
  /** Null while they are not known. */
  workers: z.nullable(CandidateWorkers),
  /** The newest first. A change appears within a minute. */
  events: z.array(CandidateEvent),
});
export type AdminCandidate = z.infer<typeof AdminCandidate>;

/** Response of the admin function to each command. */
export interface AdminAnswers {
  show: AdminUser;
  grant: AdminUser;
  revoke: AdminUser;
  unlink: AdminUser;
  resync: AdminUser;
  users: { users: string[] };
  events: { events: AdminEvent[] };
  candidate: AdminCandidate;
  "candidate-share": AdminCandidate;
  "candidate-abort": AdminCandidate;
}
