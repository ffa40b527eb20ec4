import { join } from "node:path";
import * as z from "zod/mini";
import { byModel } from "../../contract/plan";
import { PROJECT, START_STACK } from "../../names";
import { type EngineOptions, type StepEvent, up } from "../pulumi/engine";
import { choosePorts, cloudStackConfig } from "../support/ports";
import { readAutonaming, type StackConfig } from "../support/stackConfig";
import type { LocalCloud, LocalCloudOptions } from "./cloud";

/** Schema of the stack outputs. */
export const ProgramOutputs = z.object({
  apiUrl: z.url(),
  signIn: z.object({ url: z.url(), clientId: z.string(), issuer: z.url(), scopes: z.array(z.string()) }),
  relayUrl: z.url(),
  inference: z.object(byModel(() => z.url())),
  webhookUrl: z.url(),
});
export type ProgramOutputs = z.infer<typeof ProgramOutputs>;

/**
 * Options for the Pulumi engine to run this program.
 *
 * @param overrides changes of the stack's configuration, by path
 * @param stack default: the stack of `npm start`
 */
export function engineOptions(
  cloud: Pick<LocalCloud, "config" | "providers">,
  programDir: string,
  dir: string,
  overrides: Record<string, unknown> = {},
  stack: string = START_STACK,
): EngineOptions {
  const { values, secretKeys } = cloud.config(overrides);
  return {
    programDir,
    project: PROJECT,
    stack,
    config: values,
    secretKeys,
    autonaming: readAutonaming(programDir),
    statePath: join(dir, "stack.json"),
    providers: cloud.providers,
    // Same as `typescript: false` in Pulumi.yaml.
    env: { PULUMI_NODEJS_TYPESCRIPT: "false" },
  };
}

/**
 * Starts a local cloud and brings the program up in it at the same time. The program takes longer to load than the
 * local cloud. Therefore the modules of the local cloud are imported after the program has started.
 *
 * @param onStart called with the local cloud when it has started. The caller must close the local cloud, also after a
 * later error
 * @param onStep called after each resource
 * @throws PortInUseError, EngineError, or an Error about the configuration
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

  const stop = new AbortController();
  const bringingUp = up({
    ...engineOptions({ config, providers }, programDir, dir),
    signal: stop.signal,
    ...(onStep && { onStep }),
  });
  // Without a local cloud, the program's providers would repeat their calls for minutes.
  starting.then(onStart, () => stop.abort());
  const [started, done] = await Promise.allSettled([starting, bringingUp]);
  if (started.status === "rejected") throw started.reason;
  if (done.status === "rejected") throw done.reason;
  return useOutputs(started.value, done.value.outputs);
}

/**
 * Brings the program up in a running local cloud.
 *
 * @param onStep called after each resource
 */
export async function bringUp(
  cloud: LocalCloud,
  programDir: string,
  dir: string,
  onStep?: (step: StepEvent) => void,
): Promise<ProgramOutputs> {
  return useOutputs(cloud, (await up({ ...engineOptions(cloud, programDir, dir), ...(onStep && { onStep }) })).outputs);
}

/** Creates the seeded customers' rows and passes the outputs to the page. */
async function useOutputs(cloud: LocalCloud, stackOutputs: Record<string, unknown>): Promise<ProgramOutputs> {
  const outputs = ProgramOutputs.parse(stackOutputs);
  await cloud.seedCustomers();
  cloud.setPageConfig({
    apiUrl: outputs.apiUrl,
    relayUrl: outputs.relayUrl,
    inference: outputs.inference,
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
