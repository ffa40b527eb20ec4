import { messageOf } from "../../runpod/error";

/** Result of a check. */
export type Status = "ok" | "warning" | "failed" | "unknown";

/** One line of the doctor's report. */
export interface Check {
  /** The checked thing, such as `phi3 workers`. */
  name: string;
  status: Status;
  /** The finding. */
  seen: string;
  /** The next step; empty when there is nothing to do. */
  todo: string;
}

/** A check that passed. */
export function ok(name: string, seen: string): Check {
  return { name, status: "ok", seen, todo: "" };
}

/** A problem that does not stop the service yet. */
export function warning(name: string, seen: string, todo: string): Check {
  return { name, status: "warning", seen, todo };
}

/** A problem that stops the service. */
export function failed(name: string, seen: string, todo: string): Check {
  return { name, status: "failed", seen, todo };
}

/** A check whose facts could not be read. It says nothing about the checked thing. */
export function unknown(name: string, seen: string, todo: string): Check {
  return { name, status: "unknown", seen, todo };
}

/**
 * Runs a check that reads its facts from a service.
 *
 * @param name name of the line that reports a failed read
 * @param todo next step after a failed read
 * @returns one line with the status `unknown` when the check throws, so that the other checks still run
 */
export async function attempt(
  name: string,
  todo: string | ((error: unknown) => string),
  check: () => Promise<Check | Check[]>,
): Promise<Check[]> {
  try {
    return [await check()].flat();
  } catch (error) {
    return [unknown(name, `cannot be read: ${messageOf(error)}`, typeof todo === "string" ? todo : todo(error))];
  }
}
