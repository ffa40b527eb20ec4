import { randomUUID } from "node:crypto";
import { openSession, type Route } from "./core/session";
import { householdHash } from "./lib/household";
import { type Handler, jsonHandler, NoBody, parseBody } from "./lib/http";
import { createSessionSources, type SessionSettings } from "./lib/sessionSources";
import { createRateLimiter } from "./tables/rateLimits";

/** Settings of `POST /auth/guest`. */
export type Settings = SessionSettings & { route: Route; ephemeralTable: string; sessionsPerHour: number };

/** `POST /auth/guest`: a free session for someone not signed in, limited per address. */
export function create(settings: Settings): Handler {
  const count = createRateLimiter(settings.ephemeralTable);
  const sources = createSessionSources(settings);
  return jsonHandler(async (event) => {
    parseBody(event, NoBody);
    const now = new Date();
    const caller = householdHash(event.requestContext.http.sourceIp);
    await count(`guest#${caller}`, { limit: settings.sessionsPerHour, windowSeconds: 3_600 }, now);
    return openSession({ userId: `guest:${randomUUID()}`, plan: "free" }, settings.route, sources, now);
  });
}
