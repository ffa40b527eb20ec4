import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { configKey, PROJECT, START_STACK } from "../../names";
import { type LocalPort, localUrls, readStackConfig, type StackConfig } from "./stackConfig";

/** A port for everything that a stack's configuration names by its port. */
export type Ports = Record<LocalPort, number>;

/** Those of `Pulumi.local.yaml`, or as many that are free at this moment. */
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
 * Configuration of the cloud's own stack: `Pulumi.local.yaml`, over it the cloud's URLs and the stack's own domain, over
 * those the overrides.
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
      `${encryptedKeys.join(", ")}: must be plain in Pulumi.local.yaml; set it without --secret, it opens only the doubles on this machine`,
    );
  }
  const frontend = JSON.parse(values[configKey("frontend")] ?? "{}") as Record<string, string[] | undefined>;
  // The page's own comes first in each list.
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

/** Below the ports that systems give to outgoing connections and to port 0: one of those may be gone before it is used. */
const FREE_FROM = 20_000;
const FREE_BELOW = 30_000;

/** A port that nobody listens on at this moment. */
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
