import { EventSourceParserStream } from "eventsource-parser/stream";
import { z } from "zod";
import type { ApiOptions } from "../client";
import { openStream } from "../http";
import { type Listing, nullable, optionalText, text } from "../nullable";
import { itemPath, restRequests } from "./request";

/** Settings of a new GPU pod. The environment must contain references to secrets, never their values. */
interface PodSettings {
  name: string;
  imageName: string;
  /** Container disk in GB. */
  diskGb: number;
  env: Record<string, string>;
  /** RunPod's id of a GPU type. RunPod does not try another type. */
  gpuType: string;
  minCudaVersion: string;
  registryAuthId: string | undefined;
}

/** A pod as RunPod returns it. */
const podRecord = z.object({
  id: z.string(),
  name: text,
  status: text,
  /** Current cost in US dollars per hour; 0 for a pod without compute. */
  cost: nullable(z.number(), 0),
  createdAt: text,
  startedAt: optionalText,
});
export type PodRecord = z.infer<typeof podRecord>;

const gpuType = z.object({
  id: z.string(),
  /** GB. */
  memory: nullable(z.number(), 0),
  /** Price of a pod in RunPod's data centers, in US dollars per hour. */
  price: z.object({ secure: z.number().nullish() }).transform(({ secure }) => secure ?? undefined),
  /** `NONE`, `LOW`, `MEDIUM` or `HIGH`. */
  availability: text,
});
export type GpuOffer = z.infer<typeof gpuType>;

const logEntry = z.object({ source: text, line: text, ts: text });

/** A line of a pod's log. */
export interface PodLogLine {
  /** Id with which a later stream continues after this line. */
  id: string | undefined;
  /** `container`: the program. `system`: RunPod's host. */
  source: string;
  line: string;
  /** ISO 8601. */
  ts: string;
}

/** Number of earlier lines at the start of a log stream. RunPod allows at most 5000. */
const LOG_TAIL = 5_000;

/** Calls of REST v2 for GPU pods (RunPod's OpenAPI document, September 2026). GraphQL is not used for pods. */
export interface PodApi {
  /** Lists all pods except members of clusters. */
  listPods(): Promise<Listing<PodRecord>>;
  /** Undefined when the pod does not exist. */
  getPod(id: string): Promise<PodRecord | undefined>;
  /**
   * Creates a pod. Never retries: RunPod has no idempotency key, and two pods can have the same name. Use this method
   * with `createOnce`.
   */
  createPod(settings: PodSettings): Promise<PodRecord>;
  /** Terminates a pod. Also succeeds when the pod does not exist. */
  deletePod(id: string): Promise<void>;
  /** Lists the GPU types with prices and with the current stock for pods. */
  listGpuOffers(): Promise<Listing<GpuOffer>>;
  /**
   * Streams the lines of a pod's log until the connection ends.
   *
   * @throws Error when the connection fails, or when `signal` aborts it
   */
  podLog(id: string, signal: AbortSignal, lastEventId?: string): AsyncGenerator<PodLogLine>;
}

/** Creates the calls for pods. */
export function podApi(options: ApiOptions): PodApi {
  const { send, list, get, remove } = restRequests(options);
  return {
    listPods: () => list("pods", "pods", podRecord),
    getPod: (id) => get("getPod", itemPath("pods", id), podRecord),
    createPod: (settings) =>
      send({ operation: "createPod", method: "POST", path: "/pods", body: podBody(settings), response: podRecord }),
    deletePod: (id) => remove("deletePod", itemPath("pods", id)),
    listGpuOffers: () => list("catalog/gpus?include=AVAILABILITY&product=POD", "gpus", gpuType),
    podLog: (id, signal, lastEventId) => readLog(options, id, signal, lastEventId),
  };
}

function podBody({ name, imageName, diskGb, env, gpuType, minCudaVersion, registryAuthId }: PodSettings) {
  return {
    name,
    image: imageName,
    disk: diskGb,
    env,
    registry: registryAuthId ?? null,
    gpu: { id: gpuType, count: 1, minCudaVersion },
    cloud: "SECURE",
    startSsh: false,
    startJupyter: false,
  };
}

async function* readLog(
  { url, apiKey }: ApiOptions,
  id: string,
  signal: AbortSignal,
  lastEventId: string | undefined,
): AsyncGenerator<PodLogLine> {
  const path = `${url.replace(/\/+$/, "")}/v2${itemPath("pods", id)}/logs?tail=${LOG_TAIL}`;
  const response = await openStream(path, apiKey, signal, lastEventId);
  if (!response.ok || !response.body) throw new Error(`RunPod refused the log of pod ${id}: HTTP ${response.status}`);
  const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  for await (const { id: eventId, data } of events) {
    const entry = logEntry.safeParse(parsed(data)).data;
    if (entry) yield { ...entry, id: eventId };
  }
}

function parsed(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}
