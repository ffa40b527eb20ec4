import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { Hono } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import { root } from "../../cli/root";
import { buildClientModule } from "../../client/build/module";
import { bundleWhenStale } from "../support/bundleWhenStale";
import type { Events } from "../support/events";
import { type Listening, serve } from "../support/http";
import type { PageConfig } from "./config";
import { type PanelOptions, panelRoutes } from "./panelRoutes";
import { referenceRoutes } from "./reference";

const folder = join(root, "local/page");

/** Parts of the local cloud that the page uses. */
export interface PageOptions extends PanelOptions {
  /** 0 selects a free port. */
  port: number;
  /** Source of `/events`. */
  events: Events;
  /** Returns the program's outputs. Undefined until the program has been evaluated. */
  config(): PageConfig | undefined;
}

const HEARTBEAT_MS = 15_000;

/**
 * Serves the page: `/` and `/callback` (the same document), `/app.js`, `/style.css`, `/favicon.ico`, `/config.json` (503
 * until the program has been evaluated), `/events` (server-sent events, one `CloudEvent` each), the API reference and the
 * panel's routes.
 *
 * @throws PortInUseError
 */
export async function startPage({ port, events, config, ...panel }: PageOptions): Promise<Listening> {
  const [html, style, icon, script, referenceScript] = await Promise.all([
    readFile(join(folder, "index.html"), "utf8"),
    readFile(join(folder, "style.css"), "utf8"),
    readFile(join(folder, "favicon.svg"), "utf8"),
    bundle("app"),
    bundle("referencePage"),
  ]);
  const open = new Set<SSEStreamingApi>();
  const app = new Hono();

  // Comes before the page's headers, because the reference has a different content security policy.
  app.route("/", referenceRoutes(referenceScript, config));
  app.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        // The API, Cognito's hosted domain and RunPod's job API have other origins.
        connectSrc: ["'self'", "http://localhost:*", "http://127.0.0.1:*"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
      strictTransportSecurity: false,
    }),
  );
  app.use(async (c, next) => {
    await next();
    c.header("Cache-Control", "no-store");
  });

  for (const path of ["/", "/callback"]) app.get(path, (c) => c.html(html));
  app.get("/style.css", (c) => c.body(style, 200, { "Content-Type": "text/css; charset=utf-8" }));
  // Browsers also request this path for pages without an icon, such as a JSON answer.
  app.get("/favicon.ico", (c) => c.body(icon, 200, { "Content-Type": "image/svg+xml" }));
  app.get("/app.js", (c) => c.body(script, 200, { "Content-Type": "text/javascript; charset=utf-8" }));
  app.get("/config.json", (c) => {
    const current = config();
    return current ? c.json(current) : c.text("The program is still being evaluated. Try again in a second.", 503);
  });
  app.get("/events", (c) =>
    streamSSE(c, async (stream) => {
      open.add(stream);
      const ended = new Promise<void>((resolve) => stream.onAbort(resolve));
      const unsubscribe = events.subscribe((event) => void stream.writeSSE({ data: JSON.stringify(event) }));
      // Send a comment line regularly, so that the browser and proxies keep the connection open.
      const heartbeat = setInterval(() => void stream.write(": ♥\n\n"), HEARTBEAT_MS);
      await ended;
      clearInterval(heartbeat);
      unsubscribe();
      open.delete(stream);
    }),
  );

  app.route("/", panelRoutes(panel));

  const server = await serve("the page", port, app.fetch);
  return {
    ...server,
    async close() {
      const ended = [...open].map((stream) => {
        stream.abort();
        return stream.close();
      });
      await Promise.all(ended);
      // Wait one turn of the event loop, so that the last chunks are sent before the connections close.
      await setImmediate();
      await server.close();
    },
  };
}

/** Bundles a script of the page with the files of the client's package that npm packs. */
function bundle(name: string): Promise<string> {
  buildClientModule();
  const file = bundleWhenStale({
    entryPoints: [join(folder, `${name}.ts`)],
    outfile: join(root, `.build/page/${name}.js`),
    format: "iife",
    target: "es2023",
    sourcemap: "inline",
  });
  return readFile(file, "utf8");
}
