import pRetry from "p-retry";
import { ApiProblem, createApi, type Session } from "../../client";
import { forgedTicket, withTicket } from "../visitor/tickets";
import { type Reply, refusal, talk } from "./smokeChat";

/** Time for the first worker to start: RunPod pulls the image and the model loads. */
const COLD_START_LIMIT_MS = 15 * 60_000;
const RETRY_AFTER_MS = 5_000;

/** Output of `npm run smoke -- --url … --json`. It contains no secret. */
export interface DeployedResult {
  /** Base URL of the API. */
  url: string;
  /** One chat of a guest. If `ID_TOKEN` is set, also one chat of its customer. */
  chats: (Reply & { who: "guest" | "customer"; plan: string; model: string; inference: string })[];
  /** Error code of each refused request. */
  refused: Record<"planWithoutToken" | "noTicket" | "forged", string>;
}

/**
 * Chats with a deployed stack as a guest, and as the customer of an ID token, and sends requests that must be refused.
 * Waits while a worker starts.
 *
 * @param url base URL of the API: the stack output `apiUrl`
 * @param idToken ID token of a customer; undefined chats only as a guest
 * @throws Error when a step has an unexpected result
 */
export async function walkDeployed(
  url: string,
  idToken: string | undefined,
  say: (line: string) => void,
): Promise<DeployedResult> {
  const api = createApi({ apiUrl: url, getIdToken: async () => idToken });
  const chats: DeployedResult["chats"] = [];
  say("chatting as a guest");
  const guest = await api.guest();
  chats.push({ who: "guest", ...(await chatWith(guest, () => api.guest(), say)) });
  if (idToken) {
    say("chatting as the customer of ID_TOKEN");
    chats.push({ who: "customer", ...(await chatWith(await api.session(), () => api.session(), say)) });
  }
  say("sending requests that must be refused");
  const session = await api.guest();
  return {
    url,
    chats,
    refused: {
      planWithoutToken: await planWithoutToken(url),
      noTicket: await refusal(withTicket(session, ""), "ticket_missing"),
      forged: await refusal(withTicket(session, await forgedTicket(session)), "ticket_invalid"),
    },
  };
}

/** Chats. After a retryable error, chats again with a new session, because a worker may be starting. */
async function chatWith(first: Session, renew: () => Promise<Session>, say: (line: string) => void) {
  let session = first;
  const reply = await pRetry(
    async (attempt) => {
      if (attempt > 1) session = await renew();
      return await talk(session);
    },
    {
      retries: COLD_START_LIMIT_MS / RETRY_AFTER_MS,
      minTimeout: RETRY_AFTER_MS,
      factor: 1,
      randomize: true,
      maxRetryTime: COLD_START_LIMIT_MS,
      shouldRetry: ({ error }) => error instanceof ApiProblem && error.retryable,
      onFailedAttempt: ({ error }) => say(`no reply yet (${error.message})`),
    },
  );
  const { plan, model, inference } = session;
  return { plan, model, inference: inference.kind ?? "runpod", ...reply };
}

/** Requests the plan without a token, which the API must refuse. Returns the error code. */
async function planWithoutToken(url: string): Promise<string> {
  const api = createApi({ apiUrl: url, getIdToken: async () => "not-a-token" });
  const code = await api.plan().then(
    () => "an answer",
    (error: unknown) => (error instanceof ApiProblem ? error.code : String(error)),
  );
  if (code !== "unauthorized") throw new Error(`GET /billing/plan without a token: expected unauthorized, got ${code}`);
  return code;
}
