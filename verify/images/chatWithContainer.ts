import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exportJWK, generateKeyPair, type JSONWebKeySet } from "jose";
import { type Model, modelPlans } from "../../contract/plan";
import { StreamItem } from "../../contract/worker";
import { signTicket } from "../../functions/core/ticket";
import { type RunpodDouble, startRunpod } from "../../local/runpod/server";
import { createWorkerEndpoint } from "../../local/runpod/workerEndpoint";
import type { RunningWorker } from "../../local/runpod/workers/worker";
import { Events } from "../../local/support/events";
import { freePort } from "../../local/support/ports";
import type { Container } from "./container";

/** Result of a chat with a container. */
export interface Chat {
  /** Milliseconds from the start of the container to the first complete reply. */
  firstReplyMs: number;
  reply: string;
  /** Number of pieces of the second reply. SIGTERM was sent after the first piece. */
  pieces: number;
  /** Version of the weights, reported by the container. */
  version: string;
  exitCode: number | string;
}

const ACCOUNT_KEY = "account-key";
const ISSUER = "snack-misaki/images";
const LIMIT_MS = 90_000;
const POLL_MS = 50;
/** Pause in seconds between the two pieces of the engine's reply. SIGTERM must arrive during this pause. */
const REPLY_PAUSE_S = "1";

/**
 * Starts a container like a RunPod worker, and sends it two messages through the RunPod double's job API. Sends SIGTERM
 * during the second reply. The container must still finish the reply and exit with status 0.
 *
 * @param start starts the container. Its argument contains the variables of the endpoint's template and the variables
 * that RunPod sets
 * @throws Error with the first wrong result and the container's output
 */
export async function chatWithContainer(
  model: Model,
  start: (env: Record<string, string>) => Container,
  signal: AbortSignal,
): Promise<Chat> {
  const dir = mkdtempSync(join(tmpdir(), "snack-images-"));
  const launcher = new ContainerLauncher(start);
  const double = await startRunpod({
    port: 0,
    dir,
    keys: [{ key: ACCOUNT_KEY, scope: "account" }],
    engineUrl: "http://127.0.0.1:9/v1",
    python: undefined,
    resolveImage: () => ({ version: "unused" }),
    events: new Events(),
    startWorker: (env) => launcher.launch(env),
  });
  try {
    return await chat(model, double, launcher, signal);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`${model}: ${message}\nOutput of the container:\n${launcher.log()}`, { cause: error });
  } finally {
    launcher.container?.kill();
    await double.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function chat(
  model: Model,
  double: RunpodDouble,
  launcher: ContainerLauncher,
  signal: AbortSignal,
): Promise<Chat> {
  const { jwks, ticket } = await signTicketFor(model);
  const input = { text: "こんばんは", ticket };
  const call = caller(signal);
  const startedAt = Date.now();
  const endpointId = await createWorkerEndpoint(
    { graphqlUrl: double.graphqlUrl, key: ACCOUNT_KEY },
    {
      MODEL: model,
      TICKET_ISSUER: ISSUER,
      TICKET_JWKS: JSON.stringify(jwks),
      // The engine needs a free port, because the containers share this machine's network.
      ENGINE_PORT: String(await freePort()),
      VLLM_STUB_REPLY_S: REPLY_PAUSE_S,
    },
  );
  const api = `${double.jobApiUrl}/${endpointId}`;

  /** Polls until `read` returns a result. `expected` names the result in the error of a timeout. */
  const poll = async (expected: string, read: () => Promise<Json | undefined>) => {
    while (Date.now() - startedAt < LIMIT_MS) {
      const result = await read();
      if (result) return result;
      if (launcher.exitCode !== undefined) throw new Error(`the entry point exited with ${launcher.exitCode}`);
      await sleep(POLL_MS, undefined, { signal });
    }
    throw new Error(`no ${expected} within ${LIMIT_MS / 1000} s`);
  };
  const finishedJob = (id: unknown) => async () => {
    const job = await call(`${api}/status/${id}`);
    return job.status === "COMPLETED" || job.status === "FAILED" ? job : undefined;
  };

  const firstJob = await call(`${api}/run`, { input });
  const first = readReply(await poll("reply", finishedJob(firstJob.id)));
  const firstReplyMs = Date.now() - startedAt;

  const secondJob = await call(`${api}/run`, { input });
  await poll("streamed piece", async () => {
    const { stream } = await call(`${api}/stream/${secondJob.id}`);
    return Array.isArray(stream) && stream.length > 0 ? {} : undefined;
  });
  launcher.container?.terminate();
  const second = readReply(await poll("complete reply after SIGTERM", finishedJob(secondJob.id)));
  if (second.text !== first.text) throw new Error(`SIGTERM changed the reply: ${second.text}`);
  // The worker can still have an open request for jobs. Closing the RunPod double ends this request.
  await double.close();
  const exitCode = (await launcher.container?.ended) ?? "not started";
  if (exitCode !== 0) throw new Error(`the worker exited with ${exitCode} after SIGTERM`);
  return { firstReplyMs, reply: first.text, pieces: second.pieces, version: first.model.version, exitCode };
}

/** Runs the RunPod double's first worker as a container. Ignores later workers. */
class ContainerLauncher {
  container: Container | undefined;
  /** Exit code or signal of the container; undefined while it runs. */
  exitCode: number | string | undefined;

  constructor(private readonly start: (env: Record<string, string>) => Container) {}

  launch({ ENGINE_BASE_URL: _, MODEL_VERSION_FILE: __, ...env }: Record<string, string>): RunningWorker {
    if (this.container) return idleWorker();
    this.container = this.start(env);
    void this.container.ended.then((code) => {
      this.exitCode = code;
    });
    return containerWorker(this.container);
  }

  log(): string {
    return this.container?.log() ?? "(not started)";
  }
}

function containerWorker(container: Container): RunningWorker {
  return {
    exited: container.ended.then(() => undefined),
    // Like RunPod, sends SIGTERM first, and SIGKILL after a time limit.
    stop: async () => {
      container.terminate();
      const timer = setTimeout(() => container.kill(), LIMIT_MS);
      await container.ended;
      clearTimeout(timer);
    },
  };
}

function idleWorker(): RunningWorker {
  const stopped = Promise.withResolvers<undefined>();
  return { exited: stopped.promise, stop: async () => stopped.resolve(undefined) };
}

/** Creates a key pair, and signs a ticket with it. */
async function signTicketFor(model: Model): Promise<{ jwks: JSONWebKeySet; ticket: string }> {
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { extractable: true });
  const limits = { max_tokens: 200, max_messages: 10, max_input_chars: 500 };
  const grant = { iss: ISSUER, sub: "guest:1", aud: model, plan: modelPlans[model], limits };
  const { ticket } = await signTicket(grant, { ...(await exportJWK(privateKey)), kid: "k1" }, new Date());
  return { jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: "k1", alg: "EdDSA" }] }, ticket };
}

type Json = Record<string, unknown>;
type Call = (url: string, body?: unknown) => Promise<Json>;

/**
 * Returns a function that sends a GET request, or a POST request when there is a body, and returns the JSON of the
 * response.
 */
function caller(signal: AbortSignal): Call {
  return async (url, body) => {
    const response = await fetch(url, {
      ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
      headers: { authorization: `Bearer ${ACCOUNT_KEY}`, "content-type": "application/json" },
      signal: AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]),
    });
    return (await response.json()) as Json;
  };
}

/**
 * Reads the reply of a finished job. Throws when the job has not completed, or when the joined deltas differ from the
 * reply.
 */
function readReply({ status, output, error }: Json) {
  if (status !== "COMPLETED") throw new Error(`the job failed: ${error}`);
  const items = (output as unknown[]).map((item) => StreamItem.parse(item));
  const done = items.at(-1);
  const deltas = items.flatMap((item) => ("delta" in item ? [item.delta] : []));
  if (!done || !("done" in done) || done.text !== deltas.join(""))
    throw new Error(`invalid reply: ${JSON.stringify(output)}`);
  return { ...done, pieces: deltas.length };
}
