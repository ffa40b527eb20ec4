import type { CloudEvent } from "../support/events";

/** Kinds of events by which the list of calls can be filtered. */
export const callKinds = ["relay", "job", "worker", "webhook"] as const;
export type CallKind = (typeof callKinds)[number];

/** Finds the kind of an event. Undefined for all other events. */
export function kindOf({ source, summary }: CloudEvent): CallKind | undefined {
  if (source === "worker") return "worker";
  if (source === "stripe" || summary.includes("/webhook/")) return "webhook";
  if (source === "runpod" && summary.includes(": job ")) return "job";
  return source === "lambda" && /^[\w-]*relay\b/.test(summary) ? "relay" : undefined;
}
