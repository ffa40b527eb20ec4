import { statSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../../cli/root";
import type { Model } from "../../../contract/plan";
import type { ApiOptions } from "../../../runpod/client";
import { createOnce } from "../../../runpod/createOnce";
import { messageOf, RunpodError } from "../../../runpod/error";
import { type GpuOffer, type PodApi, type PodRecord, podApi } from "../../../runpod/rest/pods";
import { restRequests } from "../../../runpod/rest/request";
import { secretApi } from "../../../runpod/rest/secrets";
import type { Polling } from "../../../runpod/retry";
import { secretReference } from "../../../runpod/secretReference";
import { endPods } from "./endPods";
import { cents, describeEstimate, type Estimate, estimate, inStock } from "./estimate";
import { Hub, type HubOptions, type Pinned, type RunSummary, type Verdict } from "./hub";
import { epochsOf } from "./trainingConfig";
import { type WatchLimits, watchPod } from "./watchPod";

/** Prefix of the name of every pod of this command. `sweep` deletes only pods with this prefix. */
export const POD_PREFIX = "snack-misaki-train-";
/** Name of the RunPod secret with a Hugging Face token that may write to the repository of the result. */
export const TOKEN_SECRET = "snack_misaki_training_hf_token";
/** Name of the RunPod secret with the key of the judge. Needed only with a judge. */
export const JUDGE_SECRET = "snack_misaki_training_judge_key";
/** GPU types with at least 24 GB, the preferred type first. */
export const GPU_TYPES = ["NVIDIA GeForce RTX 4090", "NVIDIA A40", "NVIDIA L40S"];

/**
 * Disk size in GB: the image (35), the base, the serving model, the merged model and the upload (15 each), and a
 * reserve.
 */
const DISK_GB = 120;
/** The torch version in the lock file needs CUDA 13. */
const MIN_CUDA_VERSION = "13.0";
const HOUR_MS = 3_600_000;

/** Settings of one training. */
export interface PodRun {
  model: Model;
  /** `host/name@sha256:…`. */
  image: string;
  /** Private model repository at Hugging Face for the result. */
  repository: string;
  /** Data set at Hugging Face. Undefined: the starter set of the image. */
  dataset: Pinned | undefined;
  /** Final part of the pod's name. */
  runName: string;
  gpuTypes: readonly string[];
  maxHours: number;
  /** RunPod's id of the credential for a private image. */
  registryAuthId: string | undefined;
  /**
   * Judge that compares the candidate's replies with the serving model's replies. Undefined: the gate `pairwise` is not
   * measured.
   */
  judge: { url: string; model: string } | undefined;
}

/** Result of `npm run train -- <model> --on runpod --json`. */
export interface PodResult extends RunSummary, Pick<Verdict, "mayBePromoted" | "openGates" | "gates"> {
  model: Model;
  pod: string;
  gpuType: string;
  seconds: number;
  /** US dollars, from RunPod's hourly price. The bill can also contain a price for the disk. */
  dollars: number;
  repository: string;
  /** Commit of the repository. */
  revision: string;
  /** Address of the report. */
  report: string;
  /**
   * Next command for the operator, which writes repository and commit to `images/<model>/model.json`. Present only when
   * every gate has passed.
   */
  next?: string;
}

/** Time limits of a training. */
export interface Limits extends WatchLimits {
  /** Limits for reading RunPod's list after a create without a response. */
  settle: Polling;
  /** Milliseconds after a create without a response during which the pod may still appear. */
  landMs: number;
  /** Limits for the deletion of the pod. */
  end: Polling;
}

/** Limits for RunPod. */
export const limits: Limits = {
  pollMs: 15_000,
  // A new host needs up to an hour to pull the image of 35 GB.
  startMs: 75 * 60_000,
  lostMs: 10 * 60_000,
  settle: { intervalMs: 1_000, limitMs: 30_000 },
  landMs: 120_000,
  end: { intervalMs: 5_000, limitMs: 15 * 60_000 },
};

/** Services and callbacks of a training. */
export interface Surroundings {
  runpod: ApiOptions;
  hub: HubOptions;
  limits: Limits;
  tell(line: string): void;
  /** Asks the operator. Before this call returns true, the training costs no money. */
  confirm(question: string): Promise<boolean>;
  /** Aborted to end the training early. The reason of the abort is an Error whose message is one sentence. */
  signal: AbortSignal;
}

/**
 * Trains on a GPU pod at RunPod. Ends the pod in every case: success, failure, abort, time limit and lost network.
 *
 * @throws Error with the cause and with the state of the pod
 */
export async function trainOnRunpod(run: PodRun, around: Surroundings): Promise<PodResult> {
  const { tell, signal } = around;
  const api = podApi(around.runpod);
  const hub = new Hub(around.hub);
  const name = podName(run);
  const { offers, expected } = await prepare(run, name, api, hub, around);
  tell(`${name}: ${describeEstimate(expected)} within ${run.maxHours} h`);
  if (!(await around.confirm("Create the pod?"))) throw new Error("Stopped: no pod was created");
  signal.throwIfAborted();

  const paid = new PaidPod(api, name, around);
  const overtime = AbortSignal.timeout(run.maxHours * HOUR_MS);
  const watched = AbortSignal.any([signal, overtime]);
  try {
    const pod = await paid.create(run, offers);
    const revision = await watchPod({
      api,
      pod,
      limits: around.limits,
      findResult: () => hub.commitOf(run.repository, name),
      line: tell,
      secrets: [around.runpod.apiKey, around.hub.token],
      signal: watched,
    });
    await paid.end();
    return { pod: name, ...paid.bill(), ...(await readResult(hub, run, revision)) };
  } catch (error) {
    const cause =
      overtime.aborted && !signal.aborted ? `The time limit of ${run.maxHours} h is over` : messageOf(error);
    const fate = await paid.end().then(
      () => paid.fate(),
      (endError: unknown) => messageOf(endError),
    );
    throw new Error(`${cause.replace(/\.$/, "")}. ${fate}`, { cause: error });
  }
}

/** Reads the summary and the verdict of an uploaded candidate. */
async function readResult(hub: Hub, { model, repository }: PodRun, revision: string) {
  const place = { repository, revision };
  const summary = await hub.readRun(place);
  const verdict = await hub.readVerdict(place);
  if (!verdict)
    throw new Error(
      `The candidate ${repository}@${revision} has no report: the log says why its gates were not applied. ` +
        "Download the candidate, then run the steps measure, compare and gate of docs/training.md",
    );
  const { mayBePromoted, openGates, gates } = verdict;
  const next = mayBePromoted && { next: `npm run train -- propose ${model} ${repository} ${revision}` };
  const report = hub.reportUrl(place);
  return { model, repository, revision, ...summary, mayBePromoted, openGates, gates, report, ...next };
}

/** Name of the pod, which is also the tag of its result. */
function podName({ model, runName }: Pick<PodRun, "model" | "runName">): string {
  return `${POD_PREFIX}${model}-${runName}`;
}

/** Makes all checks that cost no money. */
async function prepare(run: PodRun, name: string, api: PodApi, hub: Hub, { runpod }: Surroundings) {
  await hub.requirePrivate(run.repository);
  if ((await api.listPods()).items.some((pod) => pod.name === name))
    throw new Error(
      `The pod ${name} already runs: choose another --run-name, or run: npm run train -- sweep --name ${name}`,
    );
  if (await hub.commitOf(run.repository, name)) throw new Error(`${run.repository} already has the result of ${name}`);
  const bytes = run.dataset ? await hub.datasetBytes(run.dataset) : starterBytes();
  const secrets = (await secretApi(restRequests(runpod)).listSecrets()).items.map((secret) => secret.name);
  if (!secrets.includes(TOKEN_SECRET))
    throw new Error(
      `RunPod has no secret ${TOKEN_SECRET}: create it in RunPod's console with a Hugging Face token that may write to ` +
        run.repository,
    );
  if (run.judge && !secrets.includes(JUDGE_SECRET))
    throw new Error(
      `RunPod has no secret ${JUDGE_SECRET}: create it in RunPod's console with the key of ${run.judge.url}`,
    );
  const offers = inStock(run.gpuTypes, (await api.listGpuOffers()).items);
  const [first] = offers as [GpuOffer, ...GpuOffer[]];
  const expected: Estimate = estimate(first, { ...run, bytes, epochs: epochsOf(run.model) });
  return { offers, expected };
}

function starterBytes(): number {
  return statSync(join(root, "training/data/starter.jsonl")).size;
}

/** The pod of one training. The object exists before the pod is created and after the pod has ended. */
class PaidPod {
  private pod: PodRecord | undefined;
  private offer: GpuOffer | undefined;
  private startedAt = performance.now();
  private endedAt: number | undefined;
  /** Time until which a create without a response can still produce a pod, in the time of `performance.now()`. */
  private uncertainUntil = 0;

  constructor(
    private readonly api: PodApi,
    private readonly name: string,
    private readonly around: Surroundings,
  ) {}

  /**
   * Creates the pod on the first GPU type with a free GPU. RunPod refuses a create for lack of capacity and for a wrong
   * request with the same status.
   */
  async create(run: PodRun, offers: readonly GpuOffer[]): Promise<PodRecord> {
    this.startedAt = performance.now();
    let refusal: RunpodError | undefined;
    for (const offer of offers) {
      this.around.signal.throwIfAborted();
      this.offer = offer;
      try {
        await this.createOn(offer, run);
        if (this.pod) return this.pod;
      } catch (error) {
        if (!(error instanceof RunpodError && error.isRefusal)) throw error;
        refusal = error;
        this.around.tell(`${offer.id}: ${error.message}`);
      }
    }
    throw new Error(`RunPod refused every GPU type (${offers.map(({ id }) => id).join(", ")}): ${refusal?.reason}`);
  }

  /** Ends all pods with this name. A second call does nothing. */
  async end(): Promise<void> {
    if (this.endedAt !== undefined) return;
    const { limits, tell } = this.around;
    const waitMs = Math.max(0, this.uncertainUntil - performance.now());
    await endPods(this.api, { name: this.name, knownId: this.pod?.id, waitMs }, limits.end, tell);
    this.endedAt = performance.now();
  }

  /** GPU type, duration and cost of the ended pod. */
  bill(): Pick<PodResult, "gpuType" | "seconds" | "dollars"> {
    const seconds = Math.round(((this.endedAt ?? performance.now()) - this.startedAt) / 1_000);
    // RunPod reports the cost 0 for a pod without compute.
    const dollarsPerHour = this.pod?.cost || (this.offer?.price ?? 0);
    return { gpuType: this.offer?.id ?? "", seconds, dollars: cents((dollarsPerHour * seconds) / 3_600) };
  }

  /** Returns a sentence about the state of the pod after `end`. */
  fate(): string {
    if (!this.pod) return `No pod named ${this.name} is left.`;
    const { seconds, dollars } = this.bill();
    return `The pod ${this.name} has ended after ${Math.max(1, Math.ceil(seconds / 60))} min and cost about $${dollars.toFixed(2)}.`;
  }

  private async createOn(offer: GpuOffer, run: PodRun): Promise<void> {
    const { settle, landMs } = this.around.limits;
    const find = async () => (await this.api.listPods()).items.find(({ name }) => name === this.name);
    const save = async (existing: PodRecord | undefined) => {
      try {
        this.pod = existing ?? (await this.api.createPod({ ...settings(run), name: this.name, gpuType: offer.id }));
        return this.pod;
      } catch (error) {
        if (error instanceof RunpodError && error.maybeDone) this.uncertainUntil = performance.now() + landMs;
        throw error;
      }
    };
    await createOnce<PodRecord>({ find, save, settle }, {}, {});
  }
}

function settings({ model, image, repository, dataset, registryAuthId, runName, judge }: PodRun) {
  return {
    imageName: image,
    diskGb: DISK_GB,
    minCudaVersion: MIN_CUDA_VERSION,
    registryAuthId,
    env: {
      HF_TOKEN: secretReference(TOKEN_SECRET),
      MODEL: model,
      RESULT_REPOSITORY: repository,
      RUN_NAME: podName({ model, runName }),
      ...(judge && { JUDGE_URL: judge.url, JUDGE_MODEL: judge.model, JUDGE_API_KEY: secretReference(JUDGE_SECRET) }),
      ...(dataset && { DATASET: `${dataset.repository}@${dataset.revision}` }),
    },
  };
}
