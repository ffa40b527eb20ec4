import pc from "picocolors";
import type { ClientAppReport } from "./run";

/** Renders the report as readable lines. */
export function clientAppLines({ linesOfApp, gzipBytes, passed, failed, failures }: ClientAppReport): string[] {
  return [
    `the app has ${linesOfApp} lines; the client has ${gzipBytes} bytes (minified, gzip)`,
    ...failures.map(({ name, reason }) => pc.red(`failed: ${name}: ${reason}`)),
    failed === 0 ? pc.green(`${passed} checks passed`) : `${passed} checks passed, ${failed} failed`,
  ];
}
