import { setImmediate } from "node:timers/promises";
import { expect, it } from "vitest";
import { Deployment } from "../../../local/pulumi/deployment";
import type { Known, ResourceProvider } from "../../../local/pulumi/provider";
import { StackState } from "../../../local/pulumi/state";

const type = "aws:test/thing:Thing";
const thing = (name: string) => ({
  urn: `urn:pulumi:test::snack::${type}::${name}`,
  type,
  custom: true,
  external: false,
  id: name,
  inputs: {},
  outputs: {},
  dependencies: [],
  propertyDependencies: {},
  protect: false,
  retainOnDelete: false,
  additionalSecretOutputs: [],
  initErrors: [],
});

it("a refresh with a failed read ends only after all other reads have ended", async () => {
  const state = new StackState("/nonexistent/stack.json", false);
  for (const name of ["failing", "slow"]) state.put(thing(name));
  const slow = Promise.withResolvers<void>();
  const read = async ({ id }: Known) => {
    if (id === "failing") throw new Error("quota reached");
    await slow.promise;
    return { id, outputs: { size: 5 } };
  };
  const provider = { read } as Partial<ResourceProvider> as ResourceProvider;
  const options = {
    programDir: ".",
    project: "snack",
    stack: "test",
    config: {},
    secretKeys: [],
    statePath: "",
    providers: {},
  };
  const deployment = new Deployment({ options, state, providers: { get: async () => provider }, dryRun: false });
  let hasEnded = false;
  const refreshed = deployment.refresh().finally(() => {
    hasEnded = true;
  });
  refreshed.catch(() => {});
  for (let turn = 0; turn < 10; turn += 1) await setImmediate();
  expect(hasEnded).toBe(false);
  slow.resolve();
  await expect(refreshed).rejects.toThrow(`${type} "failing": quota reached`);
  expect(state.all.map(({ outputs }) => outputs)).toEqual([{}, { size: 5 }]);
});
