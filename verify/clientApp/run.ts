import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inTemporaryCloud } from "../../local/cloud/temporaryCloud";
import { freePort } from "../../local/support/ports";
import { launchBrowser, missingBrowser } from "../browser";
import { type Check, checks, type Stage } from "./checks";
import { APP_BUDGET_LINES, buildApp, CLIENT_BUDGET_BYTES, clientGzipBytes, readmeApp } from "./pack";
import { serveSite } from "./site";

/** Output of `npm run verify -- client-app --json`. */
export interface ClientAppReport {
  /** Lines of the README's app, without empty lines. */
  linesOfApp: number;
  /** Size of the client in a frontend's bundle: minified, gzip. */
  gzipBytes: number;
  /** Number of checks that passed. */
  passed: number;
  /** Number of checks that failed. */
  failed: number;
  /** Each failed check and its reason. */
  failures: { name: string; reason: string }[];
}

/** Longest wait for one change on a page. A busy machine needs several times as long as an idle machine. */
const WAIT_MS = 30_000;

/**
 * Packs the client, builds the README's app outside the repository, and drives the app in Chromium against a local
 * cloud.
 *
 * @param say called with each line of progress
 * @throws Error without Chromium or without the npm registry, because the checks cannot run
 */
export async function runClientApp(say: (line: string) => void): Promise<ClientAppReport> {
  if (missingBrowser !== undefined) throw new Error(`client-app: ${missingBrowser}`);
  const gzipBytes = await clientGzipBytes();
  const { lines: linesOfApp } = readmeApp();
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const config = {
    "frontend.origins.1": url,
    "frontend.callbackUrls.1": `${url}/callback`,
    "frontend.logoutUrls.1": `${url}/`,
  };
  const failures = [...overBudget({ linesOfApp, gzipBytes })];
  const budgets = 2;
  const driven = await inTemporaryCloud({ engine: "scripted", progress: say, config }, async (_, outputs) => {
    const dir = await mkdtemp(join(tmpdir(), "snack-misaki-client-app-"));
    try {
      const site = await serveSite(await buildApp(dir, outputs, say), port);
      try {
        return await drive(site.url, say);
      } finally {
        await site.close();
      }
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
  failures.push(...driven);
  return {
    linesOfApp,
    gzipBytes,
    passed: checks.length + budgets - failures.length,
    failed: failures.length,
    failures,
  };
}

function* overBudget({ linesOfApp, gzipBytes }: Pick<ClientAppReport, "linesOfApp" | "gzipBytes">) {
  if (linesOfApp > APP_BUDGET_LINES) {
    yield { name: "lines of the app", reason: `${linesOfApp} lines, allowed: ${APP_BUDGET_LINES}` };
  }
  if (gzipBytes > CLIENT_BUDGET_BYTES) {
    yield { name: "size of the client", reason: `${gzipBytes} bytes, allowed: ${CLIENT_BUDGET_BYTES}` };
  }
}

/** Runs all checks in one browser. Continues after a failed check. */
async function drive(url: string, say: (line: string) => void): Promise<ClientAppReport["failures"]> {
  say("driving the app in Chromium");
  const browser = await launchBrowser();
  try {
    const context = await browser.newContext({ locale: "ja-JP" });
    context.setDefaultTimeout(WAIT_MS);
    const complaints: string[] = [];
    const [tab, other] = [await context.newPage(), await context.newPage()];
    for (const page of [tab, other]) {
      page.on("pageerror", (error) => complaints.push(error.message));
      page.on("dialog", async (dialog) => {
        complaints.push(dialog.message());
        await dialog.dismiss();
      });
      await page.goto(url);
    }
    const failures: ClientAppReport["failures"] = [];
    for (const check of checks) failures.push(...(await judge(check, { context, url, tab, other, complaints })));
    return failures;
  } finally {
    await browser.close();
  }
}

async function judge({ name, run }: Check, stage: Stage): Promise<ClientAppReport["failures"]> {
  try {
    await run(stage);
    return [];
  } catch (error) {
    return [{ name, reason: error instanceof Error ? error.message : String(error) }];
  }
}
