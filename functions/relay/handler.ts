import { randomUUID } from "node:crypto";
import type { Writable } from "node:stream";
import { ApiError } from "../../contract/errors";
import type { CancelResponse } from "../../contract/relay";
import { guestPrefix, type TicketClaims } from "../../contract/ticket";
import { mamaSentence } from "../core/relay/mama";
import type { TicketReader } from "../core/ticket";
import { Background } from "../lib/background";
import { householdHash } from "../lib/household";
import { putMetrics } from "../lib/metrics";
import type { StreamAnswer, StreamRequest } from "../lib/streaming";
import { type ChatServices, causeForLog, runChat, silentReader, toApiError } from "./chat";
import { checkLimits } from "./chatInput";
import { answerLegacy } from "./legacy";
import { eventReply, jsonReply, type ReplyOptions, retryAfter, sendJson } from "./reply";
import { type RelayRequest, readRequest } from "./request";

/** Time at the end of an invocation that is reserved for sending the error and settling the usage. */
const END_MS = 15_000;
/** A chat may last longer than its ticket, so an expired ticket can still cancel the chat. */
const CANCEL_GRACE_SECONDS = 600;

/** Services of the relay. */
export interface RelayServices extends ChatServices {
  readTicket: TicketReader;
  /** Replaces the default times of an answer. For tests. */
  times?: Pick<ReplyOptions, "waitingAfterMs" | "heartbeatMs"> & { legacyAnswerAfterMs?: number };
}

/** One request with the objects of its invocation. */
interface Invocation {
  event: StreamRequest;
  response: Writable;
  /** Ends the chat when it is cancelled, or shortly before Lambda's timeout. */
  stop: AbortController;
  waitUntil(work: Promise<unknown>): void;
}

/** Creates the relay's handler: `POST /chat` and `POST /chat/<id>/cancel`. */
export function createRelay(services: RelayServices): StreamAnswer {
  return async (event, response, context) => {
    const stop = new AbortController();
    const timeLeftMs = Math.max(0, context.getRemainingTimeInMillis() - END_MS);
    const timer = setTimeout(() => stop.abort(new ApiError("timeout")), timeLeftMs);
    const background = new Background();
    let request: RelayRequest | undefined;
    try {
      request = readRequest(event);
      await answer(request, { event, response, stop, waitUntil: background.add }, services);
    } catch (thrown) {
      await refuse(toApiError(thrown), request?.kind, response);
    } finally {
      clearTimeout(timer);
      await background.ended();
    }
  };
}

async function answer(request: RelayRequest, invocation: Invocation, services: RelayServices): Promise<void> {
  const { event, response, stop, waitUntil } = invocation;
  switch (request.kind) {
    case "chat":
      return answerChat(request, invocation, services);
    case "cancel":
      return sendJson(response, 200, await cancel(request, event, services));
    case "legacy": {
      const { legacyAnswerAfterMs: answerAfterMs } = services.times ?? {};
      const chat = { body: request.body, account: guestAccount(event), stop, waitUntil };
      return answerLegacy({ ...chat, ...(answerAfterMs && { answerAfterMs }) }, response, services);
    }
  }
}

async function answerChat(
  { input, ticket, format }: Extract<RelayRequest, { kind: "chat" }>,
  { event, response, stop, waitUntil }: Invocation,
  services: RelayServices,
): Promise<void> {
  const claims = await services.readTicket(ticket);
  checkLimits(input, claims.limits);
  const id = input.id ?? randomUUID();
  const options = { signal: stop.signal, headers: { "x-request-id": id }, ...services.times };
  const reply = format === "events" ? eventReply(response, options) : jsonReply(response, options);
  const chat = { id, claims, account: accountOf(claims, event), input, stop, waitUntil };
  const outcome = await runChat(chat, input.stream ? reply : silentReader, services);
  if ("reply" in outcome) reply.done(outcome.reply);
  else reply.fail(outcome.error, { ...outcome, message: sentenceOf(outcome.error) });
  await reply.end();
}

async function cancel(
  { id, ticket }: Extract<RelayRequest, { kind: "cancel" }>,
  event: StreamRequest,
  { readTicket, usage }: RelayServices,
): Promise<CancelResponse> {
  const claims = await readTicket(ticket, { graceSeconds: CANCEL_GRACE_SECONDS });
  await usage.cancel({ account: accountOf(claims, event), owner: claims.sub, chatId: id }, new Date());
  return { id, cancelled: true };
}

/** Usage account of a ticket. Guests share their household's account, because anyone can become a new guest. */
function accountOf({ sub, household }: TicketClaims, event: StreamRequest): string {
  return sub.startsWith(guestPrefix) ? guestAccount(event, household) : `user#${sub}`;
}

/** Uses the ticket's household, because the request may come from an address of CloudFront. */
function guestAccount({ requestContext }: StreamRequest, household?: string): string {
  return `guest#${household ?? householdHash(requestContext.http.sourceIp)}`;
}

/**
 * Sends the error of a request that did not become a chat. The path is not logged, because the sender chooses its text.
 */
async function refuse(error: ApiError, request: RelayRequest["kind"] | undefined, response: Writable): Promise<void> {
  const { code, status, cause } = error;
  const line = { request, code };
  if (status >= 500) console.error({ ...line, cause: causeForLog(cause) });
  else console.info(line);
  if (status >= 500 && request !== "cancel") putMetrics({ ChatFailed: 1 });
  const message = sentenceOf(error);
  await sendJson(response, error.status, { ...error.body, ...(message && { message }) }, retryAfter(error));
}

/** Mama's sentence for an error that the frontend shows as her words. Undefined for all other errors. */
function sentenceOf({ code }: ApiError): string | undefined {
  return code === "rate_limited" ? mamaSentence(code) : undefined;
}
