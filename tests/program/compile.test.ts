import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

/** A repository with a small program: index.ts exports the return value of a function in infra/part.ts. */
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "snack-misaki-compile-"));
  for (const name of ["cli", "package.json", "package-lock.json", "tsconfig.json"])
    cpSync(resolve(name), join(folder, name), { recursive: true });
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
  mkdirSync(join(folder, "infra"));
  write("index.ts", 'import { part } from "./infra/part";\nexport const value: string = part();\n');
  write("infra/part.ts", 'export const part = (): string => "first";\n');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(file: string, text: string): void {
  writeFileSync(join(folder, file), text);
}

/**
 * Evaluates the program through `main` of package.json, like Pulumi. Returns the program's output, or the stack of its
 * error.
 */
function evaluate(): unknown {
  const script = `
    let result;
    try { result = require("./").value; } catch (error) { result = { stack: error.stack }; }
    process.stdout.write(JSON.stringify(result));`;
  return JSON.parse(execFileSync(process.execPath, ["-e", script], { cwd: folder, encoding: "utf8" }));
}

const compiled = (file: string) => join(folder, ".build/program", file);

describe("The program's entry point", () => {
  it("compiles and runs the program when there is no .build folder", () => {
    expect(existsSync(join(folder, ".build"))).toBe(false);
    expect(evaluate()).toBe("first");
  });

  it("compiles again after a source has changed", () => {
    evaluate();
    write("infra/part.ts", 'export const part = (): string => "second";\n');
    expect(evaluate()).toBe("second");
  });

  it("compiles again after the compiled code has been deleted", () => {
    evaluate();
    rmSync(compiled("index.js"));
    expect(evaluate()).toBe("first");
  });

  it("compiles nothing when no source has changed", () => {
    evaluate();
    const { mtimeMs } = statSync(compiled("infra/part.js"));
    evaluate();
    expect(statSync(compiled("infra/part.js")).mtimeMs).toBe(mtimeMs);
  });

  it("loads infra/part/index.ts after this file replaces infra/part.ts", () => {
    evaluate();
    rmSync(join(folder, "infra/part.ts"));
    mkdirSync(join(folder, "infra/part"));
    write("infra/part/index.ts", 'export const part = (): string => "moved";\n');
    expect(evaluate()).toBe("moved");
    expect(readdirSync(compiled("infra"))).toEqual(["part"]);
  });

  it("throws an error with the file and line of a syntax error", () => {
    write("infra/part.ts", "export const part = (;\n");
    expect(evaluate()).toEqual({ stack: expect.stringContaining("infra/part.ts:1:21: ERROR") });
  });

  it("shows the file and line of the TypeScript source in a stack trace", () => {
    write(
      "infra/part.ts",
      'interface Unused {\n  a: 1;\n}\nexport const part = (): string => {\n  throw new Error("broken");\n};\n',
    );
    expect(evaluate()).toEqual({ stack: expect.stringMatching(/^Error: broken\n.*infra\/part\.ts:5:9\)/) });
  });
});
