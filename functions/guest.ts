import { randomUUID } from "node:crypto";
import type { JSONWebKeySet } from "jose";
import { guestPrefix } from "../contract/ticket";
import { openSession, type Route } from "./core/session";
import { createTicketReader, type TicketReader } from "./core/ticket";
import { bearerToken } from "./lib/bearer";
import { householdHash } from "./lib/household";
import { type Handler, jsonHandler, NoBody, parseBody, type Request } from "./lib/http";
import { putMetrics } from "./lib/metrics";
import { createSessionSources, type SessionSettings } from "./lib/sessionSources";
import { createRateLimiter } from "./tables/rateLimits";

/** Settings of `POST /auth/guest`. */
export type Settings = SessionSettings & {
  /** Public keys of the tickets: the JSON text of a JWKS. */
  ticketJwks: string;
  route: Route;
  ephemeralTable: string;
  /** New guests per hour and household. */
  sessionsPerHour: number;
};

/** Time after which a returning guest counts as a new guest. The limit of new guests has the same window. */
const REMEMBERED_SECONDS = 3_600;
/**
 * A client renews a session every 110 s, and after a rejected ticket. More renewals mean that several people share a
 * ticket.
 */
const renewals = { limit: 120, windowSeconds: 3_600 };

/**
 * `POST /auth/guest`: a free session for someone not signed in. The number of new guests is limited per household. A
 * caller with an earlier guest ticket stays the same guest and does not count again.
 */
export function create(settings: Settings): Handler {
  const count = createRateLimiter(settings.ephemeralTable);
  const sources = createSessionSources(settings);
  const readTicket = createTicketReader({
    jwks: JSON.parse(settings.ticketJwks) as JSONWebKeySet,
    issuer: settings.ticketIssuer,
  });
  return jsonHandler(async (event) => {
    parseBody(event, NoBody);
    const now = new Date();
    const known = await knownGuest(event, readTicket, now);
    const household = householdHash(event.requestContext.http.sourceIp);
    if (known) await count(`guest-renewal#${known}`, renewals, now);
    else await count(`guest#${household}`, { limit: settings.sessionsPerHour, windowSeconds: 3_600 }, now);
    const userId = known ?? `${guestPrefix}${randomUUID()}`;
    const correlationId = event.requestContext.requestId;
    const session = await openSession({ userId, plan: "free", correlationId, household }, settings.route, sources, now);
    putMetrics({ Sessions: 1 }, { plan: "free" });
    return session;
  });
}

/**
 * Returns the user id of the guest whose ticket the caller sends. Undefined for any other ticket, such as a customer's
 * ticket. A customer who has signed out is therefore a new guest.
 */
async function knownGuest(event: Request, readTicket: TicketReader, now: Date): Promise<string | undefined> {
  const ticket = bearerToken(event.headers.authorization);
  const claims = await readTicket(ticket, { now, graceSeconds: REMEMBERED_SECONDS }).catch(() => undefined);
  return claims?.sub.startsWith(guestPrefix) ? claims.sub : undefined;
}
