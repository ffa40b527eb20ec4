/** How a check ended. */
export type Status = "ok" | "warning" | "failed";

/** One line of the doctor's report. */
export interface Check {
  /** What was looked at, such as `phi3 workers`. */
  name: string;
  status: Status;
  /** What was seen. */
  seen: string;
  /** What to do about it; empty when there is nothing to do. */
  todo: string;
}

/** All is well. */
export function ok(name: string, seen: string): Check {
  return { name, status: "ok", seen, todo: "" };
}

/** It works, but not well, or not for long; or it could not be looked at. */
export function warning(name: string, seen: string, todo: string): Check {
  return { name, status: "warning", seen, todo };
}

/** It does not work. */
export function failed(name: string, seen: string, todo: string): Check {
  return { name, status: "failed", seen, todo };
}
