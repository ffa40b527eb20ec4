import type { ChildProcess } from "node:child_process";
import { constants, setPriority } from "node:os";

/** Gives a child process a lower priority than the Pulumi program, because everything waits for the program. */
export function runInBackground<T extends ChildProcess>(child: T): T {
  // A child without a pid failed to start. The child itself emits the error.
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  return child;
}

/**
 * Node flag for a child without a SIGTERM handler. With the flag, SIGTERM makes the child exit normally. Node writes
 * its compile cache only on a normal exit, and the cache halves the next start.
 */
export const exitOnTerminate = "--import=data:text/javascript,process.once('SIGTERM',()=>process.exit())";
