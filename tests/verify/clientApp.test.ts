import { describe, expect, it } from "vitest";
import { missingBrowser } from "../../verify/browser";
import { checks } from "../../verify/clientApp/checks";
import { APP_BUDGET_LINES, CLIENT_BUDGET_BYTES } from "../../verify/clientApp/pack";
import { runClientApp } from "../../verify/clientApp/run";
import { needs } from "../needs";

/** Returns a reason when npm's registry is unreachable, because the app installs Vite and React from it. */
async function missingRegistry(): Promise<string | undefined> {
  const url = process.env.npm_config_registry ?? "https://registry.npmjs.org/";
  const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
  return answer ? undefined : `no npm registry at ${url}`;
}

describe("The packed client", { ...needs(missingBrowser), timeout: 400_000 }, () => {
  it("compiles and works in the README's app, a fresh Vite and React project outside the repository", async ({
    skip,
    task,
  }) => {
    const missing = await missingRegistry();
    Object.assign(task.meta, needs(missing).meta);
    skip(missing !== undefined, missing);
    const report = await runClientApp(() => undefined);
    expect(report.failures).toEqual([]);
    expect(report.passed).toBe(checks.length + 2);
    expect(report.linesOfApp).toBeLessThanOrEqual(APP_BUDGET_LINES);
    expect(report.gzipBytes).toBeLessThanOrEqual(CLIENT_BUDGET_BYTES);
  });
});
