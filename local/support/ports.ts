import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { configKey, PROJECT, START_STACK } from "../../names";
import { PortInUseError } from "./portInUse";
import { readStackConfig, type StackConfig } from "./stackConfig";

/** Ports of the servers whose URLs are in the stack's configuration. The ports are chosen before the servers start. */
export type Ports = Record<"page" | "runpod" | "domain" | "stripe", number>;

/** Ports of the Pulumi providers. They are fixed, so that README's command for the real Pulumi always works. */
export const PROVIDER_PORTS = { aws: 4120, awsx: 4121 };

/** Port of the frontend that `npm start` serves with `--frontend <folder>`. */
export const FRONTEND_PORT = 4104;

/** Name of the server on each port, for an error. */
const servers = {
  page: "the page",
  runpod: "RunPod",
  domain: "Cognito's sign-in",
  stripe: "Stripe",
  frontend: "the frontend",
} as const;

/**
 * Chooses free ports, or the ports in `Pulumi.local.yaml`.
 *
 * @throws Error that names the key of a URL that is not local
 */
export async function choosePorts(programDir: string, freePorts: boolean): Promise<Ports> {
  if (freePorts) {
    const [page, runpod, domain, stripe] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
    return { page, runpod, domain, stripe };
  }
  const { values } = readStackConfig(programDir, "local");
  const object = (key: string): unknown => JSON.parse(values[configKey(key)] ?? "{}");
  const [origin] = (object("frontend") as { origins?: string[] }).origins ?? [];
  return {
    page: portOf("frontend.origins.0", origin),
    runpod: portOf("runpodApiUrl", values[configKey("runpodApiUrl")]),
    domain: portOf("auth.domainUrl", (object("auth") as { domainUrl?: string }).domainUrl),
    stripe: portOf("stripeApiUrl", values[configKey("stripeApiUrl")]),
  };
}

/**
 * Checks that the given ports and those of the Pulumi providers are free, before anything starts.
 *
 * @throws PortInUseError for the first port that is in use
 */
export async function requireFreePorts(ports: Partial<Record<keyof typeof servers, number>>): Promise<void> {
  const all = [
    ...Object.entries(ports).map(([name, port]) => ({ port, server: servers[name as keyof typeof servers] })),
    ...Object.values(PROVIDER_PORTS).map((port) => ({ port, server: "a Pulumi provider" })),
  ];
  const free = await Promise.all(all.map(({ port }) => isFree(port)));
  const used = all[free.indexOf(false)];
  if (used) throw new PortInUseError(used.port, used.server);
}

function portOf(key: string, url: string | undefined): number {
  if (url && /^http:\/\/localhost:\d+$/.test(url)) return Number(new URL(url).port);
  throw new Error(`Pulumi.local.yaml: ${configKey(key)}: must be http://localhost:<port>, got ${url ?? "nothing"}`);
}

/**
 * Returns the configuration of the stack `start`. The URLs of the local cloud replace the URLs in `Pulumi.local.yaml`.
 * The values in `overrides` replace all other values. Its keys are paths, such as `phi3.imageTag`.
 *
 * @throws Error when the file has an encrypted value
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
      `${encryptedKeys.join(", ")}: must be plain text in Pulumi.local.yaml. Set each key without --secret. These values give access only to the doubles on this machine`,
    );
  }
  const frontend = JSON.parse(values[configKey("frontend")] ?? "{}") as Record<string, string[] | undefined>;
  // Replaces the first entry of each list in the file with a URL of the page.
  const withPage = (key: string, path: string) => [`${at(ports.page)}${path}`, ...(frontend[key]?.slice(1) ?? [])];
  return readStackConfig(programDir, "local", {
    "frontend.origins": withPage("origins", ""),
    "frontend.callbackUrls": withPage("callbackUrls", "/callback"),
    "frontend.logoutUrls": withPage("logoutUrls", "/"),
    "aws:defaultTags.tags.stack": START_STACK,
    "auth.domainPrefix": `${PROJECT}-${START_STACK}`,
    "auth.domainUrl": at(ports.domain),
    runpodApiUrl: at(ports.runpod),
    runpodJobApiUrl: `${at(ports.runpod)}/v2`,
    stripeApiUrl: at(ports.stripe),
    ...overrides,
  });
}

/**
 * Range of the ports that `freePort` returns. It lies below the range that systems use for outgoing connections and for
 * port 0. At any time, another process may take a port of that range.
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
