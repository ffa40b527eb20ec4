import * as z from "zod/mini";
import { Plan } from "./plan";

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

/** Response of the admin function to each command. */
export interface AdminAnswers {
  show: AdminUser;
  grant: AdminUser;
  revoke: AdminUser;
  unlink: AdminUser;
  resync: AdminUser;
  users: { users: string[] };
  events: { events: AdminEvent[] };
}
