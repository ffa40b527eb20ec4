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
import { type StripeProxy, startProxy } from "./proxy";

const API_KEY = "rk_test_CANARYKEY";

/** What the program registers with the engine for one resource. */
interface Registration {
  type: string;
  inputs: Properties;
}

/** What a test of the provider stands on: Pulumi's own server, our bundle, a Stripe account and the way to it. */
export interface Stage {
  engine: Engine;
  program: ProgramFolder;
  config: Record<string, string>;
  proxy: StripeProxy;
  registered: { endpoint: Registration; secrets: Registration };
  endpoint: Resource;
  secrets: Resource;
  /** The endpoint's inputs as the program gives them. */
  inputs: Properties;
  /** The account, and a client of its own that does not go through the proxy. */
  stripe: StripeDouble;
  client: Stripe;
}

/** A new Stripe account, with a client. */
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

/** Sets the stage for the tests of a file; each has an account of its own. Read it inside tests only. */
export function stage(): () => Stage {
  let lasting: Omit<Stage, "stripe" | "client"> | undefined;
  let account: Awaited<ReturnType<typeof openAccount>> | undefined;
  beforeAll(async () => {
    const [proxy, program, registered] = await Promise.all([startProxy(), programFolder("stripe"), serialised()]);
    const config = { stripeWebhookKey: API_KEY, stripeApiUrl: proxy.url };
    const engine = await startEngine(program.folder, config);
    lasting = {
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
    lasting?.proxy.leadTo(account.stripe.url);
  });
  afterEach(() => account?.close());
  afterAll(async () => {
    await lasting?.engine.close();
    await lasting?.proxy.close();
    await lasting?.program.remove();
  });
  return () => {
    if (lasting === undefined || account === undefined) throw new Error("The stage is set before the first test.");
    const { stripe, client } = account;
    return { ...lasting, stripe, client };
  };
}

/** Runs the resource classes in a process of their own. */
async function serialised(): Promise<Stage["registered"]> {
  const { stdout } = await promisify(execFile)(process.execPath, ["tests/stripe/serialise.cjs"]);
  const [endpoint, secrets] = JSON.parse(stdout);
  return { endpoint, secrets };
}

/** Checks inputs that are expected to be good, and creates the resource. */
export async function make(resource: Resource, properties: Properties) {
  const { inputs } = await resource.check(properties);
  return { inputs, ...(await resource.create(inputs)) };
}
