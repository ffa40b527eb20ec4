import type { FailureCause } from "../../../functions/core/relay/failure";
import {
  type Provider,
  type ProviderChat,
  type ProviderEnd,
  type ProviderEvent,
  ProviderFailure,
} from "../../../functions/core/relay/provider";

/** A step of a scripted call: wait, send text, end, fail, or hang without reacting to the signal. */
export type ScriptStep =
  | { wait: number }
  | { text: string }
  | { end: Partial<ProviderEnd> }
  | { fail: FailureCause; retryAfterMs?: number }
  | { throws: unknown }
  | "hang";

/** A provider whose calls follow scripts. */
export interface ScriptedProvider extends Provider {
  /** Calls so far: the conversation, and whether the signal aborted. */
  calls: { chat: ProviderChat; signal: AbortSignal; startedAtMs: number }[];
}

/** Creates a provider. The scripts apply to the calls in order. Later calls repeat the final script. */
export function scripted(name: Provider["name"], ...scripts: ScriptStep[][]): ScriptedProvider {
  const calls: ScriptedProvider["calls"] = [];
  return {
    name,
    model: `${name}-model`,
    calls,
    stream(chat, signal) {
      const script = scripts[Math.min(calls.length, scripts.length - 1)] ?? [];
      calls.push({ chat, signal, startedAtMs: Date.now() });
      return play(script);
    },
  };
}

/** A script of a complete reply. */
export function reply(...texts: string[]): ScriptStep[] {
  return [...texts.map((text) => ({ text })), { end: {} }];
}

async function* play(script: readonly ScriptStep[]): AsyncGenerator<ProviderEvent> {
  for (const step of script) {
    if (step === "hang") await new Promise(() => {});
    else if ("wait" in step) await new Promise((resolve) => setTimeout(resolve, step.wait));
    else if ("fail" in step) throw new ProviderFailure(step.fail, "scripted", { retryAfterMs: step.retryAfterMs });
    else if ("throws" in step) throw step.throws;
    else if ("end" in step) yield { end: { finishReason: "stop", ...step.end } };
    else yield step;
  }
}

/** A conversation with `turns` earlier turns. Each turn has a question and a reply. */
export function chatWith(turns = 0): ProviderChat {
  const earlier = Array.from({ length: turns }, (_, n) => [
    { role: "user" as const, content: `問い${n}` },
    { role: "assistant" as const, content: `返事${n}` },
  ]);
  return {
    messages: [...earlier.flat(), { role: "user", content: "こんばんは" }],
    maxTokens: 100,
    sampling: {},
    system: { persona: "ママです。", greeting: "夜です。" },
    userHash: "hash",
  };
}
