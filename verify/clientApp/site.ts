import { readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { Hono } from "hono";
import { type Listening, serve } from "../../local/support/http";

const types: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/** Serves a built single-page app: its files, and `index.html` for every other path, such as `/callback`. */
export function serveSite(folder: string, port: number): Promise<Listening> {
  const app = new Hono();
  app.get("*", async (c) => {
    const isFile = c.req.path.startsWith("/assets/") && !c.req.path.includes("..");
    const name = isFile ? c.req.path : "/index.html";
    const content = await readFile(join(folder, name)).catch(() => undefined);
    if (!content) return c.notFound();
    return c.body(new Uint8Array(content), 200, {
      "Content-Type": `${types[extname(name)] ?? "text/plain"}; charset=utf-8`,
    });
  });
  return serve("the app", port, app.fetch);
}
