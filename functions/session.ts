import type { Plan } from "../contract/plan";
import { entitlement, type Policy } from "./core/entitlement";
import { openSession, type Route } from "./core/session";
import { type Handler, jsonHandler, NoBody, parseBody } from "./lib/http";
import { createIdentity, type IdentitySettings } from "./lib/identity";
import { putMetrics } from "./lib/metrics";
import { createSessionSources, type SessionSettings } from "./lib/sessionSources";
import { createUsers } from "./tables/users";

/** Settings of `POST /auth/session`. */
export type Settings = SessionSettings &
  IdentitySettings & { routes: Record<Plan, Route>; usersTable: string; policy: Policy };

/** `POST /auth/session`: returns the signed-in customer's plan, chat URL and a ticket. */
export function create(settings: Settings): Handler {
  const identify = createIdentity(settings);
  const findCustomer = createUsers(settings.usersTable);
  const sources = createSessionSources(settings);
  return jsonHandler(async (event) => {
    const { userId } = await identify(event);
    parseBody(event, NoBody);
    const now = new Date();
    const { plan } = entitlement(await findCustomer(userId), now, settings.policy);
    const correlationId = event.requestContext.requestId;
    const session = await openSession({ userId, plan, correlationId }, settings.routes[plan], sources, now);
    putMetrics({ Sessions: 1 }, { plan });
    return session;
  });
}
