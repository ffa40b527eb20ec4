import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { inTemporaryCloud } from "../../local/cloud/temporaryCloud";
import { needs } from "../needs";
import { copyRepository, type RepositoryCopy } from "../repositoryCopy";
import { API_KEY } from "../runpod/localDouble";
import { IMAGE, PodFixture } from "../training/runpod/fixture";
import { HUB_TOKEN, REPOSITORY } from "../training/runpod/hub";
import { needsPython } from "../workerPython";
import { Runner, type StepResult } from "./runner";
import { readWorkflow } from "./workflows";

const dir = mkdtempSync(join(tmpdir(), "snack-misaki-workflows-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const digest = `sha256:${"d".repeat(64)}`;
let repository: RepositoryCopy;
beforeAll(() => {
  // A second stack.
  const prod = readFileSync("Pulumi.dev.yaml", "utf8").replace("stack: dev", "stack: prod");
  repository = copyRepository(dir, { "Pulumi.prod.yaml": prod });
});

/** Options of a test whose steps use jq. */
const needsJq = needs(spawnSync("jq", ["--version"]).status === 0 ? undefined : "no jq found (Debian: apt install jq)");

let runs = 0;
const newRunner = (outputs?: Record<string, unknown>, cwd = repository.path, environment?: Record<string, string>) =>
  new Runner(join(dir, `run-${++runs}`), cwd, outputs, environment);

/** Fails with the output of the first command that failed. */
function expectSuccess(results: StepResult[], commands: number): void {
  expect(results.filter(({ status }) => status !== 0)).toEqual([]);
  expect(results).toHaveLength(commands);
}

describe("The workflow check", () => {
  it("runs commands that exist", async () => {
    const runner = newRunner();
    expectSuccess(await runner.job("check", "check", {}), 2);
    expectSuccess(await runner.job("check", "test", {}), 1);
    expect(runner.readCalls().map(({ program, name }) => `${program} ${name}`)).toEqual(["npm ci", "sudo bash"]);
  });
});

describe("The workflow preview", () => {
  it.each(["dev", "prod"])("writes the table of %s into the job's summary, as Markdown", async (stack) => {
    const runner = newRunner();
    expectSuccess(await runner.job("preview", "resources", { "matrix.stack": stack }), 2);
    const summary = runner.read("GITHUB_STEP_SUMMARY");
    expect(summary).toMatch(new RegExp(`^### ${stack}\n\n\\| type \\| name \\| change \\|`));
    expect(summary).toContain(`| pulumi:pulumi:Stack | snack-misaki-${stack} | create |`);
  });

  it("runs pulumi preview of dev with the policy pack, and nothing that writes", async () => {
    const runner = newRunner();
    const results = await runner.job("preview", "difference", { "vars.PULUMI_BACKEND_URL": "s3://state" });
    expectSuccess(results, 2);
    expect(runner.readCalls().filter(({ program }) => program === "pulumi")).toEqual([
      {
        program: "pulumi",
        name: "preview",
        options: { "--stack": "dev", "--policy-pack": "policy", "--diff": true, "--non-interactive": true },
        rest: [],
      },
    ]);
  });
});

describe("The workflow deploy", { ...needsPython, ...needsJq }, () => {
  it("deploys, then chats with the deployed API and sends the contract's requests to the endpoint", async () => {
    await inTemporaryCloud({ engine: "scripted", progress: () => {} }, async (cloud, outputs) => {
      const runner = newRunner(outputs, process.cwd());
      const results = await runner.job("deploy", "deploy", {
        "inputs.stack": "dev",
        "vars.PULUMI_BACKEND_URL": "s3://state",
        "secrets.RUNPOD_API_KEY": "local-runpod-account-key",
      });
      expectSuccess(results, 4);
      const [, up, smoke, contract] = results;
      expect(up?.run).toContain("pulumi up");
      expect(smoke?.output).toContain(outputs.apiUrl);
      expect(smoke?.output).toMatch(/guest: free, phi3, relay/);
      expect(contract?.output).toMatch(/[1-9]\d* passed, 0 failed/);
      expect(contract?.output).toContain(outputs.inference.phi3);
      expect(cloud.runpod.account.endpoints.length).toBeGreaterThan(0);
    });
  });

  it("stops when the deployed API does not answer", async () => {
    const runner = newRunner({ apiUrl: "http://127.0.0.1:9", inference: { phi3: "http://127.0.0.1:9/v2/x" } });
    const results = await runner.job("deploy", "deploy", { "vars.PULUMI_BACKEND_URL": "s3://state" });
    expect(results.at(-1)?.run).toContain("npm run smoke");
    expect(results.at(-1)?.status).toBe(1);
  });

  it("stops when Pulumi fails", async () => {
    const results = await newRunner().job("deploy", "deploy", { "inputs.stack": "dev" });
    expect(results.at(-1)).toMatchObject({ status: 1, output: expect.stringContaining("no backend") });
  });
});

describe("The workflow image", needsJq, () => {
  it("pushes an image without attestations, and puts out its name with the digest", async () => {
    const runner = newRunner();
    const contexts = {
      "inputs.model": "phi3",
      "inputs.tag": "2026-12-01",
      "github.repository": "Example/Snack",
      "github.token": "token",
    };
    expectSuccess(await runner.job("image", "image", contexts), 3);
    expect(runner.read("GITHUB_OUTPUT")).toBe(`image=ghcr.io/example/snack-phi3@${digest}\n`);
    const build = runner.readCalls().find(({ name }) => name === "build");
    expect(build?.options).toMatchObject({ "--provenance": "false", "--sbom": "false", "--push": true });
    expect(build?.options["--tag"]).toBe("ghcr.io/example/snack-phi3:2026-12-01");
  });
});

describe("The workflow train", needsJq, () => {
  const name = "snack-misaki-train-mistral-17-1";
  const contexts = {
    "inputs.model": "mistral",
    "inputs.max-hours": "4",
    "github.repository": "Example/Snack",
    "github.sha": "c".repeat(40),
    "github.token": "token",
    "github.run_id": "17",
    "github.run_attempt": "1",
    "needs.image.outputs.image": IMAGE,
    "vars.TRAINING_REPOSITORY": REPOSITORY,
    "secrets.RUNPOD_API_KEY": API_KEY,
    "secrets.HF_TOKEN": HUB_TOKEN,
    "secrets.PROPOSE_TOKEN": "token",
  };
  let fixture: PodFixture;
  beforeEach(async () => {
    fixture = await PodFixture.start();
  });
  afterEach(async () => {
    await fixture.close();
    // A proposal leaves its branch checked out.
    repository.git("switch", "--quiet", "main");
  });

  const trainRunner = () =>
    newRunner({}, repository.path, { RUNPOD_API_URL: fixture.runpod.url, HF_ENDPOINT: fixture.hub.url });
  const commitInOutput = (runner: Runner) => runner.read("GITHUB_OUTPUT").replace("revision=", "").trim();

  it("builds and pushes the training image on the engine's image of the workers, and outputs the digest", async () => {
    const runner = newRunner();
    expectSuccess(await runner.job("train", "image", contexts), 3);
    expect(runner.read("GITHUB_OUTPUT")).toBe(`image=ghcr.io/example/snack-training@${digest}\n`);
    const build = runner.readCalls().find(({ name }) => name === "build");
    expect(build?.options).toMatchObject({ "--push": true, "--file": join(repository.path, "training/Dockerfile") });
    expect(build?.options["--build-arg"]).toEqual([
      `ENGINE_IMAGE=${/^ARG ENGINE_IMAGE=(.+)$/m.exec(readFileSync("images/Dockerfile", "utf8"))?.[1]}`,
    ]);
  });

  it("trains on a pod, ends it, and proposes the candidate that passed its gates", async () => {
    const runner = trainRunner();
    expectSuccess(await runner.job("train", "train", contexts), 3);
    expect(fixture.runpod.pods.all).toEqual([]);
    const commit = commitInOutput(runner);
    expect(commit).toBe(fixture.hub.commitOf(name));
    expectSuccess(await runner.job("train", "propose", { ...contexts, "needs.train.outputs.revision": commit }), 3);
    const pullRequest = runner.readCalls().find((call) => call.name === "pr create");
    expect(pullRequest?.options["--title"]).toBe(`Use the retrained mistral ${commit.slice(0, 12)}`);
    expect(repository.git("diff", "--name-only", "main", `origin/retrain/mistral-${commit.slice(0, 12)}`).trim()).toBe(
      "images/mistral/model.json",
    );
  });

  it.each(["gateFailed", "gatesKilled"] as const)(
    "fails without a revision when the pod reports %s, and still sweeps the pod",
    async (failure) => {
      fixture.runpod.switches.podFailure = failure;
      const runner = trainRunner();
      const results = await runner.job("train", "train", contexts);
      expect(results.map(({ status }) => status)).toEqual([0, 1, 0]);
      expect(results.at(-1)?.run).toContain("train -- sweep");
      expect(runner.read("GITHUB_OUTPUT")).toBe("");
      expect(fixture.runpod.pods.all).toEqual([]);
      expect(readWorkflow("train").jobs.propose).toMatchObject({ needs: "train" });
      // Without `always()` or `failure()`, the job does not run after a failed job that it needs.
      expect(readWorkflow("train").jobs.propose?.if).toBe("github.ref == 'refs/heads/main'");
    },
  );

  it("deletes the pod in the last step when the command was killed", async () => {
    fixture.runpod.switches.podFailure = "silent";
    // The killed command left this pod. The command of the job then fails at once, as a killed command does.
    fixture.startPod(name, 1);
    const results = await trainRunner().job("train", "train", { ...contexts, "vars.TRAINING_REPOSITORY": "" });
    expect(results.map(({ status }) => status)).toEqual([0, 1, 0]);
    expect(fixture.runpod.pods.all).toEqual([]);
  });

  it("proposes nothing for a commit whose report has a failed gate", async () => {
    fixture.runpod.switches.podFailure = "gateFailed";
    await trainRunner().job("train", "train", contexts);
    const commit = fixture.hub.commitOf(name) ?? "";
    const runner = trainRunner();
    const results = await runner.job("train", "propose", { ...contexts, "needs.train.outputs.revision": commit });
    expect(results.at(-1)).toMatchObject({ status: 1, output: expect.stringContaining("no-empty-reply") });
    expect(runner.readCalls().some((call) => call.name === "pr create")).toBe(false);
  });
});

describe("The workflow train-sweep", () => {
  it("deletes only the forgotten pods of trainings", async () => {
    const fixture = await PodFixture.start();
    try {
      const start = (name: string, hours: number) => fixture.startPod(name, hours);
      start("snack-misaki-train-phi3-old", 9);
      start("snack-misaki-train-phi3-young", 2);
      start("notebook", 100);
      const runner = newRunner({}, repository.path, { RUNPOD_API_URL: fixture.runpod.url });
      expectSuccess(await runner.job("train-sweep", "sweep", { "secrets.RUNPOD_API_KEY": API_KEY }), 2);
      expect(fixture.runpod.pods.all.map(({ name }) => name).sort()).toEqual([
        "notebook",
        "snack-misaki-train-phi3-young",
      ]);
    } finally {
      await fixture.close();
    }
  });

  it("fails while RunPod answers 500, so that GitHub reports it", async () => {
    const fixture = await PodFixture.start();
    try {
      fixture.fault("* /v2/pods*", 500, { times: 100 });
      const runner = newRunner({}, repository.path, { RUNPOD_API_URL: fixture.runpod.url });
      const results = await runner.job("train-sweep", "sweep", { "secrets.RUNPOD_API_KEY": API_KEY });
      expect(results.at(-1)).toMatchObject({
        status: 1,
        output: expect.stringContaining("RunPod could not do list pods"),
      });
    } finally {
      await fixture.close();
    }
  });
});

describe("The workflows rollout and rollback", () => {
  const contexts = { "inputs.stack": "prod", "inputs.model": "phi3", "secrets.PROPOSE_TOKEN": "token" };
  const image = `ghcr.io/example/snack-phi3@${digest}`;

  it("open a pull request with one changed line for the new image, and after its merge for the previous image", async () => {
    const runner = newRunner();
    expectSuccess(await runner.job("rollout", "propose", { ...contexts, "inputs.image": image }), 3);
    const branch = `roll-out/prod-phi3-${"d".repeat(12)}`;
    const { git } = repository;
    const pullRequests = () => runner.readCalls().filter(({ name }) => name === "pr create");
    expect(pullRequests().at(-1)?.options).toMatchObject({
      "--head": branch,
      "--title": `Roll out phi3 ${"d".repeat(12)} in prod`,
    });
    expect(
      git("diff", "--unified=0", "main", `origin/${branch}`)
        .split("\n")
        .filter((line) => /^[-+] /.test(line)),
    ).toEqual(['-    imageTag: "2026-11-22"', `+    imageUri: "${image}"`]);
    expect(git("log", "-1", "--format=%an <%ae>", `origin/${branch}`)).toMatch(/^github-actions\[bot\] </);

    git("switch", "--quiet", "main");
    git("merge", "--quiet", branch);
    expectSuccess(await runner.job("rollback", "propose", contexts), 3);
    expect(pullRequests().at(-1)?.options).toMatchObject({ "--title": "Roll back phi3 2026-11-22 in prod" });
    expect(git("diff", "--unified=0", "main", "origin/roll-back/prod-phi3-2026-11-22").split("\n")).toContain(
      '+    imageTag: "2026-11-22"',
    );
  });

  it("fail without a token for the pull request", async () => {
    const results = await newRunner().job("rollback", "propose", { ...contexts, "secrets.PROPOSE_TOKEN": "" });
    expect(results.at(-1)).toMatchObject({ run: "gh auth setup-git", status: 1 });
  });
});
