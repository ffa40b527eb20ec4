import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { afterEach, describe, expect, it } from "vitest";
import { bundleOptions } from "../../../infra/bundle";
import type { Api } from "../../../runpod/apis";
import { initialStack } from "../../../verify/chaos/runpod/declaredStack";
import { reportRunpod } from "../../../verify/chaos/runpod/report";
import type { Scenario } from "../../../verify/chaos/runpod/scenario";
import { simulateRunpod, type WrongRun } from "../../../verify/chaos/runpod/simulation";

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

/** Builds the provider with one piece of its code replaced. Returns the program folder that contains the build. */
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
        name: "replace",
        setup: ({ onLoad }) =>
          onLoad({ filter: /\.ts$/ }, (args) =>
            args.path === path ? { contents: source.replace(piece, replacement), loader: "ts" } : undefined,
          ),
      },
    ],
  });
  return folder;
}

/** Updates of a secret and of a password that RunPod does not execute until the operator has refreshed the state. */
function failedContentUpdates(api: Api): Scenario {
  const calls = ["secretValueUpdate", "updateRegistryAuth", "PATCH /v2/account/secrets/*", "PATCH /v2/registries/*"];
  const faults = calls.map((on) => ({ on, times: 1_000_000, skip: 0, done: false, delayMs: 0, answer: 503 }));
  const none = {
    faults: [],
    listLagMs: 0,
    graphqlEndsAfter: undefined,
    daysBefore: 0,
    refresh: false,
    isConcurrent: false,
    losesState: false,
  };
  const first = initialStack();
  const secret = first.secret && { ...first.secret, value: "token 2" };
  const registry = { ...first.registry, password: "password 2" };
  return {
    api,
    updates: [
      { ...none, declared: first },
      { ...none, declared: { ...first, secret }, faults },
      { ...none, declared: { ...first, secret, registry }, faults },
    ],
    destroyFaults: [],
    ignoresDependencies: false,
  };
}

describe("RunPod simulation", () => {
  it("finds no orphan, duplicate or wrong resource in runs through both APIs", async () => {
    const wrongRuns: WrongRun[] = [];
    const result = await simulateRunpod({ runs: 20, seed: 1 }, (wrong) => {
      wrongRuns.push(wrong);
      return false;
    });
    expect(wrongRuns).toEqual([]);
    expect(result).toEqual({ runs: 20, orphans: 0, duplicates: 0, wrong: 0 });
  });

  it("finds no error in a run through Pulumi's server for dynamic resources", async () => {
    expect(await simulateRunpod({ runs: 1, seed: 50 })).toEqual({ runs: 1, orphans: 0, duplicates: 0, wrong: 0 });
  });

  it.each(["graphql", "rest"] as const)(
    "finds the new content at RunPod when every update before a refresh has failed (%s)",
    async (api) => {
      const wrongRuns: WrongRun[] = [];
      const scenarioOf = () => failedContentUpdates(api);
      await simulateRunpod({ runs: 1, seed: 1, scenarioOf, retryLimitMs: 60 }, (wrong) => {
        wrongRuns.push(wrong);
        return false;
      });
      expect(wrongRuns).toEqual([]);
    },
  );

  it("reports the seed and the errors of each wrong run with --json", async () => {
    const programDir = await providerWith(
      "runpod/secretProvider.ts",
      "remove: (client, id) => client.deleteSecret(id)",
      "remove: async () => {}",
    );
    const { result, failed } = await reportRunpod({ runs: 1, seed: 1, programDir });
    expect(failed).toBe(true);
    expect(result.wrongRuns).toEqual([
      { seed: 1, what: expect.arrayContaining([expect.stringContaining("remains after destroy")]) },
    ]);
  });

  it.each([
    [
      "the provider keeps every endpoint that was created twice",
      "duplicates",
      "runpod/duplicates.ts",
      "return all.filter(",
      "return [].filter(",
    ],
    [
      "the provider ignores that RunPod has lowered workersMax",
      "wrong",
      "runpod/endpointProvider.ts",
      "live.workersMax < workersMax",
      "false",
    ],
    [
      "a new value of a secret does not reach RunPod",
      "wrong",
      "runpod/secretProvider.ts",
      "await client.updateSecret(id, value);",
      "",
    ],
    [
      "a destroy leaves a secret",
      "orphans",
      "runpod/secretProvider.ts",
      "remove: (client, id) => client.deleteSecret(id)",
      "remove: async () => {}",
    ],
    [
      "the provider treats a reordered set as a change",
      "wrong",
      "dynamic/fields.ts",
      "[...new Set(value)].sort()",
      "value",
    ],
  ] as const)("finds errors when %s", async (_name, kind, file, piece, replacement) => {
    const programDir = await providerWith(file, piece, replacement);
    const result = await simulateRunpod({ runs: 100, seed: 1, programDir }, (wrong) => wrong[kind].length > 0);
    expect(result[kind]).toBeGreaterThan(0);
  });
});
