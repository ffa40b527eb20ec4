import type { Message } from "../../functions/core/relay/provider";
import { answered, atMost, billedOnce, type Problem, problemIf, within } from "./checks";
import { doneOf, errorOf, type Seen, shownText } from "./seen";
import type { Fault } from "./wire/fault";
import type { Script } from "./wire/faultyServer";

/** One chat of a scenario. */
export interface Case {
  /** Distinguishes the cases of one scenario. */
  name?: string;
  script: Script;
  messages?: Message[];
  /** Whether the case also applies to a RunPod endpoint. Default true. */
  worker?: boolean;
  /** Whether the scale is 1 in every run, because the case depends on a time inside a provider's adapter. */
  isUnscaled?: boolean;
  check(seen: Seen): Problem[];
}

/** Many chats during an outage. Times are in milliseconds at the scale 1. */
export interface Outage {
  outageMs: number;
  chats: number;
  everyMs: number;
  /** Maximum time from the end of the outage to the first chat that the provider answers again. */
  recoveredWithinMs: number;
}

/** A fault, and the checks of the relay's behaviour toward the caller and the provider. */
export interface Scenario {
  id: string;
  title: string;
  cases?: Case[];
  outage?: Outage;
}

/** Longest acceptable wait of a caller: two calls of 12 s each, and the pause between them. */
const ANSWERED_WITHIN_MS = 30_000;

/**
 * The sixteen scenarios of Failover Bench (failoverbench/failoverbench, methodology v0.1), with the same ids, faults
 * and times. The checks are at least as strict: an advisory check of Failover Bench is a requirement here.
 */
export const scenarios: Scenario[] = [
  {
    id: "S01",
    title: "one 429 with Retry-After",
    cases: [
      {
        script: once({ kind: "refuse", error: "rate_limited", retryAfterMs: 2_000 }),
        check: (seen) => [answered(seen, "primary"), atMost(seen, 2), pauseAtLeast(seen, 1_800)],
      },
    ],
  },
  {
    id: "S02",
    title: "every request gets 429",
    cases: [
      {
        script: always({ kind: "refuse", error: "rate_limited" }),
        check: (seen) => [answered(seen, "fallback"), atMost(seen, 2), within(seen, ANSWERED_WITHIN_MS)],
      },
    ],
  },
  {
    id: "S03",
    title: "500 once",
    cases: [
      {
        script: once({ kind: "refuse", error: "server_error" }),
        check: (seen) => [answered(seen, "primary"), atMost(seen, 2), within(seen, 20_000)],
      },
    ],
  },
  {
    id: "S04",
    title: "every request gets 503",
    cases: [
      {
        script: always({ kind: "refuse", error: "overloaded" }),
        check: (seen) => [answered(seen, "fallback"), atMost(seen, 2), within(seen, ANSWERED_WITHIN_MS)],
      },
    ],
  },
  {
    id: "S05",
    title: "TCP reset before headers",
    cases: [
      {
        script: once({ kind: "reset" }),
        check: (seen) => [answered(seen), atMost(seen, 2), within(seen, 20_000)],
      },
    ],
  },
  {
    id: "S06",
    title: "accepts the request and never answers",
    cases: [
      {
        script: always({ kind: "silent" }),
        check: (seen) => [
          answered(seen, "fallback"),
          atMost(seen, 1),
          within(seen, seen.isOneRoute ? 200_000 : 100_000),
        ],
      },
    ],
  },
  {
    id: "S07",
    title: "first token after 20 s",
    cases: [
      {
        script: always({ kind: "slow", firstTextMs: 20_000 }),
        // A GPU worker can need minutes to start, so the relay waits for the worker's first text.
        check: (seen) => [answered(seen, "fallback"), atMost(seen, 1), within(seen, seen.isOneRoute ? 30_000 : 15_000)],
      },
    ],
  },
  {
    id: "S08",
    title: "stream is cut after 40 of 60 tokens",
    cases: (["closed", "ended"] as const).map((connection) => ({
      name: connection,
      script: always({ kind: "cut", afterTokens: 40, connection }),
      check: (seen) => [answered(seen, "fallback"), keepsPartialText(seen, 40), within(seen, 40_000)],
    })),
  },
  {
    id: "S09",
    title: "silent for 30 s after 20 tokens",
    cases: [
      {
        script: always({ kind: "stall", afterTokens: 20, silentMs: 30_000 }),
        check: (seen) => [answered(seen, "fallback"), keepsPartialText(seen, 20), within(seen, 45_000)],
      },
    ],
  },
  {
    id: "S10",
    title: "one malformed event",
    cases: [
      {
        script: always({ kind: "malformed", afterTokens: 10 }),
        check: (seen) => [answered(seen), atMost(seen, 2), within(seen, 30_000)],
      },
    ],
  },
  {
    id: "S11",
    title: "the last event is missing",
    cases: (["ended", "open"] as const).map((connection) => ({
      name: connection,
      script: always({ kind: "unterminated", connection }),
      worker: connection === "ended",
      // The adapter waits a short time for the usage and the last event. This time is not scaled.
      isUnscaled: true,
      check: (seen) => [answered(seen, "primary"), atMost(seen, 1), within(seen, 8_000)],
    })),
  },
  {
    id: "S12",
    title: "context length exceeded",
    cases: [
      {
        name: "fits when shorter",
        script: contextOf(1_200),
        messages: longConversation(),
        worker: false,
        check: (seen) => [answered(seen, "primary"), resendsShorter(seen), atMost(seen, 2)],
      },
      {
        name: "never fits",
        script: always({ kind: "refuse", error: "context_too_long" }),
        messages: longConversation(),
        check: (seen) => [answered(seen, "fallback"), resendsShorter(seen), atMost(seen, 2)],
      },
    ],
  },
  {
    id: "S13",
    title: "content filter",
    cases: [
      { name: "finish reason", script: always({ kind: "filtered" }), check: isDeclined },
      { name: "error 400", script: always({ kind: "refuse", error: "filtered" }), check: isDeclined },
    ],
  },
  {
    id: "S14",
    title: "stream is cut, and the fallback rejects a prefill",
    cases: [
      {
        script: always({ kind: "cut", afterTokens: 40, connection: "closed" }),
        // Every wire refuses a prefill. `checkAlways` reports the refused request.
        check: (seen) => [answered(seen, "fallback"), within(seen, 40_000)],
      },
    ],
  },
  {
    id: "S15",
    title: "outage of 60 s, 20 requests",
    outage: { outageMs: 60_000, chats: 20, everyMs: 4_000, recoveredWithinMs: 30_000 },
  },
  {
    id: "S16",
    title: "reports the model and the usage of the fallback",
    cases: [
      {
        script: always({ kind: "refuse", error: "overloaded" }),
        check: (seen) => [answered(seen, "fallback"), reportsFallback(seen), billedOnce(seen), atMost(seen, 2)],
      },
    ],
  },
];

function always(fault: Fault): Script {
  return () => fault;
}

function once(fault: Fault): Script {
  return (_chat, index) => (index === 0 ? fault : { kind: "none" });
}

/** Script of a model whose context is limited to a number of characters. */
function contextOf(chars: number): Script {
  return ({ promptChars }) => (promptChars > chars ? { kind: "refuse", error: "context_too_long" } : { kind: "none" });
}

/** 17 messages of 120 characters. */
function longConversation(): Message[] {
  return Array.from({ length: 17 }, (_, index) => ({
    role: index % 2 === 0 ? ("user" as const) : ("assistant" as const),
    content: `${String(index).padStart(2, "0")}${"話".repeat(118)}`,
  }));
}

function pauseAtLeast({ primary: [first, second], scale }: Seen, ms: number): Problem {
  if (!first || !second) return "no second request";
  const pausedMs = (second.atMs - first.atMs) * scale;
  return problemIf(pausedMs < ms, `retried after ${Math.round(pausedMs)} ms, but Retry-After was 2 s`);
}

/** Without a second provider, checks that the error contains the text that the caller already has. */
function keepsPartialText({ reply, isOneRoute }: Seen, tokens: number): Problem {
  if (!isOneRoute || doneOf(reply)) return undefined;
  const error = reply.items.at(-1);
  const kept = error && "text" in error ? error.text : undefined;
  return problemIf(
    !kept || kept !== shownText(reply) || kept.length < tokens,
    "the error does not contain the text that was sent",
  );
}

function resendsShorter({ primary }: Seen): Problem {
  const sizes = primary.map(({ promptChars }) => promptChars);
  const isShorter = sizes.every((size, index) => index === 0 || size < (sizes[index - 1] ?? 0));
  return problemIf(!isShorter, `sent the conversation again with ${sizes.join(", ")} characters`);
}

/** Checks a refusal of the content: the relay answers in the persona's style, without a retry or a second provider. */
function isDeclined(seen: Seen): Problem[] {
  const done = doneOf(seen.reply);
  return [
    problemIf(!done, `no refusal in the persona's style: ${errorOf(seen.reply) ?? "no error"}`),
    problemIf(done && done.finish_reason !== "filter", `finish reason ${done?.finish_reason}`),
    problemIf(done?.text === "", "the refusal has no text"),
    problemIf(seen.primary.length !== 1, `${seen.primary.length} requests`),
    problemIf(seen.fallback.length > 0, "asked another provider"),
  ];
}

function reportsFallback({ reply, fallback, isOneRoute }: Seen): Problem {
  const done = doneOf(reply);
  if (!done || isOneRoute) return undefined;
  const model = fallback[0]?.model;
  return problemIf(
    done.model.name !== model || done.model.version !== model,
    `reports ${done.model.name} (${done.model.version}), ${model} answered`,
  );
}
