import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { models, planModels } from "../../contract/plan";
import { type Job, readWorkflow, workflowFiles } from "./workflows";

const { scripts, dependencies } = JSON.parse(readFileSync("package.json", "utf8")) as {
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
};
const names = workflowFiles.map((file) => basename(file, ".yml"));

/** Commands of a step that are not an npm script of this repository. */
const plainCommands = ["npm", "sudo", "pulumi", "docker", "gh", "jq", "tee", "echo"];

/** Names of the programs that a command starts: the first word, and the first word after each | and $(. */
function programsOf(run: string): string[] {
  return [...run.matchAll(/(?:^|\| |\$\()([\w./-]+)/g)].map(([, name = ""]) => name);
}

describe.each(names)("Workflow %s", (name) => {
  const workflow = readWorkflow(name);
  const jobs: [string, Job][] = Object.entries(workflow.jobs);
  const steps = jobs.flatMap(([, job]) => job.steps);
  const commands = steps.flatMap(({ run }) => (run === undefined ? [] : [run]));

  it("has the name of its file", () => {
    expect(workflow.name).toBe(name);
  });

  it("never runs on pull_request_target", () => {
    expect(readFileSync(`.github/workflows/${name}.yml`, "utf8")).not.toContain("pull_request_target");
  });

  it("gives each job a time limit and only its own permissions", () => {
    expect(workflow.permissions).toEqual({});
    for (const [, job] of jobs) {
      expect(job["timeout-minutes"]).toBeGreaterThan(0);
      expect(job.permissions).toMatchObject({ contents: expect.any(String) });
    }
  });

  it("pins every action by a commit, with its version as a comment", () => {
    const uses = [...readFileSync(`.github/workflows/${name}.yml`, "utf8").matchAll(/uses: (.*)/g)].map(
      ([, use]) => use,
    );
    expect(uses.length).toBe(steps.filter((step) => step.uses).length);
    for (const use of uses) expect(use).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  it("leaves no credentials of git to later steps", () => {
    const checkouts = steps.filter(({ uses }) => uses?.startsWith("actions/checkout@"));
    expect(checkouts).toHaveLength(jobs.length);
    for (const checkout of checkouts) expect(checkout.with["persist-credentials"]).toBe("false");
  });

  it("runs one command per step, and each npm script exists", () => {
    for (const run of commands) {
      expect(run.trim()).not.toMatch(/\n|&&|;/);
      for (const program of programsOf(run)) expect(plainCommands).toContain(program);
      for (const [, script = ""] of run.matchAll(/npm run (?:--silent )?([\w:]+)/g))
        expect(scripts).toHaveProperty([script]);
    }
  });

  it("puts no expression into a command", () => {
    for (const run of commands) expect(run).not.toContain("${{");
  });

  it("gives secrets only to the steps that need them", () => {
    for (const [, job] of jobs) expect(JSON.stringify(job.env)).not.toMatch(/secrets\.|github\.token/);
  });
});

/** All jobs of all workflows that may get an identity at AWS. */
const jobsWithIdentity = names.flatMap((name) =>
  Object.entries(readWorkflow(name).jobs).flatMap(([job, { permissions }]) =>
    permissions?.["id-token"] === "write" ? [`${name}.${job}`] : [],
  ),
);

describe("The workflows", () => {
  it("give an identity at AWS only to the deployment and to the preview of a branch of the repository", () => {
    expect(jobsWithIdentity).toEqual(["deploy.deploy", "preview.difference"]);
    expect(readWorkflow("preview").jobs.difference?.if).toContain(
      "github.event.pull_request.head.repo.full_name == github.repository",
    );
  });

  it("give no identity at AWS to a pull request of Dependabot, whose new code nobody has read", () => {
    expect(readWorkflow("preview").jobs.difference?.if).toContain(
      "github.event.pull_request.user.login != 'dependabot[bot]'",
    );
  });

  it("tell an operator where to read on after an interrupted deployment", () => {
    const last = readWorkflow("deploy").jobs.deploy?.steps.at(-1);
    expect([last?.if, last?.run]).toEqual(["failure() || cancelled()", expect.stringContaining("docs/operations.md")]);
  });

  it("deploy one change of a stack at a time, after the environment's approval, and cancel none", () => {
    const { concurrency, jobs } = readWorkflow("deploy");
    expect(concurrency).toEqual({ group: `deploy-\${{ inputs.stack || 'dev' }}`, "cancel-in-progress": false });
    expect(jobs.deploy?.environment).toBe(`\${{ inputs.stack || 'dev' }}`);
    expect(jobs.deploy?.if).toContain("github.ref == 'refs/heads/main'");
  });

  it("get AWS credentials that live at least as long as the job", () => {
    const jobs = names.flatMap((name) => Object.values(readWorkflow(name).jobs));
    const signIns = jobs.flatMap((job) =>
      job.steps
        .filter(({ uses }) => uses?.startsWith("aws-actions/configure-aws-credentials@"))
        .map((step) => ({ job, seconds: Number(step.with["role-duration-seconds"] ?? 3600) })),
    );
    expect(signIns).toHaveLength(2);
    for (const { job, seconds } of signIns) expect(seconds).toBeGreaterThanOrEqual(Number(job["timeout-minutes"]) * 60);
  });

  it("propose a change of main, on whatever branch the button was pressed", () => {
    for (const name of ["rollout", "rollback", "train"])
      expect(readWorkflow(name).jobs.propose?.steps[0]?.with.ref).toBe("main");
  });

  it("propose a retrained model only in a run on main, because the gates are those of the branch", () => {
    expect(readWorkflow("train").jobs.propose?.if).toBe("github.ref == 'refs/heads/main'");
  });

  it("check every preview and every deployment with the policy pack", () => {
    const pulumi = names
      .flatMap((name) => Object.values(readWorkflow(name).jobs).flatMap((job) => job.steps))
      .flatMap(({ run }) => (run && /^pulumi (up|preview)\b/.test(run) ? [run] : []));
    expect(pulumi).toHaveLength(2);
    for (const run of pulumi) expect(run).toContain("--policy-pack policy ");
  });

  it("preview dev and prod", () => {
    expect(readWorkflow("preview").jobs.resources?.strategy?.matrix.stack).toEqual(["dev", "prod"]);
  });

  it("offer the repository's models, and check the endpoint of the free plan's model", () => {
    for (const name of ["image", "rollout", "rollback"])
      expect(readWorkflow(name).on.workflow_dispatch?.inputs.model?.options).toEqual(models);
    expect(readWorkflow("deploy").jobs.deploy?.steps.at(-2)?.run).toContain(`jq -r .${planModels.free})`);
  });

  it("install the Pulumi CLI of the SDK's version", () => {
    const versions = names
      .flatMap((name) => Object.values(readWorkflow(name).jobs).flatMap((job) => job.steps))
      .flatMap(({ uses, with: input }) => (uses?.startsWith("pulumi/actions@") ? [input["pulumi-version"]] : []));
    expect(versions).toEqual([dependencies["@pulumi/pulumi"], dependencies["@pulumi/pulumi"]]);
  });

  it("use the same commit of an action everywhere", () => {
    const uses = names
      .flatMap((name) => Object.values(readWorkflow(name).jobs).flatMap((job) => job.steps))
      .flatMap((step) => step.uses ?? []);
    const actions = new Set(uses.map((use) => use.split("@")[0]));
    expect(new Set(uses).size).toBe(actions.size);
  });

  it("are updated by Dependabot, which waits some days before it takes a new version", () => {
    const { updates } = parse(readFileSync(".github/dependabot.yml", "utf8")) as { updates: object[] };
    expect(updates).toContainEqual(
      expect.objectContaining({ "package-ecosystem": "github-actions", cooldown: { "default-days": 7 } }),
    );
  });
});
