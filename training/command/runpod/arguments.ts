import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline/promises";
import * as z from "zod";
import type { Model } from "../../../contract/plan";
import type { ApiOptions } from "../../../runpod/client";
import type { Pinned } from "./hub";
import { SWEEP_HOURS } from "./sweep";
import { GPU_TYPES, type PodRun } from "./trainOnRunpod";

/** Options of `--on runpod`, as Commander returns them. */
export interface PodOptions {
  image?: string;
  repository?: string;
  dataset?: string;
  gpu?: string[];
  maxHours: string;
  runName?: string;
  registryCredential?: string;
  judgeUrl?: string;
  judgeModel?: string;
  yes?: boolean;
}

/** The time limit is shorter than the sweep's age, so the command ends its pod before a sweep deletes it. */
const MAX_HOURS = SWEEP_HOURS - 1;

const repository = z.string().regex(/^[\w.-]+\/[\w.-]+$/, "must be owner/name");
const Settings = z
  .object({
    image: z
      .string({ error: "is missing: the training image by digest, host/name@sha256:…" })
      .regex(/^\S+\/\S+@sha256:[0-9a-f]{64}$/, "must name the image by digest: host/name@sha256:…"),
    repository: z.string({ error: "is missing: the private Hugging Face repository of the result" }).pipe(repository),
    dataset: z
      .string()
      .regex(/^[\w.-]+\/[\w.-]+@[0-9a-f]{40}$/, "must be owner/name@commit, with all 40 digits of the commit")
      .optional(),
    maxHours: z.coerce
      .number({ error: "must be a number" })
      .positive()
      .max(MAX_HOURS, `allows up to ${MAX_HOURS}: the sweep deletes a pod after ${SWEEP_HOURS} hours`),
    runName: z
      .string()
      .regex(/^[a-z0-9-]{1,60}$/, "allows up to 60 lower-case letters, digits and -")
      .optional(),
    judgeUrl: z
      .url({ protocol: /^https$/, error: "must be an https URL" })
      .refine((url) => !/[@?#]/.test(url), "must have no user, password, query or fragment: they would be in the log")
      .optional(),
    judgeModel: z.string().min(1).optional(),
  })
  .refine(({ judgeUrl, judgeModel }) => (judgeUrl === undefined) === (judgeModel === undefined), {
    path: ["judgeUrl"],
    message: "and --judge-model need each other",
  });

/**
 * Checks the options of `--on runpod`.
 *
 * @throws Error that names each wrong option and its allowed values
 */
export function podRun(model: Model, options: PodOptions): PodRun {
  const { data, error } = Settings.safeParse(options);
  if (error) throw new Error(error.issues.map(({ path, message }) => `${flag(path)} ${message}`).join("\n"));
  const { image, repository, maxHours, runName = timeName(new Date()) } = data;
  const dataset = data.dataset === undefined ? undefined : pinned(data.dataset);
  const gpuTypes = options.gpu ?? GPU_TYPES;
  const judge = data.judgeUrl && data.judgeModel ? { url: data.judgeUrl, model: data.judgeModel } : undefined;
  const registryAuthId = options.registryCredential;
  return { model, image, repository, dataset, runName, gpuTypes, maxHours, registryAuthId, judge };
}

const Environment = z.object({
  RUNPOD_API_KEY: z.string({ error: "is missing: an API key of RunPod that may create and delete pods" }).min(1),
  RUNPOD_API_URL: z.url().default("https://api.runpod.io"),
});
const HubEnvironment = z.object({
  HF_TOKEN: z.string({ error: "is missing: a Hugging Face token that may read the result's repository" }).min(1),
  HF_ENDPOINT: z.url().default("https://huggingface.co"),
});

/** Address and key of RunPod's API, from the environment. */
export function runpodFromEnvironment(): ApiOptions {
  const { RUNPOD_API_KEY: apiKey, RUNPOD_API_URL: url } = variables(Environment);
  return { apiKey, url };
}

/** Address and token of Hugging Face, from the environment. */
export function hubFromEnvironment(): { url: string; token: string } {
  const { HF_TOKEN: token, HF_ENDPOINT: url } = variables(HubEnvironment);
  return { token, url: url.replace(/\/+$/, "") };
}

/**
 * Asks the operator on the terminal. Returns true only for the answers `y` and `yes`.
 *
 * @throws Error when the input is not a terminal
 */
export async function confirmOnTerminal(question: string): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new Error("--yes is missing: nobody can confirm the cost, because the input is not a terminal");
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

function variables<T>(schema: z.ZodType<T>): T {
  const { data, error } = schema.safeParse(process.env);
  if (error) throw new Error(error.issues.map(({ path, message }) => `${path.join(".")} ${message}`).join("\n"));
  return data;
}

function pinned(text: string): Pinned {
  const [repository = "", revision = ""] = text.split("@");
  return { repository, revision };
}

/**
 * Time as part of a pod's name: `20261127-153000-1f3a`, UTC. The final part is random, so that two runs of the same
 * second have different names.
 */
function timeName(now: Date): string {
  const time = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
  return `${time}-${randomBytes(2).toString("hex")}`;
}

function flag(path: readonly PropertyKey[]): string {
  return `--${String(path[0]).replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
