import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type Model, models } from "../../contract/plan";
import { type PlainConfig, parsePlainConfig } from "../../infra/configSchema";
import { readAwsEndpoints } from "../../local/cloud/awsEndpoints";
import { OWN_STACK } from "../../local/support/ports";
import { readStackConfig, type StackConfig } from "../../local/support/stackConfig";
import type { Aws } from "./aws";
import { secretReader } from "./secrets";

/** What the doctor knows of a stack before it looks. */
export interface Patient {
  /** The stack's plain configuration, with its name. */
  config: PlainConfig & { stack: string };
  /** `<project>/<stack>`: the mark of what the stack made. */
  owner: string;
  aws: Aws;
  /** Opens the whole account. Secret. */
  apiKey: string;
  /** The browsers' keys: a secret, `unread` for one that is set but was not to be had, undefined for none. */
  browserKeys: Record<Model, { key: string } | "unread" | undefined>;
}

const PROJECT = "snack-misaki";
/** The stacks of the local cloud: its own, and the one a real Pulumi brings up in it. */
const localStacks = [OWN_STACK, "local"];

/**
 * Reads what is to be known of a stack: `Pulumi.<stack>.yaml`, the secrets from the environment, the file or Pulumi, and
 * for the stack of `npm start` where it listens now.
 *
 * @param place.programDir where the stacks' files are
 * @param place.dir where `npm start` keeps everything
 * @throws Error that says which value is missing or bad, and what to do
 */
export async function loadPatient(
  stack: string,
  { programDir, dir }: { programDir: string; dir: string },
  env: NodeJS.ProcessEnv = process.env,
): Promise<Patient> {
  const isLocal = localStacks.includes(stack);
  const file = isLocal ? "local" : stack;
  const given = readStackConfig(programDir, file, stack === OWN_STACK ? runningUrls(dir) : {});
  const { config, problems = [] } = parsePlainConfig((key) => given.values[`${PROJECT}:${key}`]);
  if (!config) throw new Error(`Pulumi.${file}.yaml is not valid:${problems.map((line) => `\n  ${line}`).join("")}`);

  const secret = secretReader({ stack, programDir }, namespaced(given), env);
  const apiKey = await secret("runpodApiKey", "RUNPOD_API_KEY");
  if (typeof apiKey !== "object") {
    const why =
      apiKey === undefined
        ? `runpodApiKey is not set in Pulumi.${file}.yaml`
        : `runpodApiKey is encrypted in Pulumi.${file}.yaml and the pulumi command could not read it`;
    throw new Error(`${why}. Set RUNPOD_API_KEY in the environment, or sign in with Pulumi.`);
  }
  const keys = models.map(
    async (model) => [model, await secret(`${model}BrowserKey`, `${model.toUpperCase()}_BROWSER_KEY`)] as const,
  );
  return {
    config: { ...config, stack },
    owner: `${PROJECT}/${stack}`,
    aws: {
      region: env.AWS_REGION ?? given.values["aws:region"] ?? "us-east-1",
      ...(isLocal && {
        endpoints: readAwsEndpoints(dir),
        credentials: { accessKeyId: "local", secretAccessKey: "local" },
      }),
    },
    apiKey: apiKey.key,
    browserKeys: Object.fromEntries(await Promise.all(keys)) as Patient["browserKeys"],
  };
}

/** Without the project's namespace. */
function namespaced({ values, encryptedKeys }: StackConfig) {
  return {
    plain: (key: string) => values[`${PROJECT}:${key}`],
    isEncrypted: (key: string) => encryptedKeys.includes(`${PROJECT}:${key}`),
  };
}

const State = z.object({
  resources: z.array(z.object({ type: z.string(), outputs: z.record(z.string(), z.unknown()) })),
});
const Outputs = z.object({ inference: z.object({ phi3: z.url() }) });

/** Where the RunPod of `npm start` listens, as its stack's state says: with `--free-ports` anywhere. */
function runningUrls(dir: string): Record<string, string> {
  const file = join(dir, "stack.json");
  try {
    const { resources } = State.parse(JSON.parse(readFileSync(file, "utf8")));
    const stack = resources.find(({ type }) => type === "pulumi:pulumi:Stack");
    const { origin } = new URL(Outputs.parse(stack?.outputs).inference.phi3);
    return { runpodApiUrl: origin, runpodJobApiUrl: `${origin}/v2` };
  } catch {
    throw new Error(`${file} cannot be read. Run npm start first, or name a stack with --stack.`);
  }
}
