import { messageOf } from "../../../runpod/error";
import type { PodApi, PodRecord } from "../../../runpod/rest/pods";
import { endPod } from "./endPods";
import { cents } from "./estimate";
import { POD_PREFIX } from "./trainOnRunpod";

/** A pod of a training, as `npm run train -- sweep` reports it. */
export interface SweptPod {
  id: string;
  name: string;
  status: string;
  hours: number;
  /** US dollars so far, from the present hourly price. */
  dollars: number;
  /** `young`: the pod is younger than the limit, so it was not deleted. `failed`: the pod may still run. */
  result: "deleted" | "young" | "failed";
  /** Reason for `failed`. */
  problem?: string;
}

/** Selection of the pods to delete. */
export type Selection = { olderThanHours: number } | { name: string };

/** Default age in hours after which the sweep deletes a pod. */
export const SWEEP_HOURS = 8;

const HOUR_MS = 3_600_000;

/**
 * Deletes forgotten pods of trainings. Deletes only pods whose name begins with `snack-misaki-train-`.
 *
 * @param selection minimum age, or the exact name of the pods
 * @returns all selected pods, and the younger pods of trainings
 * @throws Error when `name` does not begin with this prefix, or when RunPod's list cannot be read
 */
export async function sweep(api: PodApi, selection: Selection, now = Date.now()): Promise<SweptPod[]> {
  if ("name" in selection && !selection.name.startsWith(POD_PREFIX))
    throw new Error(`--name must begin with ${POD_PREFIX}: the command deletes no other pod`);
  const { items } = await api.listPods();
  const ours = items.filter(({ name }) =>
    "name" in selection ? name === selection.name : name.startsWith(POD_PREFIX),
  );
  return Promise.all(ours.map((pod) => sweepPod(api, pod, selection, now)));
}

async function sweepPod(api: PodApi, pod: PodRecord, selection: Selection, now: number): Promise<SweptPod> {
  const { id, name, status, cost } = pod;
  // Without a readable date, a pod counts as old.
  const ageHours = (now - (Date.parse(pod.createdAt) || 0)) / HOUR_MS;
  const paidHours = (now - (Date.parse(pod.startedAt ?? pod.createdAt) || now)) / HOUR_MS;
  const facts = { id, name, status, hours: cents(paidHours), dollars: cents(paidHours * cost) };
  if ("olderThanHours" in selection && ageHours < selection.olderThanHours) return { ...facts, result: "young" };
  try {
    const remaining = await endPod(api, id);
    return remaining
      ? { ...facts, result: "failed", problem: "RunPod still shows it" }
      : { ...facts, result: "deleted" };
  } catch (error) {
    return { ...facts, result: "failed", problem: messageOf(error) };
  }
}
