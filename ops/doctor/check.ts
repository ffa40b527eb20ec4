/** Result of a check. */
export type Status = "ok" | "warning" | "failed";

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

/** A problem that does not stop the service yet, or a check that could not run. */
export function warning(name: string, seen: string, todo: string): Check {
  return { name, status: "warning", seen, todo };
}

/** A problem that stops the service. */
export function failed(name: string, seen: string, todo: string): Check {
  return { name, status: "failed", seen, todo };
}
