import type { JWK } from "jose";
import { ApiError } from "../../contract/errors";
import type { Model, Plan } from "../../contract/plan";
import type { ChatReply, VipProvider } from "../../contract/relay";
import {
  type Candidate,
  candidateUrlOf,
  endpointIdOf,
  type FindCandidate,
  isChosen,
  isTester,
} from "../core/canary/candidate";
import {
  type AttemptOptions,
  type AttemptResult,
  type Call,
  ChatAborted,
  ChatFailure,
  runAttempts,
} from "../core/relay/attempts";
import type { Cooldowns } from "../core/relay/cooldown";
import { deadlinesOf } from "../core/relay/deadlines";
import { failures } from "../core/relay/failure";
import { type Provider, type ProviderChat, ProviderFailure, type TokenUsage } from "../core/relay/provider";
import { chooseRoute, type WorkerRoute } from "../core/relay/route";
import { costMicroUsd, microUsd, type Prices } from "../core/relay/spend";
import { totalTokens, type UsageLimits, worstCase } from "../core/relay/usage";
import { signTicket, type TicketGrant } from "../core/ticket";
import type { RaiseAlarm } from "../lib/alarms";
import { shortHash } from "../lib/hash";
import { putMetrics } from "../lib/metrics";
import type { ReplyCountTable } from "../tables/replyCounts";
import type { SpendTable } from "../tables/spend";
import type { UsageTable } from "../tables/usage";
import { type ChatInput, replyTokens } from "./chatInput";
import { alternating } from "./conversation";
import { systemPrompt } from "./persona";
import { VersionWatch } from "./versionWatch";
import { createWorker, JOB_SECONDS } from "./worker";

/** Interval at which a running chat checks whether it was cancelled. */
const CANCEL_POLL_MS = 1_000;

/** Prices of a provider without configured prices, such as a model on the operator's own server. */
const FREE: Prices = { input: 0, cachedInput: 0, output: 0 };

/** Everything outside of the relay that a chat uses. */
export interface ChatServices {
  ticketIssuer: string;
  /** Reads the private JWK that signs the tickets of RunPod jobs. */
  signingKey(): Promise<JWK>;
  usage: UsageTable;
  spend: SpendTable;
  cooldowns: Cooldowns;
  limits: Record<Plan, UsageLimits>;
  /** URLs of the models' job APIs. */
  endpoints: Partial<Record<Model, string>>;
  candidate: FindCandidate;
  /** Counts the replies of both versions while a model has a candidate. */
  replyCounts: Pick<ReplyCountTable, "add">;
  /** Reads the RunPod account's API key. */
  workerKey(options?: { fresh: boolean }): Promise<string>;
  /** External LLMs that answer the vip plan, in order. */
  vipProviders(): VipProvider[];
  createProvider(name: VipProvider): Promise<Provider>;
  /** US dollars per million tokens. */
  prices: Partial<Record<Provider["name"], Prices>>;
  /** The stack's daily spend ceiling for external LLMs, in US dollars. */
  dailyUsd: number;
  alarm: RaiseAlarm;
  /** Replaces the deadlines of the providers and the waits between attempts. For tests. */
  pace?: Partial<Pick<AttemptOptions, "deadlines" | "sleep">>;
}

/** One chat of a verified ticket. */
export interface Chat {
  id: string;
  claims: Omit<TicketGrant, "iss">;
  /** Account whose usage limits apply. */
  account: string;
  input: ChatInput;
  /** Ends the chat and the call to the model. The reason of the abort must be an ApiError. */
  stop: AbortController;
  /** Keeps the invocation running until the work has ended. */
  waitUntil(work: Promise<unknown>): void;
  /**
   * Error with which an impatient reader stops the chat. Such a chat leaves its RunPod job running, so that the model
   * continues to start, and it does not count as failed.
   */
  late?: ApiError;
}

/** Receives the text of a running chat. The chat waits for a slow reader. */
export interface ChatReader {
  delta(text: string): Promise<void>;
  restart(): Promise<void>;
}

/** A reader who only wants the whole reply. */
export const silentReader: ChatReader = { delta: async () => {}, restart: async () => {} };

/** End of a chat: the reply, or the error with the text that the reader has received. */
export type ChatOutcome = { reply: ChatReply } | { error: ApiError; text: string; retryAfterMs?: number | undefined };

/**
 * Runs one chat: checks the limits, asks the models, streams the text and settles the usage. The usage is settled in
 * the background, and exactly once however the chat ends. The promise never rejects. The log gets one line, without the
 * texts.
 */
export async function runChat(chat: Chat, reader: ChatReader, services: ChatServices): Promise<ChatOutcome> {
  const startedAt = performance.now();
  const failed: string[] = [];
  const onFailure = (provider: Provider, failure: ProviderFailure) => {
    failed.push(`${provider.name}${provider.isCandidate ? " candidate" : ""} ${failure.reason}`);
    if (!failures[failure.reason].alarm || refusalOf(failure)) return;
    // After a promotion, a relay asks the deleted endpoint of the candidate until it reads the parameter again.
    if (provider.isCandidate && failure.reason === "not_found") return;
    services.alarm("relay_provider", { provider: provider.name, reason: failure.reason, cause: failure.message });
  };
  let version: VersionWatch | undefined;
  const onVersion = (watch: VersionWatch) => {
    version = watch;
  };
  const outcome = await admit(chat, reader, services, { onFailure, onVersion }).catch(failedOutcome);
  countChat(chat, outcome, failed.length);
  if (version) countVersion(version, chat, outcome, services);
  writeLog(chat, outcome, { failed, totalMs: Math.round(performance.now() - startedAt) });
  return outcome;
}

/** Receives what happens in a running chat. */
interface ChatObserver {
  onFailure(provider: Provider, failure: ProviderFailure): void;
  /** Receives the watch of the version that answers the user. Not called for a model without a candidate. */
  onVersion(watch: VersionWatch): void;
}

async function admit(
  chat: Chat,
  reader: ChatReader,
  services: ChatServices,
  { onFailure, onVersion }: ChatObserver,
): Promise<ChatOutcome> {
  const { id: chatId, account, claims } = chat;
  const now = new Date();
  const route = chooseRoute(claims, services.vipProviders(), services.endpoints);
  // This read runs in parallel with the reads below. It never rejects.
  const candidate = route.worker && services.candidate(route.worker.model);
  const external = await Promise.all(route.external.map(services.createProvider));
  const request = requestOf(chat, now);
  const worst = worstCase(request, external);
  const limits = services.limits[claims.plan];
  await services.usage.reserve({ account, owner: claims.sub, chatId, tokens: totalTokens(worst), limits }, now);

  const watch = watchCancellation(chat, services);
  let spend: Spend | undefined;
  let calls: readonly Call[] = [];
  let version: VersionWatch | undefined;
  try {
    if (external.length > 0) spend = await reserveSpend(external, worst, services, now);
    const asked = route.worker ? workersOf(route.worker, await candidate, chat, services) : { workers: [] };
    version = asked.version;
    if (version) onVersion(version);
    const { workers } = asked;
    const providers = [...(spend ? external : []), ...workers];
    if (providers.length === 0) throw new ApiError("unavailable", undefined, { cause: "no worker, and no spend left" });
    const result = await stream(chat, reader, { providers, chat: request, onFailure }, services);
    calls = result.calls;
    return { reply: replyOf(chat, result) };
  } catch (error) {
    if (error instanceof ChatFailure || error instanceof ChatAborted) calls = error.calls;
    throw error;
  } finally {
    clearInterval(watch);
    if (version) version.calls = calls;
    const paid = calls.filter(({ provider, failure }) => !(provider.isCandidate && failure));
    const tokens = paid.reduce((sum, { usage }) => sum + totalTokens(usage), 0);
    // A reservation that is not settled expires by itself.
    const alarmUnsettled = () => services.alarm("usage_not_settled");
    chat.waitUntil(services.usage.settle({ account, chatId, tokens }, new Date()).catch(alarmUnsettled));
    if (spend) chat.waitUntil(spend.settle(calls).catch(alarmUnsettled));
  }
}

function requestOf({ input, claims }: Chat, now: Date): ProviderChat {
  const { max_tokens: _, ...sampling } = input.params;
  return {
    messages: alternating(input.messages),
    maxTokens: replyTokens(input, claims.limits),
    sampling,
    system: systemPrompt(now),
    userHash: shortHash(claims.sub),
  };
}

/**
 * Stops the chat soon after it was marked as cancelled. The mark is needed because Lambda does not notice that a client
 * has disconnected.
 */
function watchCancellation({ id: chatId, account, stop }: Chat, { usage }: ChatServices): NodeJS.Timeout {
  const look = async () => {
    if (await usage.isCancelled({ account, chatId })) stop.abort(new ApiError("cancelled"));
  };
  // A failed check is repeated one interval later.
  return setInterval(() => void look().catch(() => {}), CANCEL_POLL_MS);
}

/** A part of the daily spend ceiling that is reserved for one chat. */
interface Spend {
  /** Replaces the reservation by the costs of the calls. */
  settle(calls: readonly Call[]): Promise<void>;
}

/** Reserves the maximum costs of one call. Returns undefined, with an alarm, when the daily ceiling is reached. */
async function reserveSpend(
  providers: readonly Provider[],
  worst: TokenUsage,
  { spend, prices, dailyUsd, alarm }: ChatServices,
  now: Date,
): Promise<Spend | undefined> {
  const costOf = (usage: TokenUsage, name: Provider["name"]) => costMicroUsd(usage, prices[name] ?? FREE);
  const reserved = Math.max(...providers.map(({ name }) => costOf(worst, name)));
  if (!(await spend.reserve(reserved, microUsd(dailyUsd), now))) {
    alarm("vip_spend_ceiling");
    return undefined;
  }
  return {
    settle: (calls) => {
      const costs = calls.reduce((sum, { provider, usage }) => sum + costOf(usage, provider.name), 0);
      return spend.settle({ reserved, costs }, now);
    },
  };
}

/**
 * GPU workers that answer a user, in order: the candidate's workers if the user is chosen, and then the released
 * workers. With a candidate, also returns the watch of the version that was chosen for the user. A chat with `late`
 * never gets the candidate, because each of its requests is a new guest, and the version would change between the
 * requests.
 */
function workersOf(
  route: WorkerRoute,
  candidate: Candidate | undefined,
  chat: Chat,
  services: ChatServices,
): { workers: Provider[]; version?: VersionWatch } {
  const { model } = route;
  if (!candidate) return { workers: [workerOf(route, chat, services)] };
  const { image } = candidate;
  const { sub } = chat.claims;
  const isOfCandidate = !chat.late && isChosen(model, candidate, sub);
  const version = new VersionWatch({ model, ...(isOfCandidate && { image }) }, isTester(candidate, sub));
  const { observe: onOutput, start: onStart } = version;
  const released = (more: Partial<EndpointOptions>) => workerOf({ ...route, isBound: true, ...more }, chat, services);
  if (!isOfCandidate) return { workers: [released({ onOutput, onStart })], version };
  const url = candidateUrlOf(route.url, candidate);
  const own = workerOf({ model, url, isCandidate: true, isBound: true, onOutput, onStart }, chat, services);
  return { workers: [own, released({})], version };
}

/** An endpoint that answers a chat. */
interface EndpointOptions extends WorkerRoute {
  isCandidate?: boolean;
  /** Whether no other endpoint accepts the job's ticket. */
  isBound?: boolean;
  onOutput?: VersionWatch["observe"];
  onStart?: VersionWatch["start"];
}

/**
 * GPU workers of one endpoint of the plan's model. The relay signs a ticket for the job, because the customer's ticket may
 * expire while the job waits for a worker to start.
 */
function workerOf(
  { model, url, isCandidate = false, isBound = false, onOutput, onStart }: EndpointOptions,
  chat: Chat,
  services: ChatServices,
): Provider {
  const { input, id, claims, waitUntil, late } = chat;
  const { sub, aud, plan, limits, correlation_id } = claims;
  const grant = {
    iss: services.ticketIssuer,
    sub,
    aud,
    plan,
    limits,
    ...(correlation_id && { correlation_id }),
    ...(isBound && { endpoint: endpointIdOf(url) }),
  };
  const params = { ...input.params, max_tokens: replyTokens(input, claims.limits) };
  return createWorker({
    model,
    isCandidate,
    url,
    apiKey: services.workerKey,
    ticket: async () => (await signTicket(grant, await services.signingKey(), new Date(), JOB_SECONDS)).ticket,
    input: { messages: input.messages, params, request_id: input.requestId ?? id },
    waitUntil,
    keepJob: late !== undefined,
    ...(onOutput && { onOutput }),
    ...(onStart && { onStart }),
  });
}

async function stream(
  { stop }: Chat,
  reader: ChatReader,
  ask: Pick<AttemptOptions, "providers" | "chat" | "onFailure">,
  { cooldowns, pace }: ChatServices,
): Promise<AttemptResult> {
  const attempts = runAttempts({ ...ask, deadlines: deadlinesOf, ...pace, cooldowns, signal: stop.signal });
  for (;;) {
    const { value, done } = await attempts.next();
    if (done) return value;
    const shown = "delta" in value ? reader.delta(value.delta) : reader.restart();
    // After the abort, the next call of `next` throws ChatAborted, which has the used tokens.
    await shown.catch(() => stop.abort(new ApiError("internal")));
  }
}

function replyOf({ id, claims }: Chat, result: AttemptResult): ChatReply {
  return {
    id,
    text: result.text,
    finish_reason: result.finishReason,
    usage: result.usage,
    provider: result.provider,
    model: { plan: claims.plan, name: result.model, version: result.version },
    timings: { ttft_ms: result.ttftMs, total_ms: result.totalMs },
    attempts: result.attempts,
    ...(result.restarted && { restarted: true }),
  };
}

/** Converts the error that ended a chat. A worker's refusal of the customer's input keeps its code and its text. */
function failedOutcome(error: unknown): ChatOutcome {
  if (error instanceof ChatAborted) return { ...failedOutcome(error.cause), text: error.text };
  if (!(error instanceof ChatFailure)) return { error: toApiError(error), text: "" };
  const { code, text, retryAfterMs, cause } = error;
  return { error: refusalOf(cause) ?? new ApiError(code, undefined, { cause }), text, retryAfterMs };
}

/** Returns the worker's error if the worker has refused the customer's own input or ticket. */
function refusalOf(failure: unknown): ApiError | undefined {
  if (!(failure instanceof ProviderFailure) || failure.reason !== "invalid_request") return undefined;
  return failure.cause instanceof ApiError ? failure.cause : undefined;
}

/** The error itself if it may reach a client, otherwise `internal`. */
export function toApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError("internal", undefined, { cause: error });
}

/**
 * Publishes the metrics of a chat. Only a reply and a failure of ours count for the share of failed chats: refused and
 * cancelled chats would hide an outage.
 */
function countChat(chat: Chat, outcome: ChatOutcome, failedCalls: number): void {
  const fallbacks = failedCalls > 0 && { RelayFallbacks: failedCalls };
  if ("error" in outcome) {
    const isFailure = isOurs(outcome, chat);
    if (isFailure || fallbacks) putMetrics({ ...(isFailure && { ChatFailed: 1 }), ...fallbacks });
    return;
  }
  const { provider, timings, usage } = outcome.reply;
  putMetrics({
    ChatFailed: 0,
    ...fallbacks,
    PromptTokens: usage.prompt_tokens,
    CachedTokens: usage.cached_tokens ?? 0,
    ReplyTokens: usage.completion_tokens,
  });
  putMetrics({ FirstTextMs: timings.ttft_ms }, { route: provider === "runpod" ? chat.claims.aud : "vip" });
}

/** Counts a reply or a failure of ours for the version that had to answer. Never fails a chat. */
function countVersion(version: VersionWatch, chat: Chat, outcome: ChatOutcome, { replyCounts }: ChatServices): void {
  const isReply = "reply" in outcome;
  const counts = isReply || isOurs(outcome, chat) ? version.counts(isReply) : undefined;
  if (!counts) return;
  const { model, image } = version.version;
  const added = replyCounts.add(version.version, counts, new Date()).catch((error: unknown) => {
    console.error({ candidate: model, image, count: "failed", cause: causeForLog(error) });
  });
  chat.waitUntil(added);
}

/** Whether an error is a failure of ours. Refused and cancelled chats, and impatient readers, are not. */
function isOurs(outcome: Extract<ChatOutcome, { error: ApiError }>, { late }: Chat): boolean {
  return outcome.error.status >= 500 && outcome.error !== late;
}

function writeLog(
  { id, claims: { sub, plan, correlation_id } }: Chat,
  outcome: ChatOutcome,
  counts: { failed: string[]; totalMs: number },
): void {
  const line = {
    chat: id,
    ...(correlation_id && { correlation: correlation_id }),
    user: shortHash(sub),
    plan,
    ...counts,
  };
  if ("error" in outcome) {
    const { code, status, cause } = outcome.error;
    const write = status >= 500 ? console.error : console.info;
    write({
      ...line,
      code,
      characters: outcome.text.length,
      ...(cause !== undefined && { cause: causeForLog(cause) }),
    });
    return;
  }
  const { provider, model, usage, attempts, timings, finish_reason } = outcome.reply;
  console.info({ ...line, code: "ok", provider, model: model.version, finish_reason, attempts, usage, timings });
}

/**
 * Describes a cause for the log. Omits the messages of errors that are not ours, because they may repeat a customer's
 * text.
 */
export function causeForLog(cause: unknown): string {
  if (typeof cause === "string") return cause;
  if (cause instanceof ProviderFailure) return cause.message;
  if (!(cause instanceof Error)) return typeof cause;
  return `${cause.name} ${
    cause.stack
      ?.split("\n")
      .find((line) => line.includes(" at "))
      ?.trim() ?? ""
  }`;
}
