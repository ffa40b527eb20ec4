import type { JWK } from "jose";
import type { Model } from "../../contract/plan";
import { callJson, unexpectedResponse } from "../../runpod/http";
import { planLimits } from "../core/planLimits";
import { signTicket } from "../core/ticket";

/**
 * RunPod lowers the maximum of an endpoint's workers to 2 after three days without a job, and to 0 after seven (RunPod's
 * documentation of Serverless endpoints). So each endpoint gets a job after this time.
 */
export const KEEP_ALIVE_SECONDS = 48 * 3_600;
/** Time that a keep-alive job may wait for a worker to start. */
const JOB_SECONDS = 900;

/** A keep-alive job, and what it needs. */
export interface KeepAliveJob {
  model: Model;
  /** RunPod's id of the endpoint. */
  endpoint: string;
  /** Whether only this endpoint accepts the ticket. */
  isBound?: boolean;
  /** Base URL of the job API, with `/v2`. */
  url: string;
  apiKey: string;
  timeoutMs: number;
  ticketIssuer: string;
  /** Private JWK that signs the ticket. */
  signingKey: JWK;
}

/**
 * Sends a job that keeps an endpoint in use. A worker recognises the job by its ticket, and answers without its engine.
 *
 * @returns RunPod's id of the job
 * @throws Error when RunPod does not accept the job
 */
export async function sendKeepAlive(job: KeepAliveJob, now: Date): Promise<string> {
  const { model, endpoint, isBound, url, apiKey, timeoutMs, ticketIssuer, signingKey } = job;
  const grant = {
    iss: ticketIssuer,
    sub: "keepalive",
    aud: model,
    plan: "free",
    limits: planLimits.free,
    kind: "keepalive",
    ...(isBound && { endpoint }),
  } as const;
  const { ticket } = await signTicket(grant, signingKey, now, JOB_SECONDS);
  const { status, body } = await callJson({
    operation: "run",
    method: "POST",
    url: `${url.replace(/\/+$/, "")}/${encodeURIComponent(endpoint)}/run`,
    apiKey,
    // Workers of older versions answer the text.
    body: { input: { text: "こんばんは", stream: false, ticket }, policy: { ttl: JOB_SECONDS * 1_000 } },
    timeoutMs,
  });
  if (status !== 200) throw new Error(unexpectedResponse("/run", status));
  const { id } = (body ?? {}) as { id?: unknown };
  if (typeof id !== "string") throw new Error("RunPod answered /run without a job id");
  return id;
}
