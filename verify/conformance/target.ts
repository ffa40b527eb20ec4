import { decodeJwt } from "jose";
import * as z from "zod";
import { createApi, type Session } from "../../client";
import type { FixtureValues } from "../../contract/fixtures";
import { planModels } from "../../contract/plan";
import { TicketClaims } from "../../contract/ticket";
import type { Endpoint } from "./endpoint";

/** An endpoint to check, and the values for the placeholders of its fixtures. */
export interface Target {
  name: string;
  endpoint: Endpoint;
  /** Returns fixture values. The ticket stays valid for some time and accepts more jobs. Called once per fixture. */
  values(): Promise<FixtureValues>;
}

/**
 * A ticket that expires within this time is renewed first. Otherwise the ticket could expire while the request waits in
 * the queue.
 */
const RENEW_AHEAD_MS = 45_000;

const Environment = z.object({
  RUNPOD_API_KEY: z.string().min(1).optional(),
  TICKET: z.string().min(1).optional(),
  ID_TOKEN: z.string().min(1).optional(),
});

/**
 * Builds the target of a deployed endpoint from the command's options and the environment.
 *
 * @param options.url base URL of the endpoint's job API. Default: the session's endpoint
 * @param options.api auth API that creates the sessions. With `ID_TOKEN`, the sessions belong to that customer,
 * otherwise to a guest
 * @throws Error that names the missing option or variable
 */
export async function deployedTarget(
  options: { url?: string | undefined; api?: string | undefined },
  environment: NodeJS.ProcessEnv,
): Promise<Target> {
  const { RUNPOD_API_KEY: key, TICKET: ticket, ID_TOKEN: idToken } = Environment.parse(environment);
  if (options.url && !key) throw new Error("RUNPOD_API_KEY is not set: --url needs a key that may call the endpoint");
  if (!options.api && !ticket) throw new Error("TICKET is not set: --url needs a ticket, or --api to request a ticket");

  if (!options.api) {
    const endpoint = { url: withoutSlash(options.url ?? ""), authorization: `Bearer ${key}` };
    const values = valuesFromTicket(ticket ?? "");
    return { name: endpoint.url, endpoint, values: async () => values };
  }
  const api = createApi({ apiUrl: options.api, getIdToken: async () => idToken });
  const session = cachedSession(() => (idToken ? api.session() : api.guest()));
  const first = await session();
  const endpoint = {
    url: withoutSlash(options.url ?? first.inference.url),
    authorization: key ? `Bearer ${key}` : first.inference.authorization,
  };
  // The ticket for another model comes from a guest session, because only one customer is signed in. Guests always get
  // tickets for the free plan's model.
  const other = first.model === planModels.free ? undefined : cachedSession(() => api.guest());
  return { name: endpoint.url, endpoint, values: () => valuesFromSessions(session, other) };
}

const withoutSlash = (url: string): string => url.replace(/\/+$/, "");

/**
 * Returns a function that creates a session and reuses the session until it is about to expire or its ticket accepts no
 * more jobs.
 */
export function cachedSession(create: () => Promise<Session>): () => Promise<Session> {
  let jobs = 0;
  const renew = async () => {
    const session = await create();
    jobs = jobsOf(session.ticket);
    return session;
  };
  const isUsable = ({ ticket_expires_at }: Session) =>
    jobs > 0 && Date.parse(ticket_expires_at) - RENEW_AHEAD_MS > Date.now();
  let session: Promise<Session> | undefined;
  // Each caller waits for the previous caller, so concurrent callers renew an old session only once.
  return () => {
    session = (session ?? renew()).then(async (current) => {
      const usable = isUsable(current) ? current : await renew();
      jobs -= 1;
      return usable;
    });
    return session;
  };
}

/** Number of jobs that a worker accepts with the ticket. */
function jobsOf(ticket: string): number {
  return TicketClaims.parse(decodeJwt(ticket)).jobs ?? Number.POSITIVE_INFINITY;
}

/**
 * Builds fixture values from a session. `other` creates a session for another model. The worker must reject the ticket
 * of that session.
 */
export async function valuesFromSessions(
  session: () => Promise<Session>,
  other: (() => Promise<Session>) | undefined,
): Promise<FixtureValues> {
  return { ...valuesFromTicket((await session()).ticket), otherModelsTicket: (await other?.())?.ticket };
}

/**
 * Reads the model and the limits from a ticket's claims. Does not verify the signature, because the worker does that.
 *
 * @throws Error when the text is not a ticket
 */
function valuesFromTicket(ticket: string): FixtureValues {
  try {
    const { aud, limits } = TicketClaims.parse(decodeJwt(ticket));
    return { model: aud, limits, ticket };
  } catch (error) {
    throw new Error("TICKET is not a ticket: set it to the unchanged `ticket` of a session", { cause: error });
  }
}
