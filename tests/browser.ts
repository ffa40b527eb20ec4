import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const executablePath = ["/usr/bin/chromium", "/usr/bin/google-chrome"].find(existsSync);

/** True where a test in a browser must be skipped: there is none, and nothing asks for everything. */
export const noBrowser = !executablePath && process.env.REQUIRE_ALL !== "1";

if (!executablePath) console.warn("\n*** No Chromium on this machine: the page is NOT tested in a browser. ***\n");

/** Starts the machine's Chromium, which calls nobody by itself. */
export function launchBrowser(): Promise<Browser> {
  if (!executablePath) throw new Error("REQUIRE_ALL=1 asks for a browser: install chromium.");
  const quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", ...quiet] });
}
