import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { type LocalCloud, startLocalCloud } from "../../local/cloud/cloud";
import { engineOptions } from "../../local/cloud/program";
import { preview, type StepEvent, up } from "../../local/pulumi/engine";
import { START_STACK, stackNames } from "../../names";
import { copyRepository } from "../repositoryCopy";

// Each test runs the program several times, which is slow on a busy machine.
vi.setConfig({ testTimeout: 600_000 });

let dir: string;
let programDir: string;
let cloud: LocalCloud;

/** Starts a local cloud for a copy of the program. Returns the engine's options for changes of the configuration. */
async function start() {
  dir = mkdtempSync(join(tmpdir(), "snack-misaki-promotion-"));
  programDir = copyRepository(dir).path;
  cloud = await startLocalCloud({ programDir, dir, freePorts: true, withoutPython: true });
  return (overrides: Record<string, unknown>) => engineOptions(cloud, programDir, dir, overrides);
}

/** Names another commit of the weights, as an operator does who has retrained the model. */
function retrain(): string {
  const file = join(programDir, "images/mistral/model.json");
  const revision = "f".repeat(40);
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), revision }));
  return revision;
}

afterEach(async () => {
  await cloud?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Steps that change something, in their order. */
const changes = (steps: StepEvent[]) =>
  steps
    .filter(({ op, custom }) => custom && op !== "same" && op !== "read")
    .map(({ op, type, name, retained }) => `${retained ? "retain" : op} ${type.split(":").at(-1)} ${name}`);

const endpoints = () =>
  cloud.runpod
    .endpoints()
    .map(({ name }) => name)
    .filter((name) => name.includes("mistral"));

const released = stackNames(START_STACK).endpoint("mistral");
const candidate = stackNames(START_STACK).candidateEndpoint("mistral");

describe("A promotion", () => {
  it("with imageTag pushes no image, rolls the released endpoint out, deletes the candidate's, and allows its pushedTag again", async () => {
    const options = await start();
    await up(options({ "mistral.workersMin": 1 }));
    const revision = retrain();
    const added = await up(options({ "mistral.workersMin": 1, "mistral.candidate.imageTag": "v2" }));
    // Without mistral-local-1: ECR refuses another image of the new weights with the old tag.
    expect(changes(added.steps).toSorted()).toEqual([
      "create Endpoint mistral-candidate",
      "create Image mistral-v2",
      "create Parameter mistral-candidate",
      "create Template mistral-candidate",
    ]);
    const [image] = cloud.aws.account.list("docker-build:index:Image").filter(({ id }) => id.endsWith(":mistral-v2"));
    expect(image?.outputs.buildArgs).toMatchObject({ MODEL_REVISION: revision, MODEL_VERSION: "v2" });
    expect(endpoints()).toEqual([released, candidate]);

    const promoted = options({ "mistral.workersMin": 1, "mistral.imageTag": "v2" });
    cloud.runpod.switches.crashing.push(released);
    await expect(up(promoted)).rejects.toThrow(/Workers crash/);
    expect(endpoints()).toEqual([released, candidate]);

    cloud.runpod.switches.crashing.splice(0);
    const steps = changes((await up(promoted)).steps);
    expect(steps.toSorted()).toEqual([
      "delete Endpoint mistral-candidate",
      "delete Parameter mistral-candidate",
      "delete Template mistral-candidate",
      "retain Image mistral-local-1",
      "update Template mistral",
    ]);
    expect(steps[0]).toBe("update Template mistral");
    // The functions must stop using the endpoint before it disappears.
    expect(steps.indexOf("delete Parameter mistral-candidate")).toBeLessThan(
      steps.indexOf("delete Endpoint mistral-candidate"),
    );
    expect(endpoints()).toEqual([released]);

    // The image before is a candidate again, from ECR.
    const again = options({
      "mistral.workersMin": 1,
      "mistral.imageTag": "v2",
      "mistral.candidate.pushedTag": "local-1",
    });
    expect(changes((await up(again)).steps).toSorted()).toEqual([
      "create Endpoint mistral-candidate",
      "create Parameter mistral-candidate",
      "create Template mistral-candidate",
    ]);
  });

  it("with imageUri changes no function and no role, also when the candidate is created", async () => {
    const options = await start();
    const base = {
      "registry.kind": "token",
      "registry.host": "ghcr.io",
      "registry.username": "mama",
      registryToken: "ghp_local",
      "phi3.imageTag": undefined,
      "phi3.imageUri": "ghcr.io/mama/phi3:v1",
      "mistral.imageTag": undefined,
      "mistral.imageUri": "ghcr.io/mama/mistral:v1",
    };
    await up(options(base));
    const withCandidate = options({ ...base, "mistral.candidate.imageUri": "ghcr.io/mama/mistral:v2" });
    expect(changes((await up(withCandidate)).steps).toSorted()).toEqual([
      "create Endpoint mistral-candidate",
      "create Parameter mistral-candidate",
      "create Template mistral-candidate",
    ]);
    const promoted = options({ ...base, "mistral.imageUri": "ghcr.io/mama/mistral:v2" });
    expect(changes((await preview(promoted)).steps)).toEqual([
      "update Template mistral",
      "delete Parameter mistral-candidate",
      "delete Endpoint mistral-candidate",
      "delete Template mistral-candidate",
    ]);
  });
});
