import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const pages = ["README.md", "README.ja.md", "CONTRIBUTING.md", ...globSync("docs/**/*.md")];
const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: Record<string, string> };

/** Returns the parts of a page that `pattern` captures. */
function captures(page: string, pattern: RegExp): string[] {
  return [...readFileSync(page, "utf8").matchAll(pattern)].map(([, captured = ""]) => captured);
}

describe.each(pages)("%s", (page) => {
  it("links only to files that exist", () => {
    const links = captures(page, /\]\((?!https?:)([^)#]+)\)/g);
    expect(links.filter((link) => !existsSync(join(dirname(page), link)))).toEqual([]);
  });

  it("names only source files that exist", () => {
    // Skips paths with a placeholder such as `<name>`, and files that commands write. A file name without a folder may
    // belong to the worker's or a model's folder.
    const paths = captures(page, /`((?!\.build|\.local)[\w./-]+\.(?:ts|cjs|py|json|yaml|jinja|md))`/g);
    const places = ["", "images/worker/src/snack_worker/", "images/phi3/"];
    expect(paths.filter((path) => !places.some((place) => existsSync(place + path)))).toEqual([]);
  });

  it("names only npm scripts that exist", () => {
    const names = captures(page, /npm run ([\w:]+)/g);
    expect(names.filter((name) => scripts[name] === undefined)).toEqual([]);
  });
});
