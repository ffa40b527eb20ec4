import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inTemporaryCloud } from "../../local/cloud/temporaryCloud";
import { needs } from "../needs";
import { copyRepository, type RepositoryCopy } from "../repositoryCopy";
import { needsPython } from "../workerPython";
import { Runner, type StepResult } from "./runner";

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
const newRunner = (outputs?: Record<string, unknown>, cwd = repository.path) =>
  new Runner(join(dir, `run-${++runs}`), cwd, outputs);

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

describe("The workflows rollout and rollback", () => {
  const contexts = { "inputs.stack": "prod", "inputs.model": "phi3", "secrets.PROPOSE_TOKEN": "token" };
  const image = `ghcr.io/example/snack-phi3@${digest}`;

  it("propose the new image, and after its merge the image before, each as a pull request of one changed line", async () => {
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
