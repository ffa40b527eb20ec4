import { createHash, randomUUID } from "node:crypto";
import { openSession } from "./core/session";
import { type Handler, jsonHandler, NoBody, parseBody } from "./lib/http";
import { createSessionSources, type SessionSettings } from "./lib/sessionSources";
import { createRateLimiter } from "./tables/rateLimits";

/** Settings of `POST /auth/guest`. */
export type Settings = SessionSettings & { ephemeralTable: string; sessionsPerHour: number };

/** `POST /auth/guest`: a free session for someone not signed in, limited per address. */
export function create(settings: Settings): Handler {
  const count = createRateLimiter(settings.ephemeralTable);
  const sources = createSessionSources(settings);
  return jsonHandler(async (event) => {
    parseBody(event, NoBody);
    const now = new Date();
    const caller = householdHash(event.requestContext.http.sourceIp);
    await count(`guest#${caller}`, { limit: settings.sessionsPerHour, windowSeconds: 3_600 }, now);
    return openSession({ userId: `guest:${randomUUID()}`, plan: "free" }, sources, now);
  });
}

/** Rate limits count per household: one IPv4 address or one IPv6 /64. Hashed, so that the table holds no addresses. */
function householdHash(address: string): string {
  const household = address.includes(":") ? ipv6Groups(address).slice(0, 4).join(":") : address;
  return createHash("sha256").update(household).digest("base64url").slice(0, 22);
}

/** Expands an IPv6 address to its eight groups. */
function ipv6Groups(address: string): string[] {
  const [head = [], tail = []] = address.split("::").map((half) => half.split(":").filter(Boolean));
  return [...head, ...Array<string>(Math.max(0, 8 - head.length - tail.length)).fill("0"), ...tail];
}
