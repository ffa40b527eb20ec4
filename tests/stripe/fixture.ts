import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import Stripe from "stripe";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { type StripeDouble, startStripe } from "../../local/stripe/server";
import { Events } from "../../local/support/events";
import { type Engine, type Resource, startEngine } from "../runpod/engine";
import { type ProgramFolder, type Properties, programFolder } from "../runpod/program";
import { type FaultProxy, startFaultProxy } from "./faultProxy";

const API_KEY = "rk_test_CANARYKEY";

/** One resource as the program registers it. */
interface Registration {
  type: string;
  inputs: Properties;
}

/**
 * Environment of a provider test: Pulumi's server for dynamic providers, the provider's bundle, a proxy and a Stripe
 * account.
 */
export interface Fixture {
  engine: Engine;
  program: ProgramFolder;
  config: Record<string, string>;
  proxy: FaultProxy;
  registered: { endpoint: Registration; secrets: Registration };
  endpoint: Resource;
  secrets: Resource;
  /** Inputs of the endpoint as the program registers them. */
  inputs: Properties;
  stripe: StripeDouble;
  /** Client of the account that does not use the proxy. */
  client: Stripe;
}

/** Opens a new Stripe account and a client for it. */
async function openAccount() {
  const dir = await mkdtemp(join(tmpdir(), "snack-stripe-double-"));
  const stripe = await startStripe({ port: 0, dir, events: new Events(), keys: [API_KEY], catalogue: [] });
  const client = new Stripe(API_KEY, { protocol: "http", host: "127.0.0.1", port: stripe.port, telemetry: false });
  const close = async () => {
    await stripe.close();
    await rm(dir, { recursive: true, force: true });
  };
  return { stripe, client, close };
}

/**
 * Starts the fixture before a file's tests and opens a new account before each test. Call the returned function only
 * inside tests.
 */
export function stripeFixture(): () => Fixture {
  let shared: Omit<Fixture, "stripe" | "client"> | undefined;
  let account: Awaited<ReturnType<typeof openAccount>> | undefined;
  beforeAll(async () => {
    const [proxy, program, registered] = await Promise.all([
      startFaultProxy(),
      programFolder("stripe"),
      readRegistrations(),
    ]);
    const config = { stripeWebhookKey: API_KEY, stripeApiUrl: proxy.url };
    const engine = await startEngine(program.folder, config);
    shared = {
      engine,
      program,
      config,
      proxy,
      registered,
      endpoint: engine.resource(registered.endpoint.type),
      secrets: engine.resource(registered.secrets.type),
      inputs: registered.endpoint.inputs,
    };
  });
  beforeEach(async () => {
    account = await openAccount();
    shared?.proxy.setTarget(account.stripe.url);
  });
  afterEach(() => account?.close());
  afterAll(async () => {
    await shared?.engine.close();
    await shared?.proxy.close();
    await shared?.program.remove();
  });
  return () => {
    if (shared === undefined || account === undefined) throw new Error("The fixture is available only inside a test.");
    const { stripe, client } = account;
    return { ...shared, stripe, client };
  };
}

/** Reads the registrations of both resources. The resource classes run in a separate process. */
async function readRegistrations(): Promise<Fixture["registered"]> {
  const { stdout } = await promisify(execFile)(process.execPath, ["tests/stripe/registrations.cjs"]);
  const [endpoint, secrets] = JSON.parse(stdout);
  return { endpoint, secrets };
}

/** Checks valid inputs and creates the resource. */
export async function createResource(resource: Resource, properties: Properties) {
  const { inputs } = await resource.check(properties);
  return { inputs, ...(await resource.create(inputs)) };
}
