import { decodeJwt } from "jose";
import * as z from "zod";
import { createApi, type Session } from "../../client";
import type { Values } from "../../contract/fixtures";
import { planModels } from "../../contract/plan";
import { TicketClaims } from "../../contract/ticket";
import type { Endpoint } from "./deployed";

/** An endpoint to hold against the contract, and what its requests need. */
export interface Target {
  name: string;
  endpoint: Endpoint;
  /** With a ticket that is good for a while. */
  values(): Promise<Values>;
}

/** A ticket this close to its end is not sent any more: it would not outlive the queue. */
const RENEW_AHEAD_MS = 45_000;

const Environment = z.object({
  RUNPOD_API_KEY: z.string().min(1).optional(),
  TICKET: z.string().min(1).optional(),
  ID_TOKEN: z.string().min(1).optional(),
});

/**
 * A deployed endpoint, as the command's options and environment name it.
 *
 * @param given.url base of its job API; without one the session says where
 * @param given.api auth API to ask for sessions: a guest's, or those of the customer whose `ID_TOKEN` there is
 * @throws Error naming the option or variable that is missing
 */
export async function deployedTarget(
  given: { url?: string | undefined; api?: string | undefined },
  environment: NodeJS.ProcessEnv,
): Promise<Target> {
  const { RUNPOD_API_KEY: key, TICKET: ticket, ID_TOKEN: idToken } = Environment.parse(environment);
  if (given.url && !key) throw new Error("RUNPOD_API_KEY is not set: --url needs a key that may call the endpoint");
  if (!given.api && !ticket) throw new Error("TICKET is not set: --url needs a ticket, or --api to ask for one");

  if (!given.api) {
    const endpoint = { url: trimmed(given.url ?? ""), authorization: `Bearer ${key}` };
    const values = valuesOf(ticket ?? "");
    return { name: endpoint.url, endpoint, values: async () => values };
  }
  const api = createApi({ apiUrl: given.api, getIdToken: async () => idToken });
  const session = renewed(() => (idToken ? api.session() : api.guest()));
  const { model, inference } = await session();
  const endpoint = {
    url: trimmed(given.url ?? inference.url),
    authorization: key ? `Bearer ${key}` : inference.authorization,
  };
  // Only guests' tickets can be had without being somebody, and they are for the free plan's model.
  const other = model === planModels.free ? undefined : renewed(() => api.guest());
  return { name: endpoint.url, endpoint, values: () => valuesOfSessions(session, other) };
}

const trimmed = (url: string): string => url.replace(/\/+$/, "");

/** Gives one session until it is about to end, then another. */
export function renewed(make: () => Promise<Session>): () => Promise<Session> {
  const lasts = ({ ticket_expires_at }: Session) => Date.parse(ticket_expires_at) - RENEW_AHEAD_MS > Date.now();
  let session: Promise<Session> | undefined;
  // Each caller waits for the one before it: only one of several that find an old session makes a new one.
  return () => {
    session = (session ?? make()).then((current) => (lasts(current) ? current : make()));
    return session;
  };
}

/** The values of a session, and the ticket of one for the other model. */
export async function valuesOfSessions(
  session: () => Promise<Session>,
  other: (() => Promise<Session>) | undefined,
): Promise<Values> {
  return { ...valuesOf((await session()).ticket), otherModelsTicket: (await other?.())?.ticket };
}

/**
 * Model and limits as the ticket says them; whether it is genuine is the worker's to find out.
 *
 * @throws Error when it says nothing of the kind
 */
function valuesOf(ticket: string): Values {
  try {
    const { aud, limits } = TicketClaims.parse(decodeJwt(ticket));
    return { model: aud, limits, ticket };
  } catch (error) {
    throw new Error("TICKET is no ticket: a session's `ticket` is allowed, as it is", { cause: error });
  }
}
