import { findVenvPython } from "../local/support/pythonEnvironment";

/**
 * Interpreter of the worker's Python environment. Without the environment it warns and returns undefined: the caller
 * skips its tests.
 *
 * @param subject what is not tested without it
 * @throws Error when REQUIRE_ALL=1 forbids to skip
 */
export function workerPython(subject: string): string | undefined {
  const python = findVenvPython();
  if (python) return python;
  const reason = "the worker's Python environment is missing (npm run python -- setup)";
  if (process.env.REQUIRE_ALL === "1") throw new Error(`REQUIRE_ALL=1 forbids to skip ${subject}: ${reason}.`);
  console.warn(`\n*** SKIPPED: ${subject}: ${reason}. ***\n`);
  return undefined;
}
