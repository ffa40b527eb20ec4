import { wholeReply } from "./fault";
import type { SeenRequest } from "./faultyProvider";
import { doneOf, errorOf, type Seen, shownText } from "./seen";
import { GARBAGE } from "./wire/wire";

/** Character that marks the tokens of each provider. */
export const marks = { primary: "桃", fallback: "梨" };

/** A problem as text, or undefined when the check passes. */
export type Problem = string | undefined;

/** Checks that hold for every chat, whatever its fault. */
export function checkAlways(seen: Seen): Problem[] {
  const { reply, primary, fallback } = seen;
  const ends = reply.items.filter((item) => "done" in item || "error" in item);
  const last = reply.items.at(-1);
  const invalid = [...primary, ...fallback].find(({ fault }) => fault === "invalid");
  return [
    problemIf(ends.length !== 1 || ends[0] !== last, `${ends.length} items with done or error at the end`),
    problemIf(JSON.stringify(reply.items).includes(GARBAGE), "the text of a malformed event reached the caller"),
    problemIf(invalid, `sent an invalid request: ${JSON.stringify(invalid?.refusal?.body)}`),
    problemIf(reply.billedTokens.length !== 1, `settled the usage ${reply.billedTokens.length} times`),
    ...checkDone(seen),
    ...[...primary, ...fallback].map(checkReleased),
  ];
}

/** A reply that claims to be complete is whole, by one model, and reports this model and its usage only. */
function checkDone({ reply, primary, fallback }: Seen): Problem[] {
  const done = doneOf(reply);
  if (!done) return [];
  const requests = [...primary, ...fallback];
  const shared = [
    problemIf(done.attempts !== requests.length, `reports ${done.attempts} attempts of ${requests.length}`),
    problemIf(done.text !== shownText(reply), "the last item has another text than the deltas"),
    problemIf(done.usage.completion_tokens < 1, "reports no usage"),
  ];
  if (done.finish_reason === "filter") return shared;
  const answered = done.text === wholeReply(marks.primary) ? primary.at(-1) : fallback.at(-1);
  const isWhole = Object.values(marks).some((mark) => done.text === wholeReply(mark));
  return [
    ...shared,
    problemIf(!isWhole, `an incomplete text of ${done.text.length} characters is presented as complete`),
    problemIf(
      answered && !isUsageOf(done.usage, answered),
      `usage ${JSON.stringify(done.usage)} includes a failed attempt`,
    ),
  ];
}

/** The account pays for the answer only: no failed attempt that gave no text. */
export function billedOnce({ reply }: Seen): Problem {
  const { usage } = doneOf(reply) ?? {};
  const used = usage ? usage.prompt_tokens + usage.completion_tokens : 0;
  return problemIf(reply.billedTokens[0] !== used, `billed ${reply.billedTokens} tokens for ${used}`);
}

/** The providers count one token per character of the prompt, and 60 per reply. An estimate may differ. */
function isUsageOf(usage: { prompt_tokens: number; completion_tokens: number }, request: SeenRequest): boolean {
  if (request.fault === "unterminated") return usage.completion_tokens > 0;
  return usage.prompt_tokens === Math.max(2, request.promptChars) && usage.completion_tokens === request.tokens;
}

/** A request that hangs must not outlive its chat. */
function checkReleased(request: SeenRequest): Problem {
  const hangs = ["silent", "slow", "stall"].includes(request.fault) && !request.complete;
  return problemIf(
    hangs && request.abandonedAtMs === undefined,
    `the ${request.fault} request stayed open after the end of the chat`,
  );
}

/** The caller gets a whole reply, from `by` if given. Without a second provider, a clean error is allowed. */
export function answered(seen: Seen, by?: "primary" | "fallback"): Problem {
  const done = doneOf(seen.reply);
  if (!done) return problemIf(!seen.isOneRoute, `not answered: ${errorOf(seen.reply) ?? "no error"}`);
  if (!by || seen.isOneRoute) return undefined;
  return problemIf(done.text !== wholeReply(marks[by]), `not answered by the ${by}`);
}

/** The chat ends within a time. A fast run allows half a second more, because a busy machine does not scale. */
export function within({ reply, scale }: Seen, limitMs: number): Problem {
  const slackMs = scale > 1 ? 500 * scale : 0;
  return problemIf(reply.totalMs > limitMs + slackMs, `took ${Math.round(reply.totalMs)} ms, limit ${limitMs} ms`);
}

/** The faulty provider gets at most this number of requests. */
export function atMost({ primary }: Seen, requests: number): Problem {
  return problemIf(primary.length > requests, `${primary.length} requests, limit ${requests}`);
}

/** The message when the condition is true. */
export function problemIf(condition: unknown, message: string): Problem {
  return condition ? message : undefined;
}
