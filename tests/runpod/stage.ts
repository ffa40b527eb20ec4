import { afterAll, beforeAll, beforeEach } from "vitest";
import { startControlPlane } from "./controlPlane";
import { startDoublePlane } from "./doublePlane";
import { type Engine, type Resource, startEngine } from "./engine";
import type { Plane } from "./plane";
import { type ProgramFolder, type Properties, programFolder, type Registered, serialised } from "./program";
import { startRestPlane } from "./restPlane";

/** What a test of the provider stands on: Pulumi's own server, our bundle, a RunPod, and what the program registers. */
export interface Stage<P extends Plane = Plane> {
  runpod: P;
  engine: Engine;
  program: ProgramFolder;
  config: Record<string, string>;
  registered: Registered;
  template: Resource;
  endpoint: Resource;
  registryAuth: Resource;
  templateInputs: Properties;
  endpointInputs: Properties;
  registryAuthInputs: Properties;
}

/** Sets the stage for tests of RunPod's GraphQL API, on a plane that keeps what it was sent. */
export function stage(): () => Stage<Awaited<ReturnType<typeof startControlPlane>>> {
  return stageOn("graphql", startControlPlane);
}

/** Both of RunPod's APIs, for tests that hold whichever it is. */
export const bothApis = {
  graphql: (): (() => Stage) => stageOn("graphql", startControlPlane),
  rest: (): (() => Stage) => stageOn("rest", startRestPlane),
};

/** The same of the RunPod that `npm start` runs; it has its own words for a refusal, and none that a test may choose. */
export const doubleApis = {
  graphql: (): (() => Stage) => stageOn("graphql", () => startDoublePlane("graphql")),
  rest: (): (() => Stage) => stageOn("rest", () => startDoublePlane("rest")),
};

/** RunPod's account is empty before each test. Read the stage inside tests only. */
function stageOn<P extends Plane>(runpodApi: string, start: () => Promise<P>): () => Stage<P> {
  let current: Stage<P> | undefined;
  beforeAll(async () => {
    const [runpod, program, registered] = await Promise.all([start(), programFolder(), serialised()]);
    const config = {
      runpodApi,
      runpodApiKey: runpod.apiKey,
      runpodApiUrl: runpod.url,
      runpodJobApiUrl: `${runpod.url}/v2`,
      runpodInUseIntervalMs: "10",
      runpodInUseLimitMs: "200",
      runpodRolloutIntervalMs: "5",
      runpodRolloutLimitMs: "200",
      // Tests ask no registry out there.
      runpodImageLookupMs: "0",
    };
    const engine = await startEngine(program.folder, config);
    current = {
      runpod,
      engine,
      program,
      config,
      registered,
      template: engine.resource(registered.template.type),
      endpoint: engine.resource(registered.endpoint.type),
      registryAuth: engine.resource(registered.registryAuth.type),
      templateInputs: registered.template.inputs,
      endpointInputs: registered.endpoint.inputs,
      registryAuthInputs: registered.registryAuth.inputs,
    };
  });
  beforeEach(() => current?.runpod.reset());
  afterAll(async () => {
    await current?.engine.close();
    await current?.runpod.close();
    await current?.program.remove();
  });
  return () => {
    if (current === undefined) throw new Error("The stage is set before the first test.");
    return current;
  };
}

/** Checks inputs that are expected to be good, and creates the resource. */
export async function make(resource: Resource, properties: Properties) {
  const { inputs } = await resource.check(properties);
  return { inputs, ...(await resource.create(inputs)) };
}
