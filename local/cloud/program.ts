import { join } from "node:path";
import * as z from "zod/mini";
import { byModel } from "../../contract/plan";
import { PROJECT, START_STACK } from "../../names";
import { type EngineOptions, type StepEvent, up } from "../pulumi/engine";
import { choosePorts, cloudStackConfig } from "../support/ports";
import type { StackConfig } from "../support/stackConfig";
import type { LocalCloud, LocalCloudOptions } from "./cloud";

/** The stack outputs a frontend needs. */
export const ProgramOutputs = z.object({
  apiUrl: z.url(),
  signIn: z.object({ url: z.url(), clientId: z.string(), issuer: z.url(), scopes: z.array(z.string()) }),
  inference: z.object(byModel(() => z.url())),
  webhookUrl: z.url(),
});
export type ProgramOutputs = z.infer<typeof ProgramOutputs>;

/** What every run of the engine over this program shares. `overrides` are laid over the stack's configuration. */
export function engineOptions(
  cloud: Pick<LocalCloud, "config" | "providers">,
  programDir: string,
  dir: string,
  overrides: Record<string, unknown> = {},
): EngineOptions {
  const { values, secretKeys } = cloud.config(overrides);
  return {
    programDir,
    project: PROJECT,
    stack: START_STACK,
    config: values,
    secretKeys,
    statePath: join(dir, "stack.json"),
    providers: cloud.providers,
    // `typescript: false` in Pulumi.yaml.
    env: { PULUMI_NODEJS_TYPESCRIPT: "false" },
  };
}

/**
 * Starts a local cloud and brings the program up in it, both at once: the program takes longer to load than the cloud to
 * start, so the cloud's modules are loaded only after the program has been sent on its way.
 *
 * @param onStart called with the cloud as soon as it is there: it is the caller's to close, also when this throws later
 * @param onStep called for each resource as it is done
 * @throws what starting the cloud throws, or EngineError
 */
export async function openLocalCloud(
  options: LocalCloudOptions,
  onStart: (cloud: LocalCloud) => void,
  onStep?: (step: StepEvent) => void,
): Promise<ProgramOutputs> {
  const { programDir, dir } = options;
  const ports = await choosePorts(programDir, options.freePorts);
  const starting = import("./cloud.js").then((module) => module.startLocalCloud({ ...options, ports }));
  const config = (): StackConfig => cloudStackConfig(programDir, ports, options.config);
  const providerOf = (name: keyof LocalCloud["providers"]) => starting.then(({ providers }) => providers[name]);
  const providers = { aws: providerOf("aws"), awsx: providerOf("awsx"), "docker-build": providerOf("docker-build") };
  for (const port of Object.values(providers)) port.catch(() => {});

  const upping = up({ ...engineOptions({ config, providers }, programDir, dir), ...(onStep && { onStep }) });
  starting.then(onStart, () => {});
  const [started, done] = await Promise.allSettled([starting, upping]);
  if (started.status === "rejected") throw started.reason;
  if (done.status === "rejected") throw done.reason;
  return ready(started.value, done.value.outputs);
}

/**
 * Brings the program up in a local cloud that is running.
 *
 * @param onStep called after each resource
 */
export async function bringUp(
  cloud: LocalCloud,
  programDir: string,
  dir: string,
  onStep?: (step: StepEvent) => void,
): Promise<ProgramOutputs> {
  return ready(cloud, (await up({ ...engineOptions(cloud, programDir, dir), ...(onStep && { onStep }) })).outputs);
}

/** Gives the seeded customers their rows and tells the page. */
async function ready(cloud: LocalCloud, stackOutputs: Record<string, unknown>): Promise<ProgramOutputs> {
  const outputs = ProgramOutputs.parse(stackOutputs);
  await cloud.seedCustomers();
  cloud.setPageConfig({
    apiUrl: outputs.apiUrl,
    auth: {
      url: outputs.signIn.url,
      clientId: outputs.signIn.clientId,
      redirectUri: `${cloud.pageUrl}/callback`,
      logoutUri: `${cloud.pageUrl}/`,
      scopes: outputs.signIn.scopes,
    },
    stack: START_STACK,
    canned: cloud.runpod.workerKind === "canned",
  });
  return outputs;
}
