import * as z from "zod/mini";
import { Plan } from "./plan";

/** A user: Cognito `sub`, or the id of their Stripe customer. */
const User = z.string().check(z.minLength(1), z.maxLength(128));

/** What an operator may ask of the admin function. */
export const AdminRequest = z.discriminatedUnion("command", [
  /** The row, and why it gives the plan it gives. */
  z.strictObject({ command: z.literal("show"), user: User }),
  /** Gives a plan, whatever Stripe says. */
  z.strictObject({
    command: z.literal("grant"),
    user: User,
    plan: z.enum(["paid", "vip"]),
    /** ISO 8601; without one the grant does not end. */
    until: z.optional(z.iso.datetime()),
    /** Why, for whoever looks at the row later. */
    note: z.optional(z.string().check(z.maxLength(500))),
  }),
  /** Takes the grant away. */
  z.strictObject({ command: z.literal("revoke"), user: User }),
  /** Reads the user from Stripe now. */
  z.strictObject({ command: z.literal("resync"), user: User }),
  /** Every user that Stripe knows. */
  z.strictObject({ command: z.literal("users") }),
  /** Stripe's latest events, and what became of them here. */
  z.strictObject({ command: z.literal("events"), limit: z.int().check(z.minimum(1), z.maximum(100)) }),
]);
export type AdminRequest = z.infer<typeof AdminRequest>;

/** One of Stripe's events as an operator sees it. */
export const AdminEvent = z.object({
  id: z.string(),
  type: z.string(),
  created: z.iso.datetime(),
  /** Whether every endpoint has taken it. */
  delivered: z.boolean(),
  /** `ignored` for a kind that changes no plan, null for one that has not come here. */
  outcome: z.nullable(z.enum(["synced", "foreign", "ignored"])),
  handled_at: z.nullable(z.iso.datetime()),
});
export type AdminEvent = z.infer<typeof AdminEvent>;

/** A user as an operator sees them. */
export const AdminUser = z.object({
  user_id: z.string(),
  plan: Plan,
  reason: z.string(),
  expires_at: z.nullable(z.string()),
  grace_until: z.optional(z.string()),
  cancel_at: z.optional(z.string()),
  /** The row as it is stored; null without one. */
  row: z.nullable(z.record(z.string(), z.unknown())),
});
export type AdminUser = z.infer<typeof AdminUser>;

/** Answers of the admin function, by command. */
export interface AdminAnswers {
  show: AdminUser;
  grant: AdminUser;
  revoke: AdminUser;
  resync: AdminUser;
  users: { users: string[] };
  events: { events: AdminEvent[] };
}
