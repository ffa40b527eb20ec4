import { setTimeout as sleep } from "node:timers/promises";
import { matches, type ReplyFault, type Switches } from "../account/switches";

/** Delay of the first text with the fault `slow`. */
const SLOW_MS = 3_000;
/** Error text of an exception in a worker, in RunPod's format. */
const WORKER_ERROR = "RuntimeError: CUDA error: device-side assert triggered";

type Fault = ReplyFault["fault"];

/** Returns the fault of an endpoint's replies. Undefined for normal replies. */
export function replyFaultOf({ replyFaults }: Switches, endpointName: string): Fault | undefined {
  return replyFaults.find(({ on }) => matches([on], endpointName))?.fault;
}

/**
 * Changes one streamed item of a worker.
 *
 * @param isFirst whether this is the job's first item
 * @returns the item for the client, or undefined when the client does not get it
 */
export async function worsenItem(item: unknown, fault: Fault | undefined, isFirst: boolean): Promise<unknown> {
  if (fault === "slow" && isFirst) await sleep(SLOW_MS);
  return fault === undefined ? item : worsen(item, fault);
}

/** Changes a worker's report of a job's end. */
export function worsenResult<R extends { output?: unknown; error?: unknown }>(report: R, fault: Fault | undefined): R {
  if (fault === undefined || report.output === undefined) return report;
  const { output, ...rest } = report;
  if (fault === "failed") return { ...rest, error: WORKER_ERROR } as unknown as R;
  const items = Array.isArray(output) ? output.flatMap((item) => worsen(item, fault) ?? []) : worsen(output, fault);
  return { ...report, output: items };
}

/** Changes an item in the contract's format. Items in another format, such as OpenAI's events, stay the same. */
function worsen(item: unknown, fault: Fault): unknown {
  if (fault === "failed") return undefined;
  if (typeof item !== "object" || item === null) return item;
  if ("delta" in item) return fault === "empty" ? undefined : item;
  return "done" in item ? worsenEnd(item as Record<string, unknown>, fault) : item;
}

function worsenEnd(item: Record<string, unknown>, fault: Exclude<Fault, "failed">): Record<string, unknown> {
  if (fault === "empty") return { ...item, text: "" };
  if (fault === "invalid") {
    const { usage: _, ...rest } = item;
    return rest;
  }
  const { ttft_ms, total_ms } = item.timings as Record<"ttft_ms" | "total_ms", number>;
  return { ...item, timings: { ttft_ms: ttft_ms + SLOW_MS, total_ms: total_ms + SLOW_MS } };
}
