import { afterAll, beforeAll, beforeEach } from "vitest";
import { type ControlPlane, startControlPlane } from "./controlPlane";
import { type Engine, type Resource, startEngine } from "./engine";
import { type ProgramFolder, type Properties, programFolder, type Registered, serialised } from "./program";

/** What a test of the provider stands on: Pulumi's own server, our bundle, a RunPod, and what the program registers. */
export interface Stage {
  runpod: ControlPlane;
  engine: Engine;
  program: ProgramFolder;
  config: Record<string, string>;
  registered: Registered;
  template: Resource;
  endpoint: Resource;
  templateInputs: Properties;
  endpointInputs: Properties;
}

/** Sets the stage for the tests of a file; RunPod's account is empty before each. Read it inside tests only. */
export function stage(): () => Stage {
  let current: Stage | undefined;
  beforeAll(async () => {
    const [runpod, program, registered] = await Promise.all([startControlPlane(), programFolder(), serialised()]);
    const config = {
      runpodApiKey: runpod.apiKey,
      runpodApiUrl: runpod.url,
      runpodInUseIntervalMs: "10",
      runpodInUseLimitMs: "200",
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
      templateInputs: registered.template.inputs,
      endpointInputs: registered.endpoint.inputs,
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
