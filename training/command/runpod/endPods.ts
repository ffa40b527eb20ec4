import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../../runpod/error";
import type { PodApi, PodRecord } from "../../../runpod/rest/pods";
import type { Polling } from "../../../runpod/retry";

/**
 * Ends all pods with a name, and checks that they no longer exist. Repeats failed calls until the time limit.
 *
 * @param knownId id of the pod, if RunPod has returned it. RunPod's list may not show the pod yet
 * @param waitMs milliseconds during which a create without a response may still produce a pod
 * @throws Error when a pod may still exist
 */
export async function endPods(
  api: PodApi,
  { name, knownId, waitMs }: { name: string; knownId: string | undefined; waitMs: number },
  { intervalMs, limitMs }: Polling,
  tell: (line: string) => void,
): Promise<void> {
  const startedAt = performance.now();
  for (let problem = ""; ; ) {
    try {
      const remaining = await endOnce(api, name, knownId);
      if (remaining === 0 && performance.now() - startedAt >= waitMs) return;
      problem = remaining === 0 ? "" : "RunPod still runs it";
    } catch (error) {
      problem = messageOf(error);
      tell(`The pod ${name} has not ended yet: ${problem}. The command tries again.`);
    }
    if (performance.now() - startedAt > Math.max(limitMs, waitMs))
      throw new Error(
        `The pod ${name} may still run and cost money: ${problem}. ` +
          `Delete it in RunPod's console, or run: npm run train -- sweep --name ${name}`,
      );
    await sleep(intervalMs);
  }
}

/** Deletes the pods with this name. Returns the number of pods that still exist. */
async function endOnce(api: PodApi, name: string, knownId: string | undefined): Promise<number> {
  const listed = (await api.listPods()).items.filter((pod) => pod.name === name).map(({ id }) => id);
  const ids = [...new Set([...listed, ...(knownId === undefined ? [] : [knownId])])];
  const remaining = await Promise.all(ids.map((id) => endPod(api, id)));
  return remaining.filter((pod) => pod !== undefined).length;
}

/**
 * Deletes a pod. Returns the pod if it still exists. Reads the pod by id, because RunPod's list may still show a
 * deleted pod.
 */
export async function endPod(api: PodApi, id: string): Promise<PodRecord | undefined> {
  await api.deletePod(id);
  const pod = await api.getPod(id);
  return pod?.status === "TERMINATED" ? undefined : pod;
}
