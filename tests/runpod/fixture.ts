import { afterAll, beforeAll, beforeEach } from "vitest";
import { type Engine, type Resource, startEngine } from "./engine";
import { startFakeGraphql } from "./fakeGraphql";
import { startFakeRest } from "./fakeRest";
import type { FakeRunpod } from "./fakeRunpod";
import { startLocalDouble } from "./localDouble";
import { type ProgramFolder, type Properties, programFolder, type Registered, readRegistrations } from "./program";

/**
 * Environment of a provider test: Pulumi's server for dynamic providers, the provider's bundle, a fake RunPod, and the
 * program's registrations.
 */
export interface Fixture<R extends FakeRunpod = FakeRunpod> {
  runpod: R;
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

/** Fixture for tests that use the GraphQL API and read the inputs stored in the fake. */
export function graphqlFixture(): () => Fixture<Awaited<ReturnType<typeof startFakeGraphql>>> {
  return useFixture("graphql", startFakeGraphql);
}

/** One fixture with a fake for each API. Tests that apply to both APIs use both fixtures. */
export const fakeFixtures = {
  graphql: (): (() => Fixture) => useFixture("graphql", startFakeGraphql),
  rest: (): (() => Fixture) => useFixture("rest", startFakeRest),
};

/** Fixtures with the RunPod double of `npm start`. A test cannot choose the double's error texts. */
export const doubleFixtures = {
  graphql: (): (() => Fixture) => useFixture("graphql", () => startLocalDouble("graphql")),
  rest: (): (() => Fixture) => useFixture("rest", () => startLocalDouble("rest")),
};

/**
 * Starts the fixture before the tests of a group, and empties the account before each test. Call the returned function
 * only inside tests.
 */
function useFixture<R extends FakeRunpod>(runpodApi: string, start: () => Promise<R>): () => Fixture<R> {
  let current: Fixture<R> | undefined;
  beforeAll(async () => {
    const [runpod, program, registered] = await Promise.all([start(), programFolder(), readRegistrations()]);
    const config = {
      runpodApi,
      runpodApiKey: runpod.apiKey,
      runpodApiUrl: runpod.url,
      runpodJobApiUrl: `${runpod.url}/v2`,
      runpodRetryIntervalMs: "5",
      runpodRetryLimitMs: "1000",
      runpodSettleLimitMs: "60",
      runpodInUseIntervalMs: "10",
      runpodInUseLimitMs: "200",
      runpodRolloutIntervalMs: "5",
      runpodRolloutLimitMs: "200",
      // 0 turns the look-up off, so the tests do not call image registries on the Internet.
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
    if (current === undefined) throw new Error("The fixture is available only inside a test.");
    return current;
  };
}

/** Runs the provider's check, which must accept the inputs, and creates the resource. */
export async function createResource(resource: Resource, properties: Properties) {
  const { inputs } = await resource.check(properties);
  return { inputs, ...(await resource.create(inputs)) };
}
