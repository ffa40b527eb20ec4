import { globSync, readFileSync } from "node:fs";
import { parse } from "yaml";
import * as z from "zod";

const Text = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const Env = z.record(z.string(), Text).default({});
const Permissions = z.record(z.string(), z.enum(["read", "write", "none"]));

const Step = z.strictObject({
  id: z.string().optional(),
  if: z.string().optional(),
  uses: z.string().optional(),
  with: z.record(z.string(), Text).default({}),
  run: z.string().optional(),
  env: Env,
});

const Job = z.strictObject({
  if: z.string().optional(),
  needs: z.string().optional(),
  "runs-on": z.string(),
  "timeout-minutes": z.number().optional(),
  permissions: Permissions.optional(),
  environment: z.string().optional(),
  outputs: z.record(z.string(), z.string()).optional(),
  strategy: z.strictObject({ matrix: z.record(z.string(), z.array(z.string())) }).optional(),
  env: Env,
  steps: z.array(Step),
});

const Input = z.strictObject({
  description: z.string(),
  type: z.enum(["choice", "string"]),
  options: z.array(z.string()).optional(),
  default: z.string().optional(),
  required: z.boolean().optional(),
});

/** The part of GitHub's workflow syntax that the repository uses. Another key is an error. */
const Workflow = z.strictObject({
  name: z.string(),
  on: z.strictObject({
    push: z.strictObject({ branches: z.array(z.string()) }).nullish(),
    pull_request: z.null().optional(),
    workflow_dispatch: z.strictObject({ inputs: z.record(z.string(), Input) }).nullish(),
    schedule: z.array(z.strictObject({ cron: z.string() })).optional(),
  }),
  permissions: Permissions.optional(),
  concurrency: z.strictObject({ group: z.string(), "cancel-in-progress": z.boolean() }).optional(),
  defaults: z.strictObject({ run: z.strictObject({ shell: z.literal("bash") }) }),
  jobs: z.record(z.string(), Job),
});

/** A workflow of GitHub Actions. */
export type Workflow = z.infer<typeof Workflow>;
/** A job of a workflow. */
export type Job = z.infer<typeof Job>;
/** A step of a job. */
export type Step = z.infer<typeof Step>;

/** Paths of all workflows. */
export const workflowFiles = globSync(".github/workflows/*.yml").sort();

/** Reads a workflow by its file's name without `.yml`. Throws when it uses syntax that the tests do not know. */
export function readWorkflow(name: string): Workflow {
  return Workflow.parse(parse(readFileSync(`.github/workflows/${name}.yml`, "utf8")));
}
