import { setTimeout as sleep } from "node:timers/promises";
import { type VipProvider, vipProviders } from "../../contract/relay";
import type { FunctionName } from "../../infra/bundle";
import type { LlmFault } from "../../local/page/modelsPanel";
import type { Switches as RunpodSwitches } from "../../local/runpod/account/switches";
import type { Switches as StripeSwitches } from "../../local/stripe/switches";
import type { SoakCloud } from "./cloud";
import type { Stack } from "./stack";
import { type Area, areas, type Timeline } from "./timeline";

type Undo = () => Promise<unknown>;

/** A fault of the local cloud. */
interface Fault {
  name: string;
  /** Areas in which the fault may cause errors. Empty when customers must not notice it. */
  explains: readonly Area[];
  start(switches: CloudSwitches): Promise<Undo>;
}

/** Number larger than the number of calls in any run. */
const MANY = 1_000_000_000;
const EVERYTHING = ["*"];
const billing = ["billing", "webhook"] as const;

/** Fault switches of a local cloud in another process. */
export class CloudSwitches {
  constructor(
    private readonly cloud: Pick<SoakCloud, "started" | "processes">,
    private readonly stack: Pick<Stack, "throttle">,
    /** Key of the RunPod account. */
    private readonly runpodKey: string,
  ) {}

  stripe(changes: Partial<StripeSwitches>): Promise<void> {
    return change(`${this.cloud.started.doubles.stripe}/admin/switches`, "PATCH", changes);
  }

  dynamodb(throttledShare: number): Promise<void> {
    return change(`${this.cloud.started.doubles.aws.dynamodb}/admin/switches`, "PATCH", { throttledShare });
  }

  runpod(changes: Partial<RunpodSwitches>): Promise<void> {
    const url = `${this.cloud.started.doubles.runpod}/admin/switches`;
    return change(url, "PATCH", changes, { authorization: `Bearer ${this.runpodKey}` });
  }

  async throttle(names: readonly FunctionName[], isOn: boolean): Promise<void> {
    for (const name of names) await this.stack.throttle(name, isOn);
  }

  async llms(names: readonly VipProvider[], fault: LlmFault): Promise<void> {
    for (const name of names) await change(`${this.cloud.started.pageUrl}/models/llm`, "POST", { name, fault });
  }

  /** Kills a Python worker, like a failing GPU. Does nothing when only canned workers run. */
  async killWorker(): Promise<void> {
    const [first] = (await this.cloud.processes()).filter(({ name }) => name === "run_worker.py");
    if (first) process.kill(first.pid, "SIGKILL");
  }
}

/** @throws Error when the local cloud refuses the change */
async function change(url: string, method: string, body: object, headers: Record<string, string> = {}): Promise<void> {
  const response = await fetch(url, {
    method,
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  await response.body?.cancel();
}

function stripe(
  name: string,
  explains: readonly Area[],
  on: Partial<StripeSwitches>,
  off: Partial<StripeSwitches>,
): Fault {
  return {
    name,
    explains,
    start: (switches) =>
      turn(
        () => switches.stripe(on),
        () => switches.stripe(off),
      ),
  };
}

function stripeApi(name: string, apiFailureStatus: number): Fault {
  return stripe(name, billing, { apiFailures: MANY, apiFailureStatus }, { apiFailures: 0 });
}

function runpod(
  name: string,
  explains: readonly Area[],
  on: Partial<RunpodSwitches>,
  off: Partial<RunpodSwitches>,
): Fault {
  return {
    name,
    explains,
    start: (switches) =>
      turn(
        () => switches.runpod(on),
        () => switches.runpod(off),
      ),
  };
}

/** Fault in which calls of RunPod's API fail. */
function runpodCalls(name: string, on: string, answer: 429 | 500 | "cut"): Fault {
  const fault = { on, answer, times: MANY, skip: 0, done: false, delayMs: 0 };
  return runpod(name, ["worker chat"], { faults: [fault] }, { faults: [] });
}

function llms(name: string, explains: readonly Area[], names: readonly VipProvider[], fault: LlmFault): Fault {
  return {
    name,
    explains,
    start: (switches) =>
      turn(
        () => switches.llms(names, fault),
        () => switches.llms(names, "none"),
      ),
  };
}

/** Fault in which Lambda throttles functions. */
function throttled(name: string, explains: readonly Area[], names: readonly FunctionName[]): Fault {
  const start = (switches: CloudSwitches) =>
    turn(
      () => switches.throttle(names, true),
      () => switches.throttle(names, false),
    );
  return { name, explains, start };
}

function dynamodb(name: string, share: number): Fault {
  const start = (switches: CloudSwitches) =>
    turn(
      () => switches.dynamodb(share),
      () => switches.dynamodb(0),
    );
  return { name, explains: areas, start };
}

async function turn(on: () => Promise<void>, off: () => Promise<void>): Promise<Undo> {
  await on();
  return off;
}

/**
 * Fault in which a worker must restart while starts of workers fail or are slow. The worker's jobs wait, and RunPod
 * runs them again.
 */
function whileStarting(name: string, on: Partial<RunpodSwitches>, off: Partial<RunpodSwitches>): Fault {
  const start = async (switches: CloudSwitches): Promise<Undo> => {
    await switches.runpod(on);
    await switches.killWorker();
    return () => switches.runpod(off);
  };
  return { name, explains: ["worker chat"], start };
}

const first: VipProvider = "anthropic";
const second: VipProvider = "openai";

const faults = {
  duplicated: stripe("webhooks arrive twice", [], { duplicate: true }, { duplicate: false }),
  delayed: stripe("webhooks arrive late", [], { delayUpToMs: 3_000 }, { delayUpToMs: 0 }),
  reordered: stripe("webhooks arrive in the wrong order", [], { reorder: true }, { reorder: false }),
  held: stripe("webhooks are held back", [], { hold: true }, { hold: false }),
  dropped: stripe("webhooks are dropped", [], { lose: true }, { lose: false }),
  wrongSecret: stripe("webhooks have a wrong signature", [], { wrongSecret: true }, { wrongSecret: false }),
  future: stripe(
    "webhooks have a signature time in the future",
    [],
    { futureTimestamp: true },
    { futureTimestamp: false },
  ),
  noPortal: stripe("the portal has no settings", ["billing"], { portal: "missing" }, { portal: "complete" }),
  fixedPlan: stripe("the portal changes no plan", [], { portal: "fixedPlan" }, { portal: "complete" }),
  stripeSlow: stripe("Stripe is slow", [], { apiDelayMs: 400 }, { apiDelayMs: 0 }),
  stripeFails: stripeApi("Stripe answers 500", 500),
  stripeBusy: stripeApi("Stripe answers 429", 429),
  stripeCut: stripeApi("Stripe executes the call and cuts the connection", 0),
  llmOverloaded: llms("one LLM is overloaded", [], [first], "overloaded"),
  llmCut: llms("one LLM cuts off its replies", [], [first], "cut"),
  llmSilent: llms("one LLM is silent", [], [first], "silent"),
  llmsOverloaded: llms("all LLMs are overloaded", ["vip chat"], vipProviders, "overloaded"),
  llmsCut: llms("all LLMs cut off their replies", ["vip chat"], vipProviders, "cut"),
  noGpus: runpod("no GPU is free", ["worker chat"], { noCapacity: EVERYTHING }, { noCapacity: [] }),
  slowStart: whileStarting("a worker dies and starts slowly", { coldStartMs: 2_000 }, { coldStartMs: 0 }),
  crash: whileStarting("a worker dies and crashes at start", { crashing: EVERYTHING }, { crashing: [] }),
  noImage: whileStarting("a worker dies and its image is gone", { unpullable: EVERYTHING }, { unpullable: [] }),
  runpodFails: runpodCalls("RunPod answers 500", "POST /v2/*/run", 500),
  runpodBusy: runpodCalls("RunPod answers 429", "POST /v2/*/run", 429),
  streamsCut: runpodCalls("RunPod cuts the streams", "GET /v2/*/stream/*", "cut"),
  throttled: dynamodb("DynamoDB throttles a third of all calls", 0.33),
  apiThrottled: throttled("Lambda throttles sessions", ["session"], ["session", "guest", "plan"]),
  billingThrottled: throttled("Lambda throttles billing", ["billing"], ["checkout", "portal", "sync"]),
  webhookThrottled: throttled("Lambda throttles the webhook", ["webhook"], ["webhook"]),
  relayThrottled: throttled("Lambda throttles the relay", ["worker chat", "vip chat"], ["relay"]),
  tableDown: dynamodb("DynamoDB throttles all calls", 1),
} satisfies Record<string, Fault>;

/** Faults of each round: first each fault alone, then several faults at the same time. */
const rounds: readonly Fault[][] = [
  ...Object.values(faults).map((fault) => [fault]),
  [faults.duplicated, faults.delayed, faults.reordered],
  [faults.dropped, faults.throttled, llms("two LLMs fail", [], [first, second], "cut")],
  [faults.held, faults.stripeSlow, faults.slowStart],
  [faults.stripeCut, faults.runpodBusy, faults.llmsOverloaded],
];

/** Shortest and longest duration of a round, and the share of a round in which the faults are on. */
const ROUND_MS = { least: 700, most: 20_000 };
const ON_SHARE = 0.65;

/** Options of `cycleFaults`. */
export interface CycleOptions {
  switches: CloudSwitches;
  timeline: Timeline;
  durationMs: number;
  /** Ends the cycle early. */
  signal: AbortSignal;
  /** Called with the names of the faults that are on. */
  onRound: (names: string[]) => void;
}

/**
 * Turns the faults on and off, one round after another, until the time is over and every fault has occurred. At the
 * end, all faults are off.
 *
 * @returns number of rounds
 */
export async function cycleFaults({ switches, timeline, durationMs, signal, onRound }: CycleOptions): Promise<number> {
  const untilMs = performance.now() + durationMs;
  const roundMs = Math.min(ROUND_MS.most, Math.max(ROUND_MS.least, durationMs / rounds.length));
  let done = 0;
  for (; (performance.now() < untilMs || done < rounds.length) && !signal.aborted; done++) {
    const round = rounds[done % rounds.length] ?? [];
    onRound(round.map(({ name }) => name));
    const ends = await Promise.all(round.map((fault) => begin(fault, switches, timeline)));
    await sleep(roundMs * ON_SHARE, undefined, { signal }).catch(() => {});
    for (const end of ends) await end();
    onRound([]);
    await sleep(roundMs * (1 - ON_SHARE), undefined, { signal }).catch(() => {});
  }
  return done;
}

async function begin({ explains, start }: Fault, switches: CloudSwitches, timeline: Timeline): Promise<Undo> {
  // An error can occur before the switch has answered.
  const end = timeline.begin(explains);
  const undo = await start(switches);
  return async () => {
    await undo();
    end();
  };
}
