import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Hono } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { root } from "../../cli/root";
import { type OpenApi, serverOf } from "../../contract/openapi/document";
import type { PageConfig } from "./config";

/** Files of Swagger UI. They come from node_modules, so the page works offline. */
const assets = [
  {
    path: "/swagger-ui-bundle.js",
    file: require.resolve("swagger-ui-dist/swagger-ui-bundle.js"),
    type: "text/javascript",
  },
  { path: "/swagger-ui.css", file: require.resolve("swagger-ui-dist/swagger-ui.css"), type: "text/css" },
];

/**
 * Serves the API reference: `/reference` (Swagger UI, which calls this local cloud) and its files. Its document is
 * `/reference/openapi.json` (503 until the program has been evaluated).
 *
 * @param script source of `page.js`
 */
export function referenceRoutes(script: string, config: () => PageConfig | undefined): Hono {
  const app = new Hono().basePath("/reference");
  app.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        // Swagger UI sets inline styles.
        styleSrc: ["'self'", "'unsafe-inline'"],
        imgSrc: ["'self'", "data:"],
        connectSrc: ["'self'", "http://localhost:*", "http://127.0.0.1:*"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
      strictTransportSecurity: false,
    }),
  );
  app.get("/", (c) => c.html(html));
  app.get("/page.js", (c) => c.body(script, 200, { "Content-Type": "text/javascript; charset=utf-8" }));
  app.get("/openapi.json", (c) => {
    const current = config();
    return current
      ? c.json(localDocument(current))
      : c.text("The program is still being evaluated. Try again in a second.", 503);
  });
  for (const { path, file, type } of assets) {
    app.get(path, async (c) => c.body(await readFile(file, "utf8"), 200, { "Content-Type": `${type}; charset=utf-8` }));
  }
  return app;
}

const localNote = `

This page calls the local cloud. **Authorize** already has a ticket, and the ID token of the customer who has signed in on
the [page](/). A ticket is valid for about two minutes: reload this page for a new one.`;

/** The committed OpenAPI document with the URLs of this local cloud. */
function localDocument({ apiUrl, relayUrl, inference }: PageConfig): OpenApi {
  const document = JSON.parse(readFileSync(join(root, "contract/openapi.json"), "utf8")) as OpenApi;
  const servers = {
    api: [{ url: apiUrl, description: "auth and billing API" }],
    relay: [{ url: relayUrl, description: "relay" }],
    runpod: Object.entries(inference).map(([model, url]) => ({ url, description: `job API of ${model}` })),
  };
  for (const [path, item] of Object.entries(document.paths)) {
    if (item.servers) item.servers = servers[serverOf(path, item)];
  }
  return {
    ...document,
    info: { ...document.info, description: `${document.info.description}${localNote}` },
    servers: servers.api,
  };
}

const html = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Snack Misaki: API reference</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="/reference/swagger-ui.css" />
    <script src="/reference/swagger-ui-bundle.js" defer></script>
    <script src="/reference/page.js" defer></script>
  </head>
  <body>
    <div id="reference"></div>
  </body>
</html>
`;
