import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { models } from "../../contract/plan";
import { type LocalCloud, startLocalCloud } from "../../local/cloud/cloud";
import { bringUp, engineOptions } from "../../local/cloud/program";
import { destroy, preview, type StepEvent, up } from "../../local/pulumi/engine";
import { huggingfaceTokenOf } from "../../names";
import { logicalName } from "../names";

// RunPod removes its GraphQL API in early 2027, so every stack must be able to switch to REST.
const programDir = process.cwd();
const dir = mkdtempSync(join(tmpdir(), "snack-misaki-rest-"));
let cloud: LocalCloud;

beforeAll(async () => {
  const config = { [huggingfaceTokenOf("phi3")]: "hf_canary_worker_token" };
  cloud = await startLocalCloud({ programDir, dir, freePorts: true, config });
  await bringUp(cloud, programDir, dir);
});

afterAll(async () => {
  await cloud?.close();
  rmSync(dir, { recursive: true, force: true });
});

const runpodChanges = (steps: StepEvent[]) =>
  steps
    .filter(({ op, type }) => op !== "same" && type.includes("runpod:"))
    .map(({ op, type, name }) => `${op} ${type.split(":").pop()} ${name}`)
    .sort();
const account = () => cloud.runpod.account;
const images = () =>
  account()
    .endpoints.map(({ templateId }) => account().template(templateId)?.imageName?.replace(/.*\//, ""))
    .sort();

/** Registers an ECR delegation for each model's repository with RunPod, like an operator. */
async function delegations(): Promise<Record<string, string>> {
  const ids: Record<string, string> = {};
  for (const { id: name, outputs } of cloud.aws.account.list("aws:ecr/repository:Repository")) {
    const response = await fetch(`${cloud.runpod.restUrl}/registries/delegations`, {
      method: "POST",
      headers: { authorization: "Bearer local-runpod-account-key", "content-type": "application/json" },
      body: JSON.stringify({ resource: outputs.arn }),
    });
    const { id } = z.object({ id: z.string() }).parse(await response.json());
    ids[logicalName(name)] = id;
  }
  return ids;
}

describe("A stack that was created through GraphQL", () => {
  let rest: Record<string, unknown>;

  it("shows no change at RunPod when it switches to REST, and keeps its ECR token and its Hugging Face token", async () => {
    const before = account().secrets.all;
    const { steps } = await up(engineOptions(cloud, programDir, dir, { runpodApi: "rest" }));
    expect(runpodChanges(steps)).toEqual([]);
    expect(before).toMatchObject([{ value: "hf_canary_worker_token" }]);
    expect(account().secrets.all).toEqual(before);
  });

  it("keeps its endpoints when it switches to REST with ECR delegations", async () => {
    const before = account().endpoints.map(({ id }) => id);
    rest = { runpodApi: "rest", registry: { kind: "delegation", ids: await delegations() } };
    const { steps } = await up(engineOptions(cloud, programDir, dir, rest));
    expect(runpodChanges(steps)).toEqual([
      "delete RegistryAuth registry",
      ...models.map((model) => `update Template ${model}`).sort(),
    ]);
    expect(account().endpoints.map((endpoint) => endpoint.id)).toEqual(before);
    const again = await preview(engineOptions(cloud, programDir, dir, rest));
    expect(again.steps.filter(({ op }) => op !== "same")).toEqual([]);
  });

  it("updates only one template when one model's image tag changes", async () => {
    const before = images();
    const bumped = engineOptions(cloud, programDir, dir, { ...rest, "phi3.imageTag": "2026-12-01" });
    expect(runpodChanges((await up(bumped)).steps)).toEqual(["update Template phi3"]);
    const after = images();
    expect(after.filter((image) => before.includes(image))).toHaveLength(models.length - 1);
    expect(account().endpoints).toHaveLength(models.length);
  });

  it("leaves no resource at RunPod after a destroy through REST", async () => {
    await destroy(engineOptions(cloud, programDir, dir, rest));
    const { endpoints, templates, registryAuths, secrets } = account();
    expect([endpoints, templates, registryAuths, secrets.all]).toEqual([[], [], [], []]);
  });
});
