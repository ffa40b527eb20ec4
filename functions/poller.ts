import type { JWK } from "jose";
import { type Model, models } from "../contract/plan";
import { endpointReport } from "../runpod/endpointReport";
import { getHealth } from "../runpod/health";
import { unexpectedResponse } from "../runpod/http";
import { healthMetrics } from "./core/endpointState";
import { isDetail, type MetricName } from "./core/metrics";
import { raiseAlarm } from "./lib/alarms";
import { causesText, logCauses } from "./lib/causes";
import { KEEP_ALIVE_SECONDS, sendKeepAlive } from "./lib/keepAliveJob";
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
  /** `few` omits the metrics that core/metrics.ts marks with `isDetail`. */
  metrics: "all" | "few";
}

/** Lifetime of an ECR token. */
const TOKEN_SECONDS = 12 * 3_600;
/** A keep-alive job that could not be sent is sent again after this time. */
const KEEP_ALIVE_LEASE_SECONDS = 600;
const CALL_TIMEOUT_MS = 8_000;
/**
 * Interval between two reads of an endpoint's costs. RunPod's bill has one amount per hour. The amount of the current hour
 * grows, and the amount of the previous hour may be late.
 */
const COSTS_EVERY_MS = 10 * 60_000;
/**
 * Maximum age of the previous count of failed jobs. If the count is older, another container has probably published
 * these failures.
 */
const MAX_COUNT_AGE_MS = 5 * 60_000;

/** Values of an endpoint's metrics. A value that is not known is undefined. */
type Values = Partial<Record<MetricName, number | undefined>>;

/**
 * Runs each minute. Publishes RunPod's numbers of each endpoint and the age of the registry token as metrics, and sends a
 * keep-alive job to each endpoint every 48 hours. Values that cannot be read have no metrics in that minute.
 */
export function create(settings: Settings): () => Promise<void> {
  const parameter = createParameters();
  const keepAlives = createKeepAlives(settings.ephemeralTable);
  /** Each endpoint's count of failed jobs, and the time of the read in milliseconds since the epoch. */
  const failedJobs = new Map<Model, { count: number; readAt: number }>();
  /** Time at which this container last read an endpoint's costs, in milliseconds since the epoch. */
  const costsReadAt = new Map<Model, number>();

  function publish(model: Model, values: Values): void {
    const isWanted = ([name, value]: [string, number | undefined]) =>
      value !== undefined && (settings.metrics === "all" || !isDetail(name as MetricName));
    const wanted = Object.fromEntries(Object.entries(values).filter(isWanted));
    if (Object.keys(wanted).length > 0) putMetrics(wanted, { model });
  }

  async function readHealth(model: Model, apiKey: string): Promise<Values> {
    const { id } = settings.endpoints[model];
    const call = { apiKey, timeoutMs: CALL_TIMEOUT_MS, url: settings.runpodJobApiUrl };
    const { status, health } = await getHealth(call, id);
    if (!health) throw new Error(unexpectedResponse("/health", status));
    const before = failedJobs.get(model);
    const now = Date.now();
    failedJobs.set(model, { count: health.jobs.failed, readAt: now });
    return healthMetrics(health, before && now - before.readAt <= MAX_COUNT_AGE_MS ? before.count : undefined);
  }

  async function readCosts(model: Model, read: () => Promise<number>): Promise<Values> {
    const now = Date.now();
    if (now - (costsReadAt.get(model) ?? 0) < COSTS_EVERY_MS) return {};
    const HourlyUsd = await read();
    costsReadAt.set(model, now);
    return { HourlyUsd };
  }

  /** Reads one endpoint and publishes its metrics, each part as soon as RunPod has answered. */
  async function poll(model: Model, apiKey: string): Promise<void> {
    const { id, workersMax } = settings.endpoints[model];
    const report = endpointReport({ apiKey, timeoutMs: CALL_TIMEOUT_MS, url: settings.runpodApiUrl }, id);
    const parts: Record<string, () => Promise<Values>> = {
      health: () => readHealth(model, apiKey),
      endpoint: async () => ({ EndpointShrunk: Number((await report.workersMax()) < workersMax) }),
      rollout: async () => ({ RolloutPercent: await report.rolloutPercent() }),
      costs: () => readCosts(model, report.hourlyUsd),
    };
    const failed: Record<string, string> = {};
    const publishPart = async ([part, read]: [string, () => Promise<Values>]) => {
      try {
        publish(model, await read());
      } catch (error) {
        failed[part] = causesText(error);
      }
    };
    await Promise.all(Object.entries(parts).map(publishPart));
    // One line for all parts, because the alarm counts lines.
    if (Object.keys(failed).length > 0) raiseAlarm("runpod_unreadable", { model, failed });
  }

  async function publishTokenAge(name: string): Promise<void> {
    // Not cached: the renewal changes the parameter.
    const expiresAt = Date.parse(await parameter(name, 0));
    // Before the first renewal there is no token.
    if (Number.isNaN(expiresAt)) return;
    putMetrics({ RegistryTokenAgeSeconds: TOKEN_SECONDS - (expiresAt - Date.now()) / 1000 });
  }

  /** Sends a keep-alive job when one is due. */
  async function keepAlive(model: Model, apiKey: string): Promise<void> {
    const { id } = settings.endpoints[model];
    const now = new Date();
    if (!(await keepAlives.claim(id, KEEP_ALIVE_LEASE_SECONDS, now))) return;
    const signingKey = JSON.parse(await parameter(settings.signingKeyParameter)) as JWK;
    const { runpodJobApiUrl: url, ticketIssuer } = settings;
    await sendKeepAlive(
      { model, endpoint: id, url, apiKey, timeoutMs: CALL_TIMEOUT_MS, ticketIssuer, signingKey },
      now,
    );
    await keepAlives.sent(id, KEEP_ALIVE_SECONDS, now);
    console.log({ keepAlive: model });
  }

  return logCauses(async () => {
    const apiKey = await parameter(settings.runpodKeyParameter);
    const each = models.flatMap((model) => [
      poll(model, apiKey),
      keepAlive(model, apiKey).catch((error) => raiseAlarm("keep_alive_failed", { model, cause: causesText(error) })),
    ]);
    // An error ends the function. So the error of one part is thrown only after the other parts are done.
    const ended = await Promise.allSettled([
      ...each,
      settings.tokenExpiryParameter && publishTokenAge(settings.tokenExpiryParameter),
    ]);
    const failure = ended.find((one) => one.status === "rejected");
    if (failure) throw failure.reason;
  });
}
