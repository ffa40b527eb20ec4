import { join } from "node:path";
import { models } from "../../contract/plan";
import { browserKeyOf, configKey, localStacks, stackNames } from "../../names";
import { type AwsCloud, startAws } from "../aws/cloud";
import { startAwsx } from "../awsx/start";
import { startCognito } from "../cognito/cognito";
import { startEngine } from "../llm/engine";
import type { EngineName } from "../llm/engineOption";
import type { PageConfig } from "../page/config";
import { startPage } from "../page/page";
import { type RunpodDouble, startRunpod } from "../runpod/server";
import { type StripeDouble, type StripeOptions, startStripe } from "../stripe/server";
import { Events } from "../support/events";
import { choosePorts, cloudStackConfig, type Ports } from "../support/ports";
import { findVenvPython } from "../support/pythonEnvironment";
import type { StackConfig } from "../support/stackConfig";
import { JsonFile } from "../support/store";
import { createRowReader } from "./customerRow";
import { customers } from "./customers";
import { seedCustomers } from "./seed";
import { stripePanel } from "./stripePanel";

/** How a local cloud is started. */
export interface LocalCloudOptions {
  /** The program's folder. */
  programDir: string;
  /** Where everything that survives a restart is kept. */
  dir: string;
  /** Take free ports instead of those in `Pulumi.local.yaml`. */
  freePorts: boolean;
  /** Chosen already; default: by `freePorts`. */
  ports?: Ports;
  /** Configuration laid over `Pulumi.local.yaml`, by path. */
  config?: Record<string, unknown>;
  /** Which engine answers; default: Ollama where it is found, else the scripted one. */
  engine?: EngineName;
  /** Give canned replies, also where the worker's Python environment exists. Default false. */
  withoutPython?: boolean;
  /** Called with a line of progress when the engine takes long. */
  say?: (line: string) => void;
}

/** A running local cloud. */
export interface LocalCloud {
  aws: AwsCloud;
  runpod: RunpodDouble;
  /** Undefined where the configuration leads to Stripe itself. */
  stripe: StripeDouble | undefined;
  /** Which engine answers. */
  engine: EngineName;
  pageUrl: string;
  /** Configuration of the cloud's own stack, with the overrides laid over it. */
  config(overrides?: Record<string, unknown>): StackConfig;
  /** gRPC ports of the providers by package, for an engine to attach to; one may still be starting. */
  providers: Record<"aws" | "awsx" | "docker-build", number | Promise<number>>;
  /** Gives the seeded customers their rows in every users table. */
  seedCustomers(): Promise<void>;
  /** What the page needs, once the program has run. */
  setPageConfig(config: PageConfig): void;
  /** Stops everything, the last started first. */
  close(): Promise<void>;
}

/**
 * Starts every double of the local cloud in this process, the workers and the awsx provider in processes of their own.
 * Nothing is left behind when it throws.
 *
 * @throws PortInUseError, or an Error about the configuration
 */
export async function startLocalCloud(options: LocalCloudOptions): Promise<LocalCloud> {
  const { programDir, dir, freePorts } = options;
  const ports = options.ports ?? (await choosePorts(programDir, freePorts));
  const given = cloudStackConfig(programDir, ports, options.config);

  // Also what is still starting when something else fails must be stopped.
  const running: Promise<{ close(): Promise<void> }>[] = [];
  const started = <T extends { close(): Promise<void> }>(starting: Promise<T>): Promise<T> => {
    running.unshift(starting);
    return starting;
  };
  const close = async () => {
    for (const starting of running.splice(0)) await starting.then((one) => one.close()).catch(() => {});
  };

  try {
    const events = new Events();
    let pageConfig: PageConfig | undefined;
    let stripe: StripeDouble | undefined;
    const page = await started(
      startPage({
        port: ports.page,
        events,
        config: () => pageConfig,
        stripe: () => stripe && stripePanel(stripe),
        row: (userId) => readRow(userId),
      }),
    );
    const engine = await started(startEngine(options.engine, events, options.say ?? (() => {})));
    // It takes longest and is needed last: the engine waits for it, not we.
    const awsx = started(startAwsx());
    awsx.catch(() => {});
    const aws: AwsCloud = await started(
      startAws({
        dir: join(dir, "aws"),
        region: given.values["aws:region"] ?? "us-east-1",
        events,
        apiPorts: freePorts ? "free" : 4110,
        lambdaPort: 0,
        programDir,
        jwks: (issuer) => `${cognito.idpUrl}${new URL(issuer).pathname}/.well-known/jwks.json`,
        extraEnv: () => ({ AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER: cognito.idpUrl }),
      }),
    );
    const readRow = createRowReader(aws);
    writeEndpoints(dir, aws);
    if (given.values[configKey("stripeApiUrl")] === `http://localhost:${ports.stripe}`) {
      stripe = await started(startStripe(stripeOptions(given, ports, dir, events)));
    }
    const cognito = await started(
      startCognito({
        account: aws.account,
        dir: join(dir, "cognito"),
        ports: { domain: ports.domain, idp: 0 },
        customers,
        events,
      }),
    );
    const runpod = await started(
      startRunpod({
        port: ports.runpod,
        dir: join(dir, "runpod"),
        keys: runpodKeys(given),
        engineUrl: engine.url,
        python: options.withoutPython ? undefined : findVenvPython(),
        // One for each model's endpoint.
        warmWorkers: models.length,
        resolveImage: (imageName) => aws.resolveImage(imageName),
        // Room for this stack and one that a real Pulumi brings up beside it.
        workersQuota: 20,
        events,
      }),
    );
    return {
      aws,
      runpod,
      stripe,
      engine: engine.name,
      pageUrl: page.url,
      providers: { aws: aws.providerPort, awsx: awsx.then(({ port }) => port), "docker-build": aws.providerPort },
      config: (overrides) => cloudStackConfig(programDir, ports, { ...options.config, ...overrides }),
      seedCustomers: () => seedCustomers(aws.account, aws.endpoints.dynamodb),
      setPageConfig: (config) => {
        pageConfig = config;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The keys an operator would have made in RunPod's console: the account's, and one per endpoint for browsers. */
function runpodKeys({ values }: StackConfig) {
  const browser = models.map((model) => ({
    key: values[configKey(browserKeyOf(model))] ?? "",
    scope: { endpointNames: localStacks.map((stack) => stackNames(stack).endpoint(model)) },
  }));
  return [{ key: values[configKey("runpodApiKey")] ?? "", scope: "account" as const }, ...browser];
}

/** The double with the stack's own keys, and what is for sale in Stripe's dashboard. */
function stripeOptions({ values }: StackConfig, ports: Ports, dir: string, events: Events): StripeOptions {
  const keys = ["stripeApiKey", "stripeWebhookKey"].flatMap((key) => values[configKey(key)] ?? []);
  const catalogue = [
    { priceId: "price_local_paid", product: "スナック美砂樹 常連プラン", nickname: "paid", unitAmountYen: 980 },
    { priceId: "price_local_vip", product: "スナック美砂樹 VIPプラン", nickname: "vip", unitAmountYen: 2_980 },
  ];
  return { port: ports.stripe, dir: join(dir, "stripe"), events, keys, catalogue };
}

/** Where AWS's own clients find the local services: for `npm run admin`, and for whoever looks into a table. */
function writeEndpoints(dir: string, { endpoints }: AwsCloud): void {
  const file = new JsonFile(join(dir, "aws", "endpoints.json"), endpoints);
  file.data = endpoints;
  file.save();
}
