import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { configKey, PROJECT, START_STACK } from "../../names";
import { type LocalPort, localUrls, readStackConfig, type StackConfig } from "./stackConfig";

/** One port for each server whose port is part of the stack's configuration. */
export type Ports = Record<LocalPort, number>;

/** Returns the ports in `Pulumi.local.yaml`, or ports that are free at this moment if `freePorts` is true. */
export async function choosePorts(programDir: string, freePorts: boolean): Promise<Ports> {
  if (freePorts) {
    const [page, runpod, domain, stripe] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
    return { page, runpod, domain, stripe };
  }
  const urls = localUrls(readStackConfig(programDir, "local"));
  const port = (url: string) => Number(new URL(url).port);
  return { page: port(urls.page), runpod: port(urls.runpod), domain: port(urls.domain), stripe: port(urls.stripe) };
}

/**
 * Configuration of the local cloud's stack. It starts from `Pulumi.local.yaml`. The URLs of the local cloud and the
 * domain prefix of its stack override the file, and `overrides` override both.
 */
export function cloudStackConfig(
  programDir: string,
  ports: Ports,
  overrides: Record<string, unknown> = {},
): StackConfig {
  const at = (port: number) => `http://localhost:${port}`;
  const { values, encryptedKeys } = readStackConfig(programDir, "local");
  if (encryptedKeys.length > 0) {
    throw new Error(
      `${encryptedKeys.join(", ")}: must be plain text in Pulumi.local.yaml. Set it without --secret: it gives access only to the doubles on this machine`,
    );
  }
  const frontend = JSON.parse(values[configKey("frontend")] ?? "{}") as Record<string, string[] | undefined>;
  // The page's URL replaces the first entry of each list in the file.
  const withPage = (key: string, path: string) => [`${at(ports.page)}${path}`, ...(frontend[key]?.slice(1) ?? [])];
  return readStackConfig(programDir, "local", {
    "frontend.origins": withPage("origins", ""),
    "frontend.callbackUrls": withPage("callbackUrls", "/callback"),
    "frontend.logoutUrls": withPage("logoutUrls", "/"),
    "auth.domainPrefix": `${PROJECT}-${START_STACK}`,
    "auth.domainUrl": at(ports.domain),
    runpodApiUrl: at(ports.runpod),
    runpodJobApiUrl: `${at(ports.runpod)}/v2`,
    stripeApiUrl: at(ports.stripe),
    ...overrides,
  });
}

/**
 * Free ports come from below the range that systems use for outgoing connections and for port 0, because another
 * process may take a port of that range at any time.
 */
const FREE_FROM = 20_000;
const FREE_BELOW = 30_000;

/** Returns a port that no process listens on at this moment. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FREE_FROM, FREE_BELOW);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
