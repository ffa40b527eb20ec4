import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { exportJWK, generateKeyPair } from "jose";
import type { Model } from "../../contract/plan";
import { StreamItem } from "../../contract/worker";
import { signTicket } from "../../functions/core/ticket";
import { startRunpod } from "../../local/runpod/server";
import type { RunningWorker } from "../../local/runpod/workers/workers";
import { Events } from "../../local/support/events";
import { freePort } from "../../local/support/ports";
import type { Container } from "./container";

/** How a container answered. */
export interface Chat {
  /** Milliseconds from the container's start to the first whole reply. */
  firstReplyMs: number;
  reply: string;
  /** Pieces the second reply came in; SIGTERM was sent after the first of them. */
  pieces: number;
  /** What the container says of the weights' version. */
  version: string;
  exitCode: number | string;
}

const ACCOUNT_KEY = "account-key";
const ISSUER = "snack-misaki/images";
const LIMIT_MS = 90_000;
const POLL_MS = 50;
/** Between the words of the engine's reply, so that SIGTERM comes in the middle of one. */
const REPLY_PAUSE_S = "1";

/**
 * Starts a container as RunPod starts a worker and chats with it through the RunPod double's job API: once for a whole
 * reply, and once more with a SIGTERM in the middle of the reply, which must still be finished.
 *
 * @param start starts the container with what its template and the platform add to its environment
 * @throws Error that says what was not as it must be
 */
export async function chatWith(
  model: Model,
  start: (env: Record<string, string>) => Container,
  signal: AbortSignal,
): Promise<Chat> {
  const dir = mkdtempSync(join(tmpdir(), "snack-images-"));
  let container: Container | undefined;
  let ended: number | string | undefined;
  const double = await startRunpod({
    port: 0,
    dir,
    keys: [{ key: ACCOUNT_KEY, scope: "account" }],
    engineUrl: "http://127.0.0.1:9/v1",
    python: undefined,
    resolveImage: () => ({ version: "the image's own" }),
    events: new Events(),
    startWorker: ({ ENGINE_BASE_URL: _, MODEL_VERSION_FILE: __, ...env }) => {
      // Another one is not wanted when the first has ended.
      if (container) return neverReady();
      container = start(env);
      void container.ended.then((code) => {
        ended = code;
      });
      return asWorker(container);
    },
  });
  try {
    const { privateKey, publicKey } = await generateKeyPair("EdDSA", { extractable: true });
    const jwk = { ...(await exportJWK(privateKey)), kid: "k1" };
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "k1", alg: "EdDSA" }] };
    const limits = { max_tokens: 200, max_messages: 10, max_input_chars: 500 };
    const grant = { iss: ISSUER, sub: "guest:1", aud: model, plan: "free", limits } as const;
    const input = { text: "こんばんは", ticket: (await signTicket(grant, jwk, new Date())).ticket };

    const call = async (url: string, body?: unknown) => {
      const response = await fetch(url, {
        ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
        headers: { authorization: `Bearer ${ACCOUNT_KEY}`, "content-type": "application/json" },
        signal: AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]),
      });
      return (await response.json()) as Record<string, unknown>;
    };
    const started = Date.now();
    const endpoint = await deploy(call, double.graphqlUrl, {
      MODEL: model,
      TICKET_ISSUER: ISSUER,
      TICKET_JWKS: JSON.stringify(jwks),
      // The containers share this machine's network.
      ENGINE_PORT: String(await freePort()),
      VLLM_STUB_REPLY_S: REPLY_PAUSE_S,
    });
    const api = `${double.jobApiUrl}/${endpoint}`;
    const until = async (what: string, read: () => Promise<Record<string, unknown> | undefined>) => {
      while (Date.now() - started < LIMIT_MS) {
        const found = await read();
        if (found) return found;
        if (ended) throw new Error(`${model}: its entry point ended with ${ended} and says:\n${container?.log()}`);
        await sleep(POLL_MS, undefined, { signal });
      }
      throw new Error(`${model}: ${what} within ${LIMIT_MS / 1000} s. The container says:\n${container?.log()}`);
    };
    const result = (id: unknown) => async () => {
      const job = await call(`${api}/status/${id}`);
      return job.status === "COMPLETED" || job.status === "FAILED" ? job : undefined;
    };

    const first = await until("no reply", result((await call(`${api}/run`, { input })).id));
    const firstReplyMs = Date.now() - started;
    const { text: reply, model: about } = readReply(first);

    const { id } = await call(`${api}/run`, { input });
    await until("nothing streamed", async () => {
      const { stream } = await call(`${api}/stream/${id}`);
      return Array.isArray(stream) && stream.length > 0 ? {} : undefined;
    });
    container?.terminate();
    const second = readReply(await until("no end of the reply after SIGTERM", result(id)));
    if (second.text !== reply) throw new Error(`${model}: SIGTERM changed the reply: ${second.text}`);
    // It may wait for its last request for jobs, which the platform answers when it stops the worker.
    await double.close();
    const exitCode = (await container?.ended) ?? "not started";
    if (exitCode !== 0) throw new Error(`${model}: SIGTERM ended the worker with ${exitCode}\n${container?.log()}`);
    return { firstReplyMs, reply, pieces: second.pieces, version: about.version, exitCode };
  } finally {
    container?.kill();
    await double.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

type Call = (url: string, body?: unknown) => Promise<Record<string, unknown>>;

/** A template with these variables and an endpoint on it; gives the endpoint's id. */
async function deploy(call: Call, graphqlUrl: string, variables: Record<string, string>): Promise<string> {
  const save = async (kind: string, query: string, input: object): Promise<string> => {
    const { data, errors } = (await call(graphqlUrl, { query, variables: { input } })) as {
      data?: Record<string, { id: string }>;
      errors?: unknown;
    };
    const id = data?.[kind]?.id;
    if (!id) throw new Error(`${kind}: ${JSON.stringify(errors)}`);
    return id;
  };
  const templateId = await save(
    "saveTemplate",
    "mutation ($input: SaveTemplateInput) { saveTemplate(input: $input) { id } }",
    {
      name: "cpu",
      imageName: "localhost/image:cpu",
      containerDiskInGb: 20,
      volumeInGb: 0,
      dockerArgs: "",
      env: Object.entries(variables).map(([key, value]) => ({ key, value })),
      isServerless: true,
    },
  );
  return save("saveEndpoint", "mutation ($input: EndpointInput!) { saveEndpoint(input: $input) { id } }", {
    name: "cpu",
    templateId,
    gpuIds: "AMPERE_16",
    workersMax: 1,
    idleTimeout: 600,
  });
}

function readReply({ status, output, error }: Record<string, unknown>) {
  if (status !== "COMPLETED") throw new Error(`the job failed: ${error}`);
  const items = (output as unknown[]).map((item) => StreamItem.parse(item));
  const done = items.at(-1);
  const deltas = items.flatMap((item) => ("delta" in item ? [item.delta] : []));
  if (!done || !("done" in done) || done.text !== deltas.join(""))
    throw new Error(`not a reply: ${JSON.stringify(output)}`);
  return { ...done, pieces: deltas.length };
}

/** Stopping ends a container as RunPod does: it is asked, and given time. */
function asWorker(container: Container): RunningWorker {
  return {
    exited: container.ended.then(() => undefined),
    stop: async () => {
      container.terminate();
      const patience = setTimeout(() => container.kill(), LIMIT_MS);
      await container.ended;
      clearTimeout(patience);
    },
  };
}

function neverReady(): RunningWorker {
  const stopped = Promise.withResolvers<undefined>();
  return { exited: stopped.promise, stop: async () => stopped.resolve(undefined) };
}
