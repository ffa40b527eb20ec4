import { setTimeout as sleep } from "node:timers/promises";
import { type VipProvider, vipProviders } from "../../contract/relay";
import type { Message } from "../../functions/core/relay/provider";
import { answered, checkAlways, marks, type Problem, problemIf } from "./checks";
import { startFaultyProvider, wires } from "./faultyProvider";
import { type RelayUnderTest, startRelay } from "./relay";
import { type Case, type Outage, type Scenario, scenarios } from "./scenarios";
import { doneOf, type Seen, type SeenReply } from "./seen";
import { wholeReply } from "./wire/fault";
import type { FaultyServer } from "./wire/faultyServer";
import { startFaultyRunpod } from "./wire/runpod";

/** Providers that can play the faults: the external LLMs, and a RunPod endpoint. */
export const failoverProviders = [...vipProviders, "runpod"] as const;

/** Name of a provider that can play the faults. */
export type FailoverProvider = (typeof failoverProviders)[number];

/** Options of a run. */
export interface FailoverOptions {
  /** Ids of the scenarios. Default: all. */
  only?: readonly string[];
  /** Default: all. */
  providers?: readonly FailoverProvider[];
  /** Divides all times, including the relay's deadlines. */
  scale: number;
  /** Called after each scenario. */
  onResult?: (result: ScenarioResult) => void;
}

/** Result of one scenario at one provider. */
export interface ScenarioResult {
  id: string;
  provider: FailoverProvider;
  passed: boolean;
  /** The problems, or a summary of what happened. */
  detail: string;
}

/** Result of a run. */
export interface FailoverResult {
  passed: number;
  failed: number;
  scenarios: ScenarioResult[];
}

/**
 * The healthy second provider of each provider. It is never Bedrock: Bedrock's URL is an environment variable of the
 * process, so the process can use only one Bedrock server.
 */
const fallbackOf: Record<VipProvider, VipProvider> = {
  anthropic: "openai",
  openai: "anthropic",
  bedrock: "anthropic",
  huggingface: "anthropic",
};

/** The relay must close abandoned requests within this time after the chat. */
const RELEASE_MS = 1_500;
const HELLO: Message[] = [{ role: "user", content: "こんばんは" }];

/**
 * Plays the scenarios against the relay. The providers run at the same time, and the scenarios of one provider run in
 * order.
 *
 * @throws Error when a scenario's id is unknown
 */
export async function runFailover(options: FailoverOptions): Promise<FailoverResult> {
  const { only = scenarios.map(({ id }) => id), providers = failoverProviders } = options;
  const unknown = only.find((id) => !scenarios.some((scenario) => scenario.id === id));
  if (unknown) throw new Error(`${unknown} is not a scenario. Allowed: ${scenarios.map(({ id }) => id).join(", ")}`);
  const chosen = scenarios.filter(({ id }) => only.includes(id));
  const all = await withoutLog(async () => {
    const results = await Promise.all(providers.map((provider) => runProvider(provider, chosen, options)));
    return results.flat();
  });
  const passed = all.filter((result) => result.passed).length;
  return { passed, failed: all.length - passed, scenarios: all };
}

/** Drops the relay's log while the work runs. The relay writes it with `console.info` and `console.error`. */
async function withoutLog<T>(work: () => Promise<T>): Promise<T> {
  const { info, error } = console;
  Object.assign(console, { info: () => {}, error: () => {} });
  try {
    return await work();
  } finally {
    Object.assign(console, { info, error });
  }
}

async function runProvider(provider: FailoverProvider, chosen: Scenario[], options: FailoverOptions) {
  const results: ScenarioResult[] = [];
  for (const scenario of chosen) {
    const outcome = await runScenario(provider, scenario, options.scale);
    const result = { id: scenario.id, provider, passed: outcome.problems.length === 0, detail: describe(outcome) };
    options.onResult?.(result);
    results.push(result);
  }
  return results;
}

interface Outcome {
  problems: string[];
  summaries: string[];
}

function describe({ problems, summaries }: Outcome): string {
  return (problems.length > 0 ? problems : summaries).join("; ");
}

async function runScenario(provider: FailoverProvider, scenario: Scenario, scale: number): Promise<Outcome> {
  const outcome: Outcome = { problems: [], summaries: [] };
  const isOneRoute = provider === "runpod";
  const cases = (scenario.cases ?? []).filter(({ worker = true }) => worker || !isOneRoute);
  for (const one of cases) {
    await using stage = await setUp(provider, one.isUnscaled ? 1 : scale);
    const label = one.name ? `${one.name}: ` : "";
    const { problems, summary } = await runCase(stage, one).catch(asCrash);
    outcome.problems.push(...problems.map((problem) => `${label}${problem}`));
    outcome.summaries.push(`${label}${summary}`);
  }
  if (scenario.outage) {
    await using stage = await setUp(provider, scale);
    const { problems, summary } = await runOutage(stage, scenario.outage).catch(asCrash);
    outcome.problems.push(...problems);
    outcome.summaries.push(summary);
  }
  return outcome;
}

function asCrash(error: unknown) {
  return { problems: [`the scenario crashed: ${error instanceof Error ? error.message : error}`], summary: "" };
}

/** Both providers of one case, and a relay in front of them. */
interface Stage extends AsyncDisposable {
  scale: number;
  isOneRoute: boolean;
  primary: FaultyServer;
  fallback: FaultyServer | undefined;
  relay: RelayUnderTest;
}

async function setUp(provider: FailoverProvider, scale: number): Promise<Stage> {
  const isOneRoute = provider === "runpod";
  const primary = isOneRoute
    ? await startFaultyRunpod({ mark: marks.primary, scale })
    : await startFaultyProvider({ wire: wires[provider], mark: marks.primary, scale });
  const second = isOneRoute ? undefined : fallbackOf[provider];
  const fallback = second && (await startFaultyProvider({ wire: wires[second], mark: marks.fallback, scale }));
  const close = async () => void (await Promise.all([primary.close(), fallback?.close()]));
  const behind = [{ name: provider, url: primary.url }];
  if (second && fallback) behind.push({ name: second, url: fallback.url });
  try {
    const relay = await startRelay({ scale, providers: behind });
    return { scale, isOneRoute, primary, fallback, relay, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function runCase(stage: Stage, { script, messages = HELLO, check }: Case) {
  stage.primary.play(script);
  const reply = await stage.relay.chat(messages);
  const seen: Seen = {
    reply,
    primary: [...stage.primary.requests],
    fallback: [...(stage.fallback?.requests ?? [])],
    isOneRoute: stage.isOneRoute,
    scale: stage.scale,
  };
  await released(seen);
  const problems = [...checkAlways(seen), ...check(seen), await checkAlive(stage)];
  return { problems: problems.filter((problem) => problem !== undefined), summary: summarise(seen) };
}

/** Waits until the providers have noticed the end of abandoned requests. */
async function released({ primary, fallback }: Seen): Promise<void> {
  const until = performance.now() + RELEASE_MS;
  const isOpen = () =>
    [...primary, ...fallback].some(
      ({ fault, complete, abandonedAtMs }) =>
        ["silent", "slow", "stall"].includes(fault) && !complete && abandonedAtMs === undefined,
    );
  while (isOpen() && performance.now() < until) await sleep(5);
}

/** Checks that the relay answers the next chat after a fault. */
async function checkAlive({ primary, fallback, relay }: Stage): Promise<Problem> {
  primary.play(() => ({ kind: "none" }));
  fallback?.play(() => ({ kind: "none" }));
  const done = doneOf(await relay.chat(HELLO));
  return problemIf(!done, "did not answer the next chat");
}

async function runOutage(stage: Stage, { outageMs, chats, everyMs, recoveredWithinMs }: Outage) {
  const startedAtMs = performance.now();
  const elapsedMs = () => (performance.now() - startedAtMs) * stage.scale;
  stage.primary.play(() => (elapsedMs() < outageMs ? { kind: "refuse", error: "overloaded" } : { kind: "none" }));
  const replies = await Promise.all(
    Array.from({ length: chats }, async (_, index) => {
      await sleep((index * everyMs) / stage.scale);
      const atMs = elapsedMs();
      return { atMs, reply: await stage.relay.chat(HELLO) };
    }),
  );
  const byPrimary = replies.filter(({ reply }) => doneOf(reply)?.text === wholeReply(marks.primary));
  const back = Math.min(...byPrimary.map(({ atMs }) => atMs)) - outageMs;
  const duringOutage = stage.primary.requests.filter(({ fault }) => fault === "refuse").length;
  const failed = replies.filter(({ reply }) =>
    answered({ primary: [], fallback: [], isOneRoute: stage.isOneRoute, scale: stage.scale, reply }),
  );
  const slow = replies.filter(({ reply }) => reply.totalMs > recoveredWithinMs);
  const problems = [
    problemIf(failed.length > 0, `${failed.length} of ${chats} chats were not answered`),
    problemIf(slow.length > 0, `${slow.length} chats took longer than 30 s`),
    problemIf(
      back > recoveredWithinMs,
      `used the provider again as late as ${Math.round(back / 1000)} s after the outage`,
    ),
    // Without a cooldown, every chat during the outage would call the provider twice.
    problemIf(!stage.isOneRoute && duringOutage > chats / 2, `${duringOutage} requests during the outage`),
  ].filter((problem) => problem !== undefined);
  return {
    problems,
    summary: `provider used again after ${(back / 1000).toFixed(1)} s, ${duringOutage} requests during the outage`,
  };
}

/** Returns one line about a chat: the answering provider, the time, and the number of requests. */
function summarise({ reply, primary, fallback }: Seen): string {
  const last = reply.items.at(-1);
  const outcome = last && "error" in last ? `error ${last.error.code}` : whoAnswered(reply);
  const restarted = reply.items.some((item) => "restart" in item) ? ", restarted" : "";
  const seconds = (reply.totalMs / 1000).toFixed(1);
  return `${outcome} after ${seconds} s${restarted}, ${primary.length} + ${fallback.length} requests`;
}

function whoAnswered(reply: SeenReply): string {
  const done = doneOf(reply);
  if (done?.finish_reason === "filter") return "declined";
  return done ? `${done.provider} answered` : "no end";
}
