import { join } from "node:path";
import { deadlinesOf } from "../../functions/core/relay/deadlines";
import { PROJECT, START_STACK } from "../../names";
import { type EngineOptions, type StepEvent, up } from "../pulumi/engine";
import { choosePorts, cloudStackConfig } from "../support/ports";
import { readAutonaming, type StackConfig } from "../support/stackConfig";
import type { LocalCloud, LocalCloudOptions } from "./cloud";
import { readOffers } from "./offers";
import { frontendConfig, ProgramOutputs } from "./outputs";

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
 * Starts a local cloud and runs `up` of the program in it. Both start at the same time. The program loads more slowly,
 * so it starts before the modules of the local cloud are imported.
 *
 * @param onStart called with the started local cloud. The caller must close the local cloud even after a later error
 * @param onStep called after each resource
 * @throws PortInUseError, EngineError, or an Error about the configuration
 */
export async function openLocalCloud(
  options: LocalCloudOptions,
  onStart: (cloud: LocalCloud) => void,
  onStep?: (step: StepEvent) => void,
): Promise<ProgramOutputs> {
  const { programDir, dir } = options;
  const ports = options.ports ?? (await choosePorts(programDir, options.freePorts));
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
  // When the local cloud fails to start, the program's providers would repeat their calls for minutes.
  starting.then(onStart, () => stop.abort());
  const [started, done] = await Promise.allSettled([starting, bringingUp]);
  if (started.status === "rejected") throw started.reason;
  if (done.status === "rejected") throw done.reason;
  return useOutputs(started.value, done.value.outputs);
}

/**
 * Runs `up` of the program in a running local cloud.
 *
 * @param overrides changes of the stack's configuration, by path
 */
export async function bringUp(
  cloud: LocalCloud,
  programDir: string,
  dir: string,
  overrides?: Record<string, unknown>,
): Promise<ProgramOutputs> {
  return useOutputs(cloud, (await up(engineOptions(cloud, programDir, dir, overrides))).outputs);
}

/** Creates the seeded customers' rows and passes the outputs to the page. */
async function useOutputs(cloud: LocalCloud, stackOutputs: Record<string, unknown>): Promise<ProgramOutputs> {
  const outputs = ProgramOutputs.parse(stackOutputs);
  const [offers] = await Promise.all([readOffers(cloud.config()), cloud.seedCustomers()]);
  cloud.setPageConfig({
    ...frontendConfig(outputs, cloud.pageUrl),
    relayUrl: outputs.relayUrl,
    inference: outputs.inference,
    offers,
    waitLimitMs: deadlinesOf({ name: "runpod" }).firstTextMs,
    stack: START_STACK,
    canned: cloud.runpod.workerKind === "canned",
  });
  return outputs;
}
