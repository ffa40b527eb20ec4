import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, redact } from "../../../runpod/error";
import type { PodApi, PodLogLine, PodRecord } from "../../../runpod/rest/pods";

/** Limits of the watch, in milliseconds. */
export interface WatchLimits {
  /** Pause between two checks of the pod and of the result. */
  pollMs: number;
  /** Maximum time until the container runs. */
  startMs: number;
  /** Maximum time without any answer of RunPod. */
  lostMs: number;
}

interface Watch {
  api: PodApi;
  pod: PodRecord;
  limits: WatchLimits;
  /** Returns the uploaded result, or undefined before the upload. An error counts as undefined. */
  findResult(): Promise<string | undefined>;
  /** Called with each line of the pod's log. */
  line(text: string): void;
  /** Values that a line must not contain. */
  secrets: string[];
  signal: AbortSignal;
}

/** Time after which a log stream is opened again, so that a hanging connection does not stop the log forever. */
const STREAM_MS = 300_000;
const ENDED = ["EXITED", "ERROR", "TERMINATED"];

/**
 * Follows a training until its result exists. The log shows the progress and the failures of the program. The log does
 * not prove the result, because RunPod can interrupt the log.
 *
 * @returns the result of `findResult`
 * @throws Error with one sentence when the training has failed. When `signal` is aborted, throws the reason of the
 * abort
 */
export async function watchPod(watch: Watch): Promise<string> {
  const stop = new AbortController();
  const signal = AbortSignal.any([watch.signal, stop.signal]);
  const finished = new AbortController();
  try {
    return await Promise.race([
      pollPod({ ...watch, signal }, finished.signal),
      followLog({ ...watch, signal }, finished),
      rejectWhenAborted(watch.signal),
    ]);
  } finally {
    stop.abort();
  }
}

async function pollPod(watch: Watch, finished: AbortSignal): Promise<string> {
  const { api, pod, limits, findResult, line, signal } = watch;
  const startedAt = performance.now();
  let answeredAt = startedAt;
  let finishedAt: number | undefined;
  let status = "";
  for (;;) {
    const result = await findResult().catch(() => undefined);
    if (result !== undefined) return result;
    const now = await api.getPod(pod.id).catch((error: unknown) => {
      if (performance.now() - answeredAt <= limits.lostMs) return pod;
      throw new Error(`RunPod has not answered for ${minutes(limits.lostMs)}: ${messageOf(error)}`);
    });
    if (now !== pod) answeredAt = performance.now();
    if (now === undefined || ENDED.includes(now.status)) {
      const last = await findResult().catch(() => undefined);
      if (last !== undefined) return last;
      throw new Error(`RunPod has ended the pod before its result was uploaded (${now?.status ?? "deleted"})`);
    }
    if (now !== pod && now.status !== status) line(`pod: ${now.status}`);
    if (now !== pod) status = now.status;
    if (status !== "RUNNING" && performance.now() - startedAt > limits.startMs)
      throw new Error(`The pod has not started within ${minutes(limits.startMs)} (${status || "status unknown"})`);
    if (finishedAt !== undefined && performance.now() - finishedAt > limits.lostMs)
      throw new Error("The training has finished, but Hugging Face does not show its result");
    await pauseUntil(finished, limits.pollMs, signal);
    if (finished.aborted) finishedAt ??= performance.now();
  }
}

/** Never resolves, because only the uploaded result ends the watch. */
async function followLog(watch: Watch, finished: AbortController): Promise<never> {
  const { api, pod, limits, line, signal } = watch;
  const read = lineReader(watch, finished);
  let isCut = false;
  for (let lastId: string | undefined; ; ) {
    try {
      const connection = AbortSignal.any([signal, AbortSignal.timeout(STREAM_MS)]);
      for await (const entry of api.podLog(pod.id, connection, lastId)) {
        lastId = entry.id ?? lastId;
        read(entry);
      }
    } catch (error) {
      if (signal.aborted || error instanceof TrainingFailed) throw error;
    }
    if (!isCut && lastId !== undefined) line("The log was cut. The training goes on; the command connects again.");
    isCut ||= lastId !== undefined;
    await sleep(limits.pollMs, undefined, { signal });
  }
}

/** Thrown when the program in the pod has reported a failure. */
class TrainingFailed extends Error {
  override readonly name = "TrainingFailed";
}

/** Returns a function that reads the lines of `python -m snack_training pod`. */
function lineReader({ line, secrets }: Watch, finished: AbortController): (entry: PodLogLine) => void {
  let firstStart: string | undefined;
  return ({ source, line: raw, ts }) => {
    const text = redact(raw, secrets);
    const [, event, reason] = /^snack-training: (started|failed|finished)(?:: (.*))?$/.exec(text) ?? [];
    if (event === "failed") throw new TrainingFailed(`The training failed: ${reason ?? "no reason in the log"}`);
    if (event === "started") {
      // A resumed stream can repeat a line, but the repeated line has the same time.
      if (firstStart !== undefined && firstStart !== ts)
        throw new TrainingFailed("RunPod has started the container again, so its program was killed (memory or host)");
      firstStart = ts;
    }
    if (event === "finished") finished.abort();
    line(source === "system" ? `host: ${text}` : text);
  };
}

/** Waits for `ms` milliseconds. Ends the wait when `early` is aborted during the wait. */
async function pauseUntil(early: AbortSignal, ms: number, signal: AbortSignal): Promise<void> {
  const stop = early.aborted ? signal : AbortSignal.any([signal, early]);
  await sleep(ms, undefined, { signal: stop }).catch(() => signal.throwIfAborted());
}

function rejectWhenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function minutes(ms: number): string {
  return `${Math.round(ms / 6_000) / 10} min`;
}
