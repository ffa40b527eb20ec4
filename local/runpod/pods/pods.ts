import { gpuTypes } from "../account/catalog";
import type { Clock } from "../account/clock";
import { newId } from "../account/ids";
import type { ListLag } from "../account/listLag";
import type { Pod, PodInput } from "../account/records";
import { AccountError } from "../account/rules";
import { matches, type Switches } from "../account/switches";
import { type Container, trainingContainer } from "./trainingContainer";

/** Options of the pods of an account. */
export interface PodsOptions {
  clock: Clock;
  switches: Switches;
  lag: ListLag;
  imageExists(image: string): boolean;
  registryExists(id: string): boolean;
  /** Replaces references to secrets in a value of the environment. */
  resolve(text: string): string;
  /** Program of the pods' container. Default: `trainingContainer`, without a result. */
  container?: Container | undefined;
}

/**
 * Price of a pod in US dollars per hour, by the GPU's memory in GB. These prices are examples, because the double bills
 * nobody.
 */
export function podPrice(memory: number): { secure: number; community: number } {
  const secure = Math.round(memory * 2.5) / 100;
  return { secure, community: Math.round(secure * 80) / 100 };
}

/** Pods of an account. They exist only in memory, so a restart of the double ends them. */
export class Pods {
  private readonly pods = new Map<string, { pod: Pod; stop: AbortController }>();

  constructor(private readonly options: PodsOptions) {}

  /** Pods, the newest first. */
  get all(): Pod[] {
    return [...this.pods.values()].map(({ pod }) => pod).reverse();
  }

  /** Pods that the list shows. Creates and deletes appear after `listLagMs`. */
  get listed(): Pod[] {
    return this.options.lag.list("pods", this.all);
  }

  find(id: string): Pod | undefined {
    return this.pods.get(id)?.pod;
  }

  /** Creates a pod and starts its container. Names need not be unique. */
  create(input: PodInput): Pod {
    const { clock, switches, lag } = this.options;
    const type = gpuTypes.find(({ id }) => id === input.gpu.id);
    if (!type) throw new AccountError(`gpu type ${input.gpu.id} not found`, "rule");
    if (!this.options.imageExists(input.image))
      throw new AccountError(`image ${input.image}: manifest unknown`, "image");
    if (input.registry !== null && !this.options.registryExists(input.registry))
      throw new AccountError("registry not found", "missing");
    const isFull = [input.name, input.gpu.id].some((text) => matches(switches.noCapacity, text));
    const isPlaceFull =
      input.dataCenterIds.length > 0 && input.dataCenterIds.every((id) => matches(switches.noCapacity, id));
    if (isFull || isPlaceFull)
      throw new AccountError("There are no longer any instances available with the requested specifications.", "rule");
    const price = podPrice(type.memory)[input.cloud === "SECURE" ? "secure" : "community"];
    const pod: Pod = {
      ...input,
      id: newId(),
      status: "PROVISIONING",
      createdAt: clock.timestamp(),
      startedAt: null,
      hourlyUsd: price * input.gpu.count,
      log: [],
    };
    const stop = new AbortController();
    lag.noteCreated(pod.id);
    this.pods.set(pod.id, { pod, stop });
    void this.run(pod, stop.signal);
    return pod;
  }

  /** Terminates a pod. */
  remove(id: string): void {
    const found = this.pods.get(id);
    if (!found) throw new AccountError("pod not found", "missing");
    this.options.lag.noteDeleted("pods", { ...found.pod, log: [] });
    found.stop.abort();
    this.pods.delete(id);
  }

  /** Stops all containers. */
  close(): void {
    for (const { stop } of this.pods.values()) stop.abort();
    this.pods.clear();
  }

  private async run(pod: Pod, signal: AbortSignal): Promise<void> {
    const { clock, switches, resolve, container = trainingContainer } = this.options;
    const write = (line: string, source: "system" | "container") => {
      if (!signal.aborted) pod.log.push({ at: Math.max(clock.now(), (pod.log.at(-1)?.at ?? 0) + 1), line, source });
    };
    write(`create container ${pod.image}`, "system");
    if (!(await pause(switches.podStartMs, signal))) return;
    pod.status = "STARTING";
    if (matches(switches.unpullable, pod.image)) {
      // RunPod repeats the pull without end, and the pod costs money meanwhile.
      write(`failed to pull ${pod.image}: unexpected status from the registry`, "system");
      return;
    }
    write("start container", "system");
    pod.status = "RUNNING";
    pod.startedAt = clock.timestamp();
    const env = Object.fromEntries(Object.entries(pod.env).map(([name, value]) => [name, resolve(value)]));
    const context = {
      name: pod.name,
      env,
      failure: switches.podFailure,
      signal,
      log: (line: string) => write(line, "container"),
      step: () => pause(switches.podStepMs, signal),
    };
    const end = await container(context);
    if (signal.aborted || end === "idle") return;
    pod.status = "EXITED";
    write("container died", "system");
  }
}

/** Waits for `ms` milliseconds. Returns false when the signal is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false);
    const end = (completed: boolean) => () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", cancel);
      resolve(completed);
    };
    const cancel = end(false);
    const timer = setTimeout(end(true), ms);
    timer.unref();
    signal.addEventListener("abort", cancel);
  });
}
