import { type AdminAnswers, type AdminEvent, AdminRequest, type AdminUser } from "../contract/admin";
import { ApiError, type ErrorBody } from "../contract/errors";
import { webhookEvents } from "../stripe/events";
import { planResponse } from "./core/planResponse";
import { causesText } from "./lib/causes";
import { bodyError } from "./lib/validation";
import { type BillingSettings, createBilling } from "./stripe/billing";
import { fromStripe } from "./stripe/client";
import { parseEvent } from "./stripe/event";
import { createEventLog } from "./tables/eventLog";

/** Settings of the admin function. */
export type Settings = BillingSettings & { ephemeralTable: string };

/** Format of a Cognito `sub`. */
const USER_ID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;
const USER_RULE =
  "must be a user id (Cognito sub, such as 3f1c2b9e-5a52-4b6e-9a5e-0f6a7d1c0001) or a Stripe customer id (cus_…). " +
  "Find the sub of an e-mail address in the console of Cognito, under the user pool's users.";

/** Answers of the admin function. Errors are returned, not thrown, so that the operator reads them. */
export type AdminAnswer = AdminAnswers[AdminRequest["command"]] | ErrorBody;

/**
 * Commands for operators. `npm run admin` invokes this function with the operator's AWS credentials. The function has
 * no HTTP route: IAM decides who may invoke it.
 */
export function create(settings: Settings): (event: unknown) => Promise<AdminAnswer> {
  const billing = createBilling(settings);
  const { rows } = billing;
  const log = createEventLog(settings.ephemeralTable);

  /** @param mayBeNew whether the user may have no row: a user gets one only with a purchase or a grant */
  async function findUser(user: string, { mayBeNew = false } = {}): Promise<string> {
    if (/^cus_\w+$/.test(user)) {
      const userId = await rows.findByStripeCustomer(user);
      if (!userId) throw new ApiError("invalid_input", `user: no row has the Stripe customer ${user}`);
      return userId;
    }
    // Any other text, such as an e-mail address, would create a row that nobody can sign in to.
    if (!USER_ID.test(user)) throw new ApiError("invalid_input", `user: ${USER_RULE}`);
    if (!mayBeNew && !(await rows.get(user))) throw new ApiError("invalid_input", `user: no row for ${user}`);
    return user;
  }

  async function show(userId: string): Promise<AdminUser> {
    const { customer, row } = await rows.inspect(userId);
    const { plan, reason, expires_at, grace_until, cancel_at } = planResponse(
      userId,
      customer,
      new Date(),
      settings.policy,
    );
    return {
      user_id: userId,
      plan,
      reason,
      expires_at,
      row,
      ...(grace_until && { grace_until }),
      ...(cancel_at && { cancel_at }),
    };
  }

  async function resync(userId: string): Promise<AdminUser> {
    await billing.sync(userId);
    return show(userId);
  }

  /**
   * Syncs the user with Stripe after a grant. The grant takes effect even if Stripe does not answer. In that case the
   * reconciler later updates the plan cached in the row.
   */
  async function syncAfterGrant(userId: string): Promise<AdminUser> {
    const now = new Date();
    await billing.sync(userId, { reviewBy: now }).catch((error: unknown) => {
      console.error({
        admin: "sync after grant",
        cause: causesText(error),
      });
    });
    return show(userId);
  }

  async function listEvents(limit: number): Promise<AdminEvent[]> {
    const { client } = await billing.connection();
    const { data } = await fromStripe("list", client.events.list({ limit }));
    const handled = await log.find(data.map(({ id }) => id));
    return data.map((event) => {
      const { id, type, created, pending_webhooks } = event;
      const { object, id: subjectId, customer } = parseEvent(event)?.subject ?? {};
      const what = handled.get(id);
      const matters = webhookEvents.some((known) => known === type);
      return {
        id,
        type,
        created: new Date(created * 1000).toISOString(),
        delivered: pending_webhooks === 0,
        outcome: what?.outcome ?? (matters ? null : "ignored"),
        handled_at: what?.handled_at ?? null,
        user_id: what?.user_id ?? null,
        customer: (object === "customer" ? subjectId : customer) ?? null,
      };
    });
  }

  async function answer(request: AdminRequest): Promise<AdminAnswer> {
    switch (request.command) {
      case "show":
        return show(await findUser(request.user, { mayBeNew: true }));
      case "grant": {
        const userId = await findUser(request.user, { mayBeNew: true });
        const { plan, until, note } = request;
        if (until && Date.parse(until) <= Date.now())
          throw new ApiError("invalid_input", "until: must be in the future");
        await rows.grant(
          userId,
          { plan, ...(until && { expiresAt: new Date(until) }), ...(note && { note }) },
          new Date(),
        );
        return syncAfterGrant(userId);
      }
      case "revoke": {
        const userId = await findUser(request.user);
        await rows.grant(userId, { plan: null }, new Date());
        return syncAfterGrant(userId);
      }
      case "unlink": {
        const userId = await findUser(request.user);
        await rows.unlink(userId, new Date());
        return resync(userId);
      }
      case "resync":
        return resync(await findUser(request.user));
      case "users":
        return { users: await Array.fromAsync(rows.withStripeCustomer()) };
      case "events":
        return { events: await listEvents(request.limit) };
    }
  }

  return async (event) => {
    const request = AdminRequest.safeParse(event);
    if (!request.success) {
      const { code, message } = bodyError(request.error.issues);
      return new ApiError(code, message.replace(/^body\.?/, "")).body;
    }
    const { command } = request.data;
    try {
      const answered = await answer(request.data);
      console.log({ admin: command });
      return answered;
    } catch (thrown) {
      const error = thrown instanceof ApiError ? thrown : new ApiError("internal", undefined, { cause: thrown });
      console.error({ admin: command, code: error.code, cause: causesText(error.cause) });
      return error.body;
    }
  };
}
