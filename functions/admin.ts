import { type AdminAnswers, type AdminEvent, AdminRequest, type AdminUser } from "../contract/admin";
import { ApiError, type ErrorBody } from "../contract/errors";
import { createCandidateAdmin } from "./canary/candidateAdmin";
import { planResponse } from "./core/planResponse";
import type { CandidateSettings } from "./lib/candidates";
import { causesText } from "./lib/causes";
import { createPoolUsers } from "./lib/poolUsers";
import { bodyError } from "./lib/validation";
import { type BillingSettings, createBilling } from "./stripe/billing";
import { fromStripe } from "./stripe/client";
import { matters, namedCustomer, parseEvent } from "./stripe/event";
import { createEventLog } from "./tables/eventLog";

/** Settings of the admin function. */
export type Settings = BillingSettings & CandidateSettings & { ephemeralTable: string; userPoolId: string };

/** Format of a Cognito `sub`. */
const USER_ID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;
const EMAIL = /^[^\s@]+@[^\s@]+$/;
const USER_RULE =
  "must be an e-mail address, a user id (Cognito sub, such as 3f1c2b9e-5a52-4b6e-9a5e-0f6a7d1c0001) " +
  "or a Stripe customer id (cus_…)";

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
  const pool = createPoolUsers(settings.userPoolId);
  const candidates = createCandidateAdmin(settings);

  /** Returns the user's `sub`. Does not check that a user with a given `sub` exists. */
  async function userIdOf(user: string): Promise<string> {
    if (/^cus_\w+$/.test(user)) {
      const userId = await rows.findByStripeCustomer(user);
      if (!userId) throw new ApiError("invalid_input", `user: no row has the Stripe customer ${user}`);
      return userId;
    }
    if (USER_ID.test(user)) return user;
    if (!EMAIL.test(user)) throw new ApiError("invalid_input", `user: ${USER_RULE}`);
    const [sub, ...others] = await pool.withEmail(user);
    if (!sub) throw new ApiError("invalid_input", `user: the user pool has no user with the e-mail address ${user}`);
    if (others.length === 0) return sub;
    const subs = [sub, ...others].join(", ");
    throw new ApiError("invalid_input", `user: several users have the e-mail address ${user}. Name one: ${subs}`);
  }

  /**
   * Finds a user who has a row. The user may no longer be in the user pool: an operator can still read and revoke the
   * plan.
   *
   * @param orInPool also accepts a user of the pool who has no row yet, because only a purchase or a grant creates a
   * row
   */
  async function findUser(user: string, { orInPool = false } = {}): Promise<string> {
    const userId = await userIdOf(user);
    if (await rows.get(userId)) return userId;
    if (orInPool) return mustBeInPool(userId);
    throw new ApiError("invalid_input", `user: ${userId} has no row`);
  }

  /** Refuses a user who cannot sign in: a plan granted to a mistyped `sub` would never be used. */
  async function mustBeInPool(userId: string): Promise<string> {
    if (await pool.has(userId)) return userId;
    throw new ApiError("invalid_input", `user: the user pool has no user with the sub ${userId}`);
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
    if (!settings.stripeKeyParameter)
      throw new ApiError(
        "invalid_input",
        "events: the stack has no stripeApiKey, so it sells no plan and Stripe sends it no events. " +
          "To sell plans: docs/operations.md, Sell plans",
      );
    const { client } = await billing.connection();
    const { data } = await fromStripe("list", client.events.list({ limit }));
    const handled = await log.find(data.map(({ id }) => id));
    return data.map((event) => {
      const { id, type, created, pending_webhooks } = event;
      const parsed = parseEvent(event);
      const what = handled.get(id);
      return {
        id,
        type,
        created: new Date(created * 1000).toISOString(),
        delivered: pending_webhooks === 0,
        outcome: what?.outcome ?? (matters(parsed ?? { type }) ? null : "ignored"),
        handled_at: what?.handled_at ?? null,
        user_id: what?.user_id ?? null,
        customer: (parsed && namedCustomer(parsed.subject)) ?? null,
      };
    });
  }

  async function answer(request: AdminRequest): Promise<AdminAnswer> {
    switch (request.command) {
      case "show":
        return show(await findUser(request.user, { orInPool: true }));
      case "grant": {
        const userId = await mustBeInPool(await userIdOf(request.user));
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
      case "candidate":
        return candidates.show(request.model);
      case "candidate-share":
        return candidates.setShare(request.model, request.share);
      case "candidate-abort":
        return candidates.abort(request.model);
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
      const { model: candidate, share } = { model: undefined, share: undefined, ...request.data };
      console.log({ admin: command, ...(candidate && { candidate }), ...(share !== undefined && { share }) });
      return answered;
    } catch (thrown) {
      const error = thrown instanceof ApiError ? thrown : new ApiError("internal", undefined, { cause: thrown });
      const line = { admin: command, code: error.code };
      if (error.status >= 500) console.error({ ...line, cause: causesText(error.cause) });
      else console.info(line);
      return withCause(error);
    }
  };
}

/** Error with its cause. A customer never reads the cause, but an operator needs it. */
function withCause({ body, cause }: ApiError): ErrorBody {
  if (cause === undefined) return body;
  return { error: { ...body.error, message: `${body.error.message} Cause: ${causesText(cause)}` } };
}
