import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { root } from "../../../cli/root";
import { circles, upwardImports } from "../../../verify/structure/imports";
import { rooms } from "../../../verify/structure/rooms";
import { readSources } from "../../../verify/structure/sources";

/** Writes files into a temporary folder and reads them as sources. */
function plant(files: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), "snack-misaki-structure-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return readSources(folder);
}

test("the repository has no import cycle and no upward import", () => {
  const sources = readSources(root);
  expect(sources.length).toBeGreaterThan(300);
  expect(circles(sources)).toEqual([]);
  expect(upwardImports(sources, rooms)).toEqual([]);
});

test.each([
  ["a plain import", `import { b } from "./b";`],
  ["a type import", `import type { B } from "./b";`],
  ["an import for side effects", `import "./b.js";`],
  ["a re-export", `export * from "./b";`],
  ["a dynamic import", `export const b = () => import("./b.js");`],
  ["an import in a type", `export type B = typeof import("./b");`],
  ["a require call", `const b = require("./b");`],
  ["an import assignment", `import b = require("./b");`],
])("circles finds an import cycle that contains %s", (_, line) => {
  const sources = plant({ "infra/a.ts": line, "infra/b.ts": `import "./c";`, "infra/c.ts": `import "./a";` });
  expect(circles(sources)).toEqual([["infra/a.ts", "infra/b.ts", "infra/c.ts"]]);
});

test("circles finds an import cycle between Python modules", () => {
  const sources = plant({ "images/a.py": "from .b import x\n", "images/b.py": "from . import a\n" });
  expect(circles(sources)).toEqual([["images/a.py", "images/b.py"]]);
});

test("readSources ignores imports of packages and JSON, and imports in comments and strings", () => {
  const sources = plant({
    "infra/a.ts": `import "./b";\nimport "zod";\nimport data from "./data.json";`,
    "infra/b.ts": `// import "./a";\nexport const text = 'import "./a"';`,
    "infra/data.json": "{}",
  });
  expect(sources.map(({ path, imports }) => [path, imports])).toEqual([
    ["infra/a.ts", ["infra/b.ts"]],
    ["infra/b.ts", []],
  ]);
});

test("upwardImports finds an import of a client file that is not the client's public entry", () => {
  const sources = plant({
    "local/page/app.ts": `import "../../client";\nimport "../../client/problem";`,
    "client/index.ts": `import "./problem";`,
    "client/problem.ts": "",
  });
  expect(upwardImports(sources, rooms).map(({ from, to }) => [from, to])).toEqual([
    ["local/page/app.ts", "client/problem.ts"],
  ]);
});

test("upwardImports finds an import from a higher room than the room of the file", () => {
  const sources = plant({
    "contract/a.ts": `import "../infra/b";`,
    "infra/b.ts": "",
    "functions/core/d.ts": `import "../c";`,
    "functions/c.ts": "",
  });
  expect(circles(sources)).toEqual([]);
  expect(upwardImports(sources, rooms)).toEqual([
    { from: "contract/a.ts", to: "infra/b.ts", reason: "infra is above contract" },
    { from: "functions/core/d.ts", to: "functions/c.ts", reason: "functions is above functions/core" },
  ]);
});

test("upwardImports finds a cycle between two folders when there is no cycle between files", () => {
  const sources = plant({
    "local/aws/a.ts": `import "../stripe/b";`,
    "local/aws/c.ts": "",
    "local/stripe/b.ts": "",
    "local/stripe/d.ts": `import "../aws/c";`,
    "local/page/e.ts": `import "../aws/a";`,
  });
  expect(circles(sources)).toEqual([]);
  expect(upwardImports(sources, rooms).map(({ from, to }) => [from, to])).toEqual([
    ["local/aws/a.ts", "local/stripe/b.ts"],
    ["local/stripe/d.ts", "local/aws/c.ts"],
  ]);
});

test("upwardImports finds imports of test files and of files outside all rooms", () => {
  const sources = plant({
    "infra/a.ts": `import "../tests/fixture";`,
    "tests/fixture.ts": "",
    "verify/b.ts": `import "../elsewhere/c";`,
    "elsewhere/c.ts": "",
  });
  expect(upwardImports(sources, rooms)).toEqual([
    { from: "infra/a.ts", to: "tests/fixture.ts", reason: "only tests may import from tests" },
    {
      from: "verify/b.ts",
      to: "elsewhere/c.ts",
      reason: "elsewhere/c.ts is in no room: add its folder to verify/structure/rooms.ts",
    },
  ]);
});

test("readSources counts the lines of files and functions in Python and TypeScript", () => {
  const [python, typescript] = plant({
    "images/a.py": 'def outer(\n    x,\n) -> None:\n    """Doc."""\n\n    print(x)\n\n\ny = 1\n',
    "infra/b.ts": "class Box {\n  constructor() {\n    fill();\n  }\n}\nconst arrow = () => {\n  fill();\n};\n",
  });
  expect(python).toMatchObject({ lines: 9, functions: [{ name: "outer", lines: 6 }] });
  expect(typescript).toMatchObject({
    lines: 8,
    functions: [
      { name: "Box.constructor", lines: 3 },
      { name: "arrow", lines: 3 },
    ],
  });
});
