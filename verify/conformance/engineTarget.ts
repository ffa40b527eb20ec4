import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, type JWK } from "jose";
import { type Model, modelPlans, models } from "../../contract/plan";
import { signTicket, TICKET_SECONDS } from "../../functions/core/ticket";
import { modelFacts } from "../../images/models";
import { type RunpodDouble, startRunpod } from "../../local/runpod/server";
import { createWorkerEndpoint } from "../../local/runpod/workerEndpoint";
import { Events } from "../../local/support/events";
import type { Target } from "./target";

/** A served model, and the Python of an environment with the worker's packages. */
export interface ServedModel {
  model: Model;
  /** OpenAI-compatible base URL of the engine, with `/v1`. */
  engineUrl: string;
  /** `tokenizer.json` of the served weights. */
  tokenizer: string;
  python: string;
}

const KEY = "account-key";
const ISSUER = "snack-misaki/training";
const LIMITS = { max_tokens: 512, max_messages: 40, max_input_chars: 2_000 };

/**
 * Calls `use` with an endpoint whose worker is the real one, in front of a running engine. The RunPod double runs the
 * worker. Nothing else of the local cloud is started.
 */
export async function withEngineTarget<T>(served: ServedModel, use: (target: Target) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-engine-"));
  let double: RunpodDouble | undefined;
  try {
    double = await startRunpod({
      port: 0,
      dir,
      isInMemory: true,
      keys: [{ key: KEY, scope: "account" }],
      engineUrl: served.engineUrl,
      python: served.python,
      resolveImage: () => ({ version: "candidate" }),
      events: new Events(),
    });
    return await use(await engineTarget(served, double));
  } finally {
    await double?.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function engineTarget({ model, tokenizer }: ServedModel, double: RunpodDouble): Promise<Target> {
  const { privateKey, publicKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const key: JWK = { ...(await exportJWK(privateKey)), kid: "candidate" };
  const jwk = { ...(await exportJWK(publicKey)), kid: "candidate", alg: "EdDSA", use: "sig" };
  const id = await createWorkerEndpoint(
    { graphqlUrl: double.graphqlUrl, key: KEY },
    {
      MODEL: model,
      CONTEXT_TOKENS: String(modelFacts[model].contextTokens),
      MAX_CONCURRENCY: String(modelFacts[model].maxConcurrency),
      TICKET_ISSUER: ISSUER,
      TICKET_JWKS: JSON.stringify({ keys: [jwk] }),
      TOKENIZER_FILE: tokenizer,
      CHAT_TEMPLATE_FILE: join(process.cwd(), "images", model, "chat_template.jinja"),
    },
  );
  const ticketFor = async (
    audience: Model,
    { at = Date.now(), ...claims }: { at?: number; endpoint?: string } = {},
  ) => {
    const plan = modelPlans[audience];
    const grant = { iss: ISSUER, sub: "candidate", aud: audience, plan, limits: LIMITS, ...claims };
    return (await signTicket(grant, key, new Date(at))).ticket;
  };
  const other = models.find((each) => each !== model);
  return {
    name: model,
    endpoint: { url: `${double.jobApiUrl}/${id}`, authorization: `Bearer ${KEY}` },
    values: async () => ({
      model,
      limits: LIMITS,
      ticket: await ticketFor(model),
      expiredTicket: await ticketFor(model, { at: Date.now() - 10 * TICKET_SECONDS * 1_000 }),
      otherModelsTicket: other && (await ticketFor(other)),
      ownEndpointsTicket: await ticketFor(model, { endpoint: id }),
      otherEndpointsTicket: await ticketFor(model, { endpoint: "another" }),
    }),
  };
}
