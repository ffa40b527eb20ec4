/**
 * Log format JSON of Lambda's Node runtime: one line per call of `console`. Follows aws-lambda-ric 3.3.0 (LogPatch.js).
 * Runs in the worker thread, so it uses only erasable TypeScript.
 */
import { format } from "node:util";

/** Methods of `console` with their log levels. Lambda's default level is INFO, so `console.debug` writes nothing. */
const levels = { error: "ERROR", warn: "WARN", info: "INFO", log: "INFO" } as const;

/**
 * Makes `console` write JSON lines to standard output.
 *
 * @param requestId id of the present invocation
 */
export function useJsonLog(requestId: () => string): void {
  for (const [method, level] of Object.entries(levels) as [keyof typeof levels, string][]) {
    console[method] = (...values: unknown[]) => {
      const line = { timestamp: new Date().toISOString(), level, requestId: requestId() };
      process.stdout.write(`${toJson(line, values)}\n`);
    };
  }
  console.debug = () => {};
  console.trace = () => {};
}

/** One value becomes the message itself, several values become one text. */
function toJson(line: object, values: unknown[]): string {
  const [message] = values;
  try {
    if (values.length === 1) return JSON.stringify({ ...line, message }, errorAsObject);
  } catch {
    // A cyclic value has no JSON.
  }
  return JSON.stringify({ ...line, message: format(...values) });
}

function errorAsObject(_name: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  return { errorType: value.name, errorMessage: value.message, stackTrace: value.stack?.split("\n") };
}
