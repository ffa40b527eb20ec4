import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { afterEach, describe, expect, it } from "vitest";
import { bundleOptions } from "../../../infra/bundle";
import { simulateRunpod, type WrongRun } from "../../../verify/chaos/runpod/runpod";

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

/** A program's folder with the provider in it, in which one piece of code has been replaced by another. */
async function providerWith(file: string, piece: string, replacement: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "snack-chaos-provider-"));
  cleanUps.push(() => rm(folder, { recursive: true, force: true }));
  const path = resolve(file);
  const source = await readFile(path, "utf8");
  expect(source).toContain(piece);
  await build({
    ...bundleOptions,
    entryPoints: [resolve("runpod/provider.ts")],
    outfile: join(folder, ".build/runpod/provider.cjs"),
    plugins: [
      {
        name: "break",
        setup: ({ onLoad }) =>
          onLoad({ filter: /\.ts$/ }, (args) =>
            args.path === path ? { contents: source.replace(piece, replacement), loader: "ts" } : undefined,
          ),
      },
    ],
  });
  return folder;
}

describe("the RunPod provider under chaos", () => {
  it("ends with what the program says, and nothing else, in every run and through both APIs", async () => {
    const wrongRuns: WrongRun[] = [];
    const result = await simulateRunpod({ runs: 20, seed: 1 }, (wrong) => void wrongRuns.push(wrong));
    expect(wrongRuns).toEqual([]);
    expect(result).toEqual({ runs: 20, orphans: 0, duplicates: 0, wrong: 0 });
  });

  it.each([
    ["nobody looks for what a lost answer has made", "orphans", "runpod/createOnce.ts", "existing = await find();", ""],
    [
      "an endpoint may be made twice",
      "duplicates",
      "runpod/endpointProvider.ts",
      "() => findOwn(client, inputs)",
      "async () => undefined",
    ],
    [
      "a drift is not shown",
      "wrong",
      "runpod/endpointProvider.ts",
      "const props = asDeclared(declared,",
      "const props = declared; void (",
    ],
    ["a set in another order is a change", "wrong", "dynamic/fields.ts", "[...new Set(value)].sort()", "value"],
  ] as const)("is found out when %s", async (_name, kind, file, piece, replacement) => {
    const programDir = await providerWith(file, piece, replacement);
    const result = await simulateRunpod({ runs: 10, seed: 1, programDir });
    expect(result[kind]).toBeGreaterThan(0);
  });
});
