import { doneOf, errorOf, type Seen, shownText } from "./seen";
import { wholeReply } from "./wire/fault";
import type { SeenRequest } from "./wire/faultyServer";
import { GARBAGE } from "./wire/wire";

/** Character that marks the tokens of each provider. */
export const marks = { primary: "桃", fallback: "梨" };

/** A problem as text, or undefined when the check finds no problem. */
export type Problem = string | undefined;

/** Checks every chat, with any fault. Returns all problems. */
export function checkAlways(seen: Seen): Problem[] {
  const { reply, primary, fallback } = seen;
  const ends = reply.items.filter((item) => "done" in item || "error" in item);
  const last = reply.items.at(-1);
  const invalid = [...primary, ...fallback].find(({ fault }) => fault === "invalid");
  return [
    problemIf(
      ends.length !== 1 || ends[0] !== last,
      `must end with its only done or error item, but has ${ends.length} such items`,
    ),
    problemIf(JSON.stringify(reply.items).includes(GARBAGE), "the text of a malformed event reached the caller"),
    problemIf(invalid, `sent an invalid request: ${JSON.stringify(invalid?.refusal?.body)}`),
    problemIf(reply.billedTokens.length !== 1, `settled the usage ${reply.billedTokens.length} times instead of once`),
    ...checkDone(seen),
    ...[...primary, ...fallback].map(checkReleased),
  ];
}

/**
 * Checks a reply that claims to be complete. The reply must be whole and from one model. It must report only this model
 * and this model's usage.
 */
function checkDone({ reply, primary, fallback }: Seen): Problem[] {
  const done = doneOf(reply);
  if (!done) return [];
  const requests = [...primary, ...fallback];
  const shared = [
    problemIf(done.attempts !== requests.length, `reports ${done.attempts} attempts after ${requests.length} requests`),
    problemIf(done.text !== shownText(reply), "the text of the last item differs from the deltas"),
    problemIf(done.usage.completion_tokens < 1, "reports no usage"),
  ];
  if (done.finish_reason === "filter") return shared;
  const answered = done.text === wholeReply(marks.primary) ? primary.at(-1) : fallback.at(-1);
  const isWhole = Object.values(marks).some((mark) => done.text === wholeReply(mark));
  return [
    ...shared,
    problemIf(!isWhole, `an incomplete text of ${done.text.length} characters claims to be complete`),
    problemIf(
      answered && !isUsageOf(done.usage, answered),
      `usage ${JSON.stringify(done.usage)} includes a failed attempt`,
    ),
  ];
}

/** Checks that the relay bills only the answer. A failed attempt without text must not be billed. */
export function billedOnce({ reply }: Seen): Problem {
  const { usage } = doneOf(reply) ?? {};
  const used = usage ? usage.prompt_tokens + usage.completion_tokens : 0;
  return problemIf(reply.billedTokens[0] !== used, `billed ${reply.billedTokens} tokens, used ${used}`);
}

/**
 * Whether a usage matches the answered request. Each character of the prompt counts as one token, and each token of the
 * reply too. The usage of an unterminated reply is an estimate, so any number is right.
 */
function isUsageOf(usage: { prompt_tokens: number; completion_tokens: number }, request: SeenRequest): boolean {
  if (request.fault === "unterminated") return usage.completion_tokens > 0;
  return usage.prompt_tokens === Math.max(2, request.promptChars) && usage.completion_tokens === request.tokens;
}

/** Checks that the relay closes a hanging request when the chat ends. */
function checkReleased(request: SeenRequest): Problem {
  const hangs = ["silent", "slow", "stall"].includes(request.fault) && !request.complete;
  return problemIf(
    hangs && request.abandonedAtMs === undefined,
    `the ${request.fault} request stayed open after the end of the chat`,
  );
}

/**
 * Checks that the caller gets a whole reply. With `by`, the reply must come from this provider. Without a second
 * provider, a clean error is also allowed.
 */
export function answered(seen: Seen, by?: "primary" | "fallback"): Problem {
  const done = doneOf(seen.reply);
  if (!done) return problemIf(!seen.isOneRoute, `not answered: ${errorOf(seen.reply) ?? "no error"}`);
  if (!by || seen.isOneRoute) return undefined;
  return problemIf(done.text !== wholeReply(marks[by]), `not answered by the ${by}`);
}

/**
 * Checks that the chat ends within a time limit. A scaled run gets half a second more, because the delays of a busy
 * machine do not scale.
 */
export function within({ reply, scale }: Seen, limitMs: number): Problem {
  const slackMs = scale > 1 ? 500 * scale : 0;
  return problemIf(reply.totalMs > limitMs + slackMs, `took ${Math.round(reply.totalMs)} ms, limit ${limitMs} ms`);
}

/** Checks that the faulty provider gets at most this number of requests. */
export function atMost({ primary }: Seen, requests: number): Problem {
  return problemIf(primary.length > requests, `${primary.length} requests, limit ${requests}`);
}

/** Returns the message when the condition is true. */
export function problemIf(condition: unknown, message: string): Problem {
  return condition ? message : undefined;
}
