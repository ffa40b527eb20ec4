import type { JWK } from "jose";
import { type Model, models } from "../contract/plan";
import { readEndpointReport } from "../runpod/endpointReport";
import { getHealth } from "../runpod/health";
import { callJson } from "../runpod/http";
import { healthMetrics } from "./core/endpointState";
import { isDetail, type MetricName } from "./core/metrics";
import { planLimits } from "./core/planLimits";
import { signTicket } from "./core/ticket";
import { raiseAlarm } from "./lib/alarms";
import { causesText, logCauses } from "./lib/causes";
import { putMetrics } from "./lib/metrics";
import { createParameters } from "./lib/parameters";
import { createKeepAlives } from "./tables/keepAlives";

/** Settings of the poller: names and URLs, never a secret. */
export interface Settings {
  /** Base URL of RunPod's control plane, without `/v2`. */
  runpodApiUrl: string;
  /** Base URL of the job API, with `/v2`. */
  runpodJobApiUrl: string;
  /** SSM parameter with the account's RunPod key. */
  runpodKeyParameter: string;
  /** RunPod's id of each model's endpoint, and the configured maximum of its workers. */
  endpoints: Record<Model, { id: string; workersMax: number }>;
  /** SSM parameter with the time at which the registry token expires. Undefined without such a token. */
  tokenExpiryParameter?: string;
  ephemeralTable: string;
  ticketIssuer: string;
  /** SSM parameter with the private JWK that signs tickets. */
  signingKeyParameter: string;
  /** `few` leaves out the details of the endpoints. */
  metrics: "all" | "few";
}

/** Lifetime of an ECR token. */
const TOKEN_SECONDS = 12 * 3_600;
/**
 * RunPod lowers the maximum of an endpoint's workers to 2 after three days without a job, and to 0 after seven (RunPod's
 * documentation of Serverless endpoints).
 */
const KEEP_ALIVE_SECONDS = 48 * 3_600;
/** Time that a keep-alive job may wait for a worker to start. */
const KEEP_ALIVE_JOB_SECONDS = 900;
const CALL_TIMEOUT_MS = 8_000;

/**
 * Runs each minute. Publishes RunPod's numbers of each endpoint and the age of the registry token as metrics, and sends a
 * keep-alive job to each endpoint every 48 hours. An endpoint that cannot be read has no metrics in that minute.
 */
export function create(settings: Settings): () => Promise<void> {
  const parameter = createParameters();
  const keepAlives = createKeepAlives(settings.ephemeralTable);
  const failedBefore = new Map<Model, number>();

  /** Publishes the metrics of one endpoint. */
  async function poll(model: Model, apiKey: string): Promise<void> {
    const { id, workersMax } = settings.endpoints[model];
    const call = { apiKey, timeoutMs: CALL_TIMEOUT_MS };
    const [{ status, health }, report] = await Promise.all([
      getHealth({ ...call, url: settings.runpodJobApiUrl }, id),
      readEndpointReport({ ...call, url: settings.runpodApiUrl }, id),
    ]);
    if (!health) throw new Error(`RunPod answered /health with ${status}`);
    const { rolloutPercent } = report;
    const values: Partial<Record<MetricName, number>> = {
      ...healthMetrics(health, failedBefore.get(model)),
      ...(rolloutPercent !== undefined && { RolloutPercent: rolloutPercent }),
      EndpointShrunk: Number(report.workersMax < workersMax),
      HourlyUsd: report.hourlyUsd,
    };
    failedBefore.set(model, health.jobs.failed);
    const isWanted = ([name]: [string, number]) => settings.metrics === "all" || !isDetail(name as MetricName);
    putMetrics(Object.fromEntries(Object.entries(values).filter(isWanted)), { model });
  }

  async function publishTokenAge(name: string): Promise<void> {
    // Not cached: the renewal changes the parameter.
    const expiresAt = Date.parse(await parameter(name, 0));
    // Before the first renewal there is no token.
    if (Number.isNaN(expiresAt)) return;
    putMetrics({ RegistryTokenAgeSeconds: TOKEN_SECONDS - (expiresAt - Date.now()) / 1000 });
  }

  /** Sends a keep-alive job when the last one is 48 hours old. A worker recognises the job by its ticket. */
  async function keepAlive(model: Model, apiKey: string): Promise<void> {
    const { id } = settings.endpoints[model];
    const now = new Date();
    if (!(await keepAlives.claim(id, KEEP_ALIVE_SECONDS, now))) return;
    try {
      const key = JSON.parse(await parameter(settings.signingKeyParameter)) as JWK;
      const claims = {
        iss: settings.ticketIssuer,
        sub: "keepalive",
        aud: model,
        plan: "free",
        limits: planLimits.free,
      };
      const grant = { ...claims, plan: "free", kind: "keepalive" } as const;
      const { ticket } = await signTicket(grant, key, now, KEEP_ALIVE_JOB_SECONDS);
      const { status } = await callJson({
        operation: "run",
        method: "POST",
        url: `${settings.runpodJobApiUrl.replace(/\/+$/, "")}/${encodeURIComponent(id)}/run`,
        apiKey,
        // Workers of older versions answer the text.
        body: { input: { text: "こんばんは", stream: false, ticket }, policy: { ttl: KEEP_ALIVE_JOB_SECONDS * 1_000 } },
        timeoutMs: CALL_TIMEOUT_MS,
      });
      if (status !== 200) throw new Error(`RunPod answered /run with ${status}`);
      console.log({ keepAlive: model });
    } catch (error) {
      await keepAlives.release(id);
      throw error;
    }
  }

  return logCauses(async () => {
    const apiKey = await parameter(settings.runpodKeyParameter);
    const each = models.flatMap((model) => [
      poll(model, apiKey).catch((error) => raiseAlarm("runpod_unreadable", { model, cause: causesText(error) })),
      keepAlive(model, apiKey).catch((error) => raiseAlarm("keep_alive_failed", { model, cause: causesText(error) })),
    ]);
    await Promise.all([...each, settings.tokenExpiryParameter && publishTokenAge(settings.tokenExpiryParameter)]);
  });
}
