import type { ChildProcess } from "node:child_process";
import { constants, setPriority } from "node:os";

/** Lets a process that is needed later give way to the program, which everything waits for. */
export function inBackground<T extends ChildProcess>(child: T): T {
  // Without a pid it has failed to start, and says so by itself.
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  return child;
}
