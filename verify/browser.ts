import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { type Browser, chromium } from "playwright-core";

const { env, platform } = process;
const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge"];
const executablePath = findChromium();

/** Reason why no browser can start, such as a missing Chromium. Undefined when nothing is missing. */
export const missingBrowser = executablePath
  ? undefined
  : "no Chromium found: install one or set CHROMIUM_PATH to its executable";

/** Starts the machine's Chromium. Disables Chromium's background connections, such as update checks. */
export function launchBrowser(): Promise<Browser> {
  const quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
  const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", ...quiet];
  return chromium.launch({ args, ...(executablePath && { executablePath }) });
}

/**
 * Returns CHROMIUM_PATH. Without this variable, searches PATH, the usual installation folders and Playwright's cache,
 * in this order.
 */
function findChromium(): string | undefined {
  if (env.CHROMIUM_PATH) {
    if (existsSync(env.CHROMIUM_PATH)) return env.CHROMIUM_PATH;
    throw new Error(`CHROMIUM_PATH: ${env.CHROMIUM_PATH} does not exist`);
  }
  return [...onPath(), ...installed(), ...downloadedByPlaywright()].find(existsSync);
}

function onPath(): string[] {
  const suffix = platform === "win32" ? ".exe" : "";
  const folders = (env.PATH ?? "").split(delimiter).filter(Boolean);
  return names.flatMap((name) => folders.map((folder) => join(folder, `${name}${suffix}`)));
}

function installed(): string[] {
  if (platform === "darwin") {
    const apps = ["Chromium", "Google Chrome", "Microsoft Edge"];
    const folders = ["/Applications", join(homedir(), "Applications")];
    return folders.flatMap((folder) => apps.map((app) => join(folder, `${app}.app`, "Contents", "MacOS", app)));
  }
  if (platform === "win32") {
    const folders = [env.PROGRAMFILES, env["PROGRAMFILES(X86)"], env.LOCALAPPDATA].filter((each) => each !== undefined);
    const programs = ["Google\\Chrome\\Application\\chrome.exe", "Chromium\\Application\\chrome.exe"];
    const edge = "Microsoft\\Edge\\Application\\msedge.exe";
    return folders.flatMap((folder) => [...programs, edge].map((program) => join(folder, program)));
  }
  return ["/snap/bin/chromium", "/opt/google/chrome/chrome"];
}

/** Every revision in Playwright's cache, newest first: `…/ms-playwright/chromium-1255/chrome-linux64/chrome`. */
function downloadedByPlaywright(): string[] {
  const [, cache = "", inRevision = ""] = /^(.+)[\\/]chromium-\d+[\\/](.+)$/.exec(chromium.executablePath()) ?? [];
  if (!existsSync(cache)) return [];
  const revisions = readdirSync(cache).filter((name) => /^chromium-\d+$/.test(name));
  return revisions
    .sort()
    .reverse()
    .map((revision) => join(cache, revision, inRevision));
}
