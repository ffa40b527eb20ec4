import { setTimeout as sleep } from "node:timers/promises";
import pc from "picocolors";
import type { RelayItem } from "../../contract/relay";
import { Children } from "./children";
import { median } from "./median";
import { percentile } from "./percentile";
import { benchAdmission } from "./relay/admission";
import { type BundleBench, benchBundles } from "./relay/bundles";
import { type Gateway, litellm, portkey, startGateway, type Upstream } from "./relay/gateways";
import { type RelayHost, startHost } from "./relay/startHost";
import { startEngine } from "./startEngine";
import { readChunk, StreamClient, type StreamTarget } from "./streamClient";

/** Output of `npm run bench -- relay --json`. "Direct" is a call of the upstream without anything between. */
export interface RelayBench extends BundleBench {
  /** Time to the first text through the relay, minus that of a direct call. */
  overheadMs: Percentiles;
  /** Tokens per second of 64 concurrent clients through the relay, divided by those of direct calls. */
  throughputRatio64: number;
  /** Like `overheadMs`. Null when the gateway could not be measured. */
  litellm: Percentiles | null;
  portkey: Percentiles | null;
  /** Time of the two conditional writes that admit a VIP's chat, against dynalite. It is not part of `overheadMs`. */
  admissionMs: Percentiles;
  /** Time to the first text of a direct call. */
  directMs: Percentiles;
  /** Versions of the other gateways. */
  packages: string[];
}

interface Percentiles {
  p50: number;
  p95: number;
}

/** A server in the comparison. `target` returns its request for a reply of at most `maxTokens`. */
interface Subject {
  name: "direct" | "relay" | "litellm" | "portkey";
  target(maxTokens: number): StreamTarget;
}

const MODEL = "mistral";
const messages = [{ role: "user", content: "こんばんは。今日は仕事で疲れました。" }];

/** Rounds of the comparison of first texts. Each round asks every server so many times, in random order. */
const FIRST_TEXT = { rounds: 5, requests: 150, warmUp: 100, maxTokens: 2 };
/** Pause between two requests, in which the server before ends its work. */
const PAUSE_MS = 5;

/** Rounds of the comparison of throughputs. Each round measures direct calls, then the relay. */
const THROUGHPUT = { rounds: 3, clients: 64, replies: 3, maxTokens: 60 };
/** The clients start at different times within this span, like real customers. */
const SPREAD_MS = 2_500;

/**
 * Measures the relay, LiteLLM's proxy and Portkey's gateway in front of the same upstream. Each is one process without
 * a database, and the relay verifies a ticket. A gateway that cannot be measured is reported on stderr.
 *
 * @throws Error when a gateway cannot be measured and `REQUIRE_ALL` is 1
 */
export async function benchRelay(say: (line: string) => void): Promise<RelayBench> {
  const children = new Children();
  const client = new StreamClient();
  try {
    const upstream = { url: await startEngine(children, 0), model: MODEL };
    say("starting the gateways");
    const host = await startHost(children, upstream);
    const gateways = {
      litellm: await gatewaySubject(children, litellm, upstream),
      portkey: await gatewaySubject(children, portkey, upstream),
    };
    say("measuring the first text");
    const direct = directSubject(upstream);
    const others = [gateways.litellm, gateways.portkey].filter((subject) => subject !== undefined);
    const firstText = await compareFirstText(client, host, [direct, others].flat());
    say(`measuring ${THROUGHPUT.clients} concurrent clients`);
    const throughputRatio64 = await compareThroughput(client, host, direct);
    say("measuring the admission");
    const admission = await benchAdmission(children);
    say("measuring the bundles");
    return {
      overheadMs: firstText.added("relay"),
      throughputRatio64,
      litellm: gateways.litellm ? firstText.added("litellm") : null,
      portkey: gateways.portkey ? firstText.added("portkey") : null,
      admissionMs: percentiles(admission),
      directMs: firstText.direct,
      ...benchBundles(),
      packages: [litellm, portkey].flatMap(({ packages }) => packages),
    };
  } finally {
    client.close();
    await children.end();
  }
}

function directSubject({ url, model }: Upstream): Subject {
  return completions("direct", { url: `${url}/chat/completions` }, model);
}

async function gatewaySubject(children: Children, gateway: Gateway, upstream: Upstream): Promise<Subject | undefined> {
  const name = gateway === litellm ? "litellm" : "portkey";
  try {
    return completions(name, await startGateway(children, gateway, upstream), upstream.model);
  } catch (error) {
    if (process.env.REQUIRE_ALL === "1") throw error;
    const reason = error instanceof Error ? error.message : String(error);
    console.error(pc.bold(pc.yellow(`NOT COMPARED with ${gateway.name}: ${reason}`)));
    return undefined;
  }
}

/** A server with OpenAI's Chat Completions API. */
function completions(name: Subject["name"], server: Pick<StreamTarget, "url" | "headers">, model: string): Subject {
  const target = (maxTokens: number) => ({
    ...server,
    body: { model, messages, stream: true, max_tokens: maxTokens },
    read: readChunk,
  });
  return { name, target };
}

/** The relay, with a new ticket. */
async function relaySubject({ url, signTicket }: RelayHost): Promise<Subject> {
  const headers = { authorization: `Bearer ${await signTicket()}` };
  const target = (maxTokens: number) => ({
    url,
    headers,
    body: { messages, params: { max_tokens: maxTokens } },
    read: readItem,
  });
  return { name: "relay", target };
}

function readItem(data: string): ReturnType<StreamTarget["read"]> {
  const item = JSON.parse(data) as RelayItem;
  if ("delta" in item) return { text: item.delta };
  return "done" in item ? { tokens: item.usage.completion_tokens, isLast: true } : {};
}

/** Asks a server for one reply and returns it. Every token of the upstream is one character. */
async function ask(client: StreamClient, { name, target }: Subject, maxTokens: number) {
  const reply = await client.ask(target(maxTokens));
  if (reply.text.length !== maxTokens)
    throw new Error(`${name}: expected a reply of ${maxTokens} tokens, got ${reply.text.length}`);
  return reply;
}

/** Compares the times to the first text, one request at a time. */
async function compareFirstText(client: StreamClient, host: RelayHost, others: Subject[]) {
  const { rounds, requests, warmUp, maxTokens } = FIRST_TEXT;
  const results: Map<Subject["name"], Percentiles>[] = [];
  for (let round = -1; round < rounds; round++) {
    const subjects = [...others, await relaySubject(host)];
    const times = new Map(subjects.map(({ name }) => [name, [] as number[]]));
    for (let count = 0; count < (round < 0 ? warmUp : requests); count++) {
      for (const subject of shuffled(subjects)) {
        const { firstTextMs } = await ask(client, subject, maxTokens);
        times.get(subject.name)?.push(firstTextMs);
        await sleep(PAUSE_MS);
      }
    }
    if (round >= 0) results.push(new Map([...times].map(([name, values]) => [name, percentiles(values)])));
  }
  const of = (name: Subject["name"], key: keyof Percentiles) => (result: (typeof results)[number]) =>
    result.get(name)?.[key] ?? Number.NaN;
  const added = (name: Subject["name"], key: keyof Percentiles) =>
    round2(median(results.map((result) => of(name, key)(result) - of("direct", key)(result))));
  return {
    direct: {
      p50: round2(median(results.map(of("direct", "p50")))),
      p95: round2(median(results.map(of("direct", "p95")))),
    },
    added: (name: Subject["name"]): Percentiles => ({ p50: added(name, "p50"), p95: added(name, "p95") }),
  };
}

/** Tokens per second through the relay, divided by those of direct calls: the median of the rounds. */
async function compareThroughput(client: StreamClient, host: RelayHost, direct: Subject): Promise<number> {
  const ratios: number[] = [];
  for (let round = 0; round < THROUGHPUT.rounds; round++) {
    const directly = await tokensPerSecond(client, direct);
    ratios.push((await tokensPerSecond(client, await relaySubject(host))) / directly);
  }
  return Math.round(median(ratios) * 1_000) / 1_000;
}

async function tokensPerSecond(client: StreamClient, subject: Subject): Promise<number> {
  const { clients, replies, maxTokens } = THROUGHPUT;
  const startedAt = performance.now();
  const customer = async (_: unknown, index: number) => {
    await sleep((index / clients) * SPREAD_MS);
    for (let turn = 0; turn < replies; turn++) await ask(client, subject, maxTokens);
  };
  await Promise.all(Array.from({ length: clients }, customer));
  return (clients * replies * maxTokens * 1_000) / (performance.now() - startedAt);
}

function percentiles(values: number[]): Percentiles {
  return { p50: round2(percentile(values, 0.5)), p95: round2(percentile(values, 0.95)) };
}

function shuffled<T>(values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, at: Math.random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

const round2 = (value: number) => Math.round(value * 100) / 100;
