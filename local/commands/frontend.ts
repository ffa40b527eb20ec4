import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { serveStatic } from "@hono/node-server/serve-static";
import { Hono } from "hono";
import { configKey } from "../../names";
import { frontendConfig, type ProgramOutputs } from "../cloud/outputs";
import { type Listening, serve } from "../support/http";
import { cloudStackConfig, FRONTEND_PORT, freePort, type Ports } from "../support/ports";

/** A frontend that the developer uses instead of the page of `npm start`. It has a separate origin. */
export interface Frontend {
  /** `http://localhost:5173`, without a slash at the end. */
  origin: string;
  /** Folder that `npm start` serves at the origin. Undefined when another program serves the frontend. */
  folder?: string;
  port?: number;
}

/**
 * Reads the option `--frontend`.
 *
 * @param value a folder with an index.html, or the URL at which a frontend already runs
 * @throws Error that names the allowed values
 */
export async function readFrontend(value: string, freePorts: boolean): Promise<Frontend> {
  if (/^https?:\/\//.test(value)) return { origin: originOf(value) };
  const folder = resolve(value);
  if (!existsSync(join(folder, "index.html")))
    throw new Error(
      `--frontend ${value}: must be a folder with an index.html, or a URL such as http://localhost:5173.`,
    );
  const port = freePorts ? await freePort() : FRONTEND_PORT;
  return { origin: `http://localhost:${port}`, folder, port };
}

/** @throws Error for a URL that Cognito would refuse as a callback URL, and for a URL with a path */
function originOf(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const isSafe = url && (url.protocol === "https:" || ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname));
  if (!url || !isSafe || url.href !== `${url.origin}/`)
    throw new Error(
      `--frontend ${value}: must be an origin without a path, https or on localhost, such as http://localhost:5173.`,
    );
  return url.origin;
}

/**
 * Returns configuration overrides that add a frontend to the lists of `Pulumi.local.yaml`: its origin for CORS and for
 * the return from Stripe, and `/` and `/callback` for the sign-in.
 */
export function frontendOverrides(programDir: string, ports: Ports, { origin }: Frontend): Record<string, string[]> {
  const { values } = cloudStackConfig(programDir, ports);
  const known = JSON.parse(values[configKey("frontend")] ?? "{}") as Record<string, string[] | undefined>;
  const lists = { origins: [origin], callbackUrls: [`${origin}/callback`, `${origin}/`], logoutUrls: [`${origin}/`] };
  return Object.fromEntries(
    Object.entries(lists).map(([name, urls]) => [`frontend.${name}`, [...new Set([...(known[name] ?? []), ...urls])]]),
  );
}

/**
 * Returns the variables that a frontend needs: the stack outputs `apiUrl` and `signIn`, the latter as JSON. Vite passes
 * variables with this prefix to the browser. They contain no secret.
 */
export function frontendVariables({ apiUrl, signIn }: ProgramOutputs): Record<string, string> {
  return { VITE_API_URL: apiUrl, VITE_SIGN_IN: JSON.stringify(signIn) };
}

/**
 * Serves the frontend's folder. Also serves `/config.json` with the values of the variables, unless the folder contains
 * this file. A path without a file, such as `/callback`, gets `index.html`, because the frontend routes such paths.
 *
 * @returns undefined when another program serves the frontend
 * @throws PortInUseError
 */
export async function serveFrontend(
  { folder, port, origin }: Frontend,
  outputs: ProgramOutputs,
): Promise<Listening | undefined> {
  if (folder === undefined) return undefined;
  const app = new Hono();
  app.use(async (c, next) => {
    await next();
    // A reload must show the newest build.
    c.header("Cache-Control", "no-store");
  });
  app.use(serveStatic({ root: folder }));
  app.get("/config.json", (c) => c.json(frontendConfig(outputs, origin)));
  app.get("*", serveStatic({ path: "index.html", root: folder }));
  return serve("the frontend", port ?? 0, app.fetch);
}
