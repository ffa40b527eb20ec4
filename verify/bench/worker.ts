import { type ChildProcess, execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exportJWK, generateKeyPair } from "jose";
import { root } from "../../cli/root";
import { type Model, planModels } from "../../contract/plan";
import { signTicket } from "../../functions/core/ticket";
import { platformEnvironment } from "../../local/runpod/workers/workerEnvironment";
import { findVenvPython, setupPython } from "../../local/support/pythonEnvironment";
import { Children } from "./children";
import { JobPlatform } from "./jobPlatform";
import { median } from "./median";
import { percentile } from "./percentile";
import { round } from "./round";
import { startEngine } from "./startEngine";
import { readChunk, StreamClient } from "./streamClient";

const MODEL = planModels.paid;

/** Output of `npm run bench -- worker --json`. "Direct" is a call of the LLM engine without the worker. */
export interface WorkerBench {
  /** Time to the first text through the worker, minus the time to the first text of a direct call. Both are medians. */
  firstTextDelayMs: PerConcurrency;
  /** Tokens per second through the worker, divided by the tokens per second of direct calls. */
  throughputRatio: PerConcurrency;
  /** Mean number of requests to RunPod for one reply of 60 to 137 tokens, including the request with the result. */
  postsPerReply: number;
  /**
   * Share of the prompts' tokens that the prefix cache contains, in a chat of ten turns: see
   * `images/worker/tests/prefix_cache.py`.
   */
  cacheShare: Partial<Record<Model, CacheShare>>;
  /** Like `firstTextDelayMs`, but with 95th percentiles instead of medians. */
  firstTextDelayP95Ms: PerConcurrency;
  /** Like `firstTextDelayMs`, but all 32 customers send a request in the same millisecond. */
  firstTextDelayAtOnceMs: number;
  /**
   * CPU time of the worker's process for one refused job without a ticket: a job with 1,000 nested lists, a message
   * with 280,000 parts (7.5 MB), and a text of 5.9 MB. Each value is a median.
   */
  refusedCpuMs: RefusedCpu;
  /** Tokens per second of direct calls. */
  engineTokensPerSecond: PerConcurrency;
  postsPerReplyAt: PerConcurrency;
}

interface CacheShare {
  ours: number;
  official: number;
  /** Cached share of our prompts when the greeting in the prompt changes in the middle of the chat. */
  oursAcrossTheHour: number;
  /** Cached share of our prompts when the cache also contains the tokens that the model generated. */
  oursWithGenerated: number;
  /** Tokenizer that counted the tokens. */
  tokenizer: string;
}

const concurrencies = ["c1", "c8", "c32"] as const;
type PerConcurrency = Record<(typeof concurrencies)[number], number>;

type RefusedCpu = Record<keyof typeof refusedInputs, number>;

/** Inputs of jobs that the worker refuses, as JSON. */
const refusedInputs = {
  deep: `{"text":${"[".repeat(1_000)}${"]".repeat(1_000)}}`,
  manyParts: `{"openai_route":"/v1/chat/completions","openai_input":{"model":"${MODEL}","messages":[{"role":"user","content":[${Array(280_000).fill('{"type":"text","text":"a"}').join()}]}]}}`,
  large: `{"text":"${"あ".repeat(5_900_000 / 3)}"}`,
};
/** Number of refused jobs of each kind. */
const REFUSED_JOBS = 15;

/** Rounds of each measurement. Each round measures direct calls, then the worker. */
const ROUNDS = 3;
/**
 * Number of replies per client in a round. Each client sends several requests, because a busy worker must also accept
 * its next job in time.
 */
const REPLIES = 3;
/**
 * The clients of a round start at different times within this span, like real customers. One reply takes about as long
 * as this span.
 */
const SPREAD_MS = 2_500;

interface Reply {
  firstTextMs: number;
  text: string;
  /** Completion tokens, as counted by the worker. For a direct call, as counted by the engine. */
  tokens: number;
  posts: number;
}

/**
 * Measures the real worker with RunPod's real SDK and the real tokenizer, and compares it with direct calls of the LLM
 * engine.
 */
export async function benchWorker(say: (line: string) => void): Promise<WorkerBench> {
  const { detail } = await setupPython(say);
  const python = findVenvPython();
  if (!python) throw new Error(`The worker cannot run: ${detail}.`);
  say("measuring the prefix cache");
  const cacheShare = cacheShares(python);
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-bench-"));
  const platform = new JobPlatform();
  const children = new Children();
  try {
    const engineUrl = await startEngine(children);
    const { worker, makeInput } = await startWorker(children, python, dir, engineUrl, await platform.listen());
    await platform.run(await makeInput());
    say("measuring refused jobs");
    const refusedCpuMs = await measureRefusals(platform, worker);

    const client = new StreamClient();
    const direct = () => askEngine(client, engineUrl);
    const result: Record<string, { direct: Round; worker: Round }> = {};
    for (const name of concurrencies) {
      say(`measuring ${name.slice(1)} concurrent clients`);
      const rounds = { direct: [] as Round[], worker: [] as Round[] };
      for (let round = 0; round < ROUNDS; round++) {
        const clients = Number(name.slice(1));
        rounds.direct.push(await measure(clients, direct));
        // A ticket allows only a few jobs, so each job gets a separate input with a new ticket.
        const inputs = await Promise.all(Array.from({ length: clients * REPLIES }, makeInput));
        rounds.worker.push(await measure(clients, () => askWorker(platform, inputs.pop())));
      }
      result[name] = { direct: merged(rounds.direct), worker: merged(rounds.worker) };
    }
    say("measuring 32 requests in the same millisecond");
    const atOnce = { direct: [] as Round[], worker: [] as Round[] };
    for (let round = 0; round < ROUNDS; round++) {
      atOnce.direct.push(await measure(32, direct, { replies: 1, spreadMs: 0 }));
      const inputs = await Promise.all(Array.from({ length: 32 }, makeInput));
      atOnce.worker.push(await measure(32, () => askWorker(platform, inputs.pop()), { replies: 1, spreadMs: 0 }));
    }
    client.close();

    const per = (value: (of: { direct: Round; worker: Round }) => number) =>
      Object.fromEntries(concurrencies.map((name) => [name, value(result[name] as never)])) as PerConcurrency;
    const later = (of: { direct: Round; worker: Round }, share: number) =>
      round(percentile(of.worker.firstTextMs, share) - percentile(of.direct.firstTextMs, share), 1);
    const postsAt = per(({ worker: { posts } }) => round(posts.reduce((sum, one) => sum + one, 0) / posts.length, 1));
    return {
      firstTextDelayMs: per((of) => later(of, 0.5)),
      throughputRatio: per(({ direct, worker }) => round(worker.tokensPerSecond / direct.tokensPerSecond, 3)),
      postsPerReply: round((postsAt.c1 + postsAt.c8 + postsAt.c32) / 3, 1),
      cacheShare,
      firstTextDelayP95Ms: per((of) => later(of, 0.95)),
      refusedCpuMs,
      firstTextDelayAtOnceMs: later({ direct: merged(atOnce.direct), worker: merged(atOnce.worker) }, 0.5),
      engineTokensPerSecond: per(({ direct }) => Math.round(direct.tokensPerSecond)),
      postsPerReplyAt: postsAt,
    };
  } finally {
    await children.end();
    platform.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

interface Round {
  firstTextMs: number[];
  posts: number[];
  tokensPerSecond: number;
}

/**
 * Runs `clients` concurrent clients that start within `spreadMs`. Each client sends `replies` requests, one after
 * another.
 */
async function measure(
  clients: number,
  ask: () => Promise<Reply>,
  { replies, spreadMs } = { replies: REPLIES, spreadMs: SPREAD_MS },
): Promise<Round> {
  const startedAt = performance.now();
  const all: Reply[] = [];
  const client = async (_: unknown, index: number) => {
    await sleep((index / clients) * spreadMs);
    for (let turn = 0; turn < replies; turn++) all.push(await ask());
  };
  await Promise.all(Array.from({ length: clients }, client));
  const seconds = (performance.now() - startedAt) / 1000;
  for (const { text, tokens } of all)
    if (text.length !== tokens) throw new Error(`Expected a reply of ${tokens} tokens, got ${text.length}`);
  return {
    firstTextMs: all.map(({ firstTextMs }) => firstTextMs),
    posts: all.map(({ posts }) => posts),
    tokensPerSecond: all.reduce((sum, { tokens }) => sum + tokens, 0) / seconds,
  };
}

function merged(rounds: Round[]): Round {
  return {
    firstTextMs: rounds.flatMap(({ firstTextMs }) => firstTextMs),
    posts: rounds.flatMap(({ posts }) => posts),
    tokensPerSecond: median(rounds.map(({ tokensPerSecond }) => tokensPerSecond)),
  };
}

/** Sends jobs that the worker must refuse, one after another, and measures the CPU time of the worker's process. */
async function measureRefusals(platform: JobPlatform, worker: ChildProcess): Promise<RefusedCpu> {
  const medians: Partial<RefusedCpu> = {};
  for (const [kind, input] of Object.entries(refusedInputs)) {
    const times: number[] = [];
    for (let job = 0; job < REFUSED_JOBS; job++) {
      const startMs = cpuMs(worker);
      const { error } = await platform.runJson(input);
      if (!error) throw new Error(`Expected the worker to refuse the job ${kind}, got a reply`);
      times.push(cpuMs(worker) - startMs);
    }
    medians[kind as keyof RefusedCpu] = round(median(times), 1);
  }
  return medians as RefusedCpu;
}

/** CPU time of all threads of a process so far, in milliseconds. Linux only. */
function cpuMs({ pid }: ChildProcess): number {
  const tasks = `/proc/${pid}/task`;
  const nanoseconds = readdirSync(tasks).map((task) =>
    Number(readFileSync(join(tasks, task, "schedstat"), "utf8").split(" ")[0]),
  );
  return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e6;
}

async function askWorker(platform: JobPlatform, input: unknown): Promise<Reply> {
  const startedAt = performance.now();
  const { firstItemAt, posts, text, completionTokens, error } = await platform.run(input);
  if (error) throw new Error(`The worker reported a failed job: ${error}`);
  return { firstTextMs: firstItemAt - startedAt, posts, text, tokens: completionTokens };
}

/** Sends the worker's request directly to the engine. */
async function askEngine(client: StreamClient, engineUrl: string): Promise<Reply> {
  const body = { model: MODEL, messages: [{ role: "user", content: "こんばんは" }], stream: true };
  const reply = await client.ask({ url: `${engineUrl}/chat/completions`, body, read: readChunk });
  return { ...reply, posts: 0 };
}

/**
 * Starts the worker with the same settings and files as in its image.
 *
 * @returns the worker's process, and a function that creates a job's input
 */
async function startWorker(children: Children, python: string, dir: string, engineUrl: string, jobApiUrl: string) {
  const pair = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const kid = "bench";
  const key = { ...(await exportJWK(pair.privateKey)), kid };
  const jwks = { keys: [{ ...(await exportJWK(pair.publicKey)), kid, alg: "EdDSA", use: "sig" }] };
  const limits = { max_tokens: 512, max_messages: 40, max_input_chars: 2_000 };
  const iss = "snack-misaki/bench";
  const grant = { iss, sub: "guest:bench", aud: MODEL, plan: "paid", limits } as const;

  const tokenizer = join(dir, "tokenizer.json");
  pythonOnce(python, [
    "-c",
    `from tests.real_tokenizers import tokenizer; tokenizer("${MODEL}").save(${JSON.stringify(tokenizer)})`,
  ]);
  const version = join(dir, "version.json");
  writeFileSync(version, JSON.stringify({ version: "bench" }));
  const worker = children.start(python, ["-m", "snack_worker"], {
    cwd: dir,
    env: {
      PATH: process.env.PATH,
      HOME: dir,
      PYTHONPATH: join(root, "images/worker/src"),
      MODEL,
      TICKET_ISSUER: iss,
      TICKET_JWKS: JSON.stringify(jwks),
      ENGINE_BASE_URL: engineUrl,
      MODEL_VERSION_FILE: version,
      TOKENIZER_FILE: tokenizer,
      CHAT_TEMPLATE_FILE: join(root, "images", MODEL, "chat_template.jinja"),
      ...platformEnvironment({ workerId: "w1", endpointId: "ep", aiKey: "key" }, jobApiUrl),
    },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const makeInput = async () => ({ text: "こんばんは", ticket: (await signTicket(grant, key, new Date())).ticket });
  return { worker, makeInput };
}

function cacheShares(python: string): WorkerBench["cacheShare"] {
  return JSON.parse(pythonOnce(python, ["-m", "tests.prefix_cache"]));
}

/** Runs a Python script that may import the worker's tests, and returns its output. */
function pythonOnce(python: string, args: string[]): string {
  return execFileSync(python, args, { encoding: "utf8", cwd: join(root, "images/worker") });
}
