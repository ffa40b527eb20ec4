import { join } from "node:path";
import * as z from "zod/mini";
import { type Model, models } from "../../contract/plan";
import { vipProviders } from "../../contract/relay";
import { browserKeyOf, configKey, localStacks, stackNames } from "../../names";
import { type AwsCloud, startAws } from "../aws/cloud";
import type { Timers } from "../aws/support/timers";
import { startAwsx } from "../awsx/start";
import { type Email, startCognito } from "../cognito/cognito";
import { type RunningEngine, startEngine } from "../llm/engine";
import type { EngineChoice } from "../llm/engineOption";
import type { CandidatesPanel } from "../page/candidatesPanel";
import type { PageConfig } from "../page/config";
import type { ModelsPanel } from "../page/modelsPanel";
import { startPage } from "../page/page";
import { type RunpodDouble, startRunpod } from "../runpod/server";
import { type StripeDouble, type StripeOptions, startStripe } from "../stripe/server";
import { Events } from "../support/events";
import { choosePorts, cloudStackConfig, type Ports, PROVIDER_PORTS } from "../support/ports";
import { findVenvPython } from "../support/pythonEnvironment";
import type { StackConfig } from "../support/stackConfig";
import { type OfferedModels, startVipServers, type VipServers } from "../vip/vip";
import { writeAwsEndpoints } from "./awsEndpoints";
import { candidatesPanel } from "./candidatesPanel";
import { createRowReader, customers, seedCustomers } from "./customers";
import { imageTagsOf } from "./imageTags";
import { modelsPanel } from "./modelsPanel";
import { stripePanel } from "./stripePanel";

/** Options of `startLocalCloud`. */
export interface LocalCloudOptions {
  /** Folder of the Pulumi program. */
  programDir: string;
  /** Folder of the state that survives a restart. */
  dir: string;
  /** Whether to use free ports. Otherwise the ports in `Pulumi.local.yaml` are used. */
  freePorts: boolean;
  /** Fixed ports. Default: the ports that `freePorts` selects. */
  ports?: Ports;
  /** Overrides of values in `Pulumi.local.yaml`, by path such as `phi3.imageTag`. */
  config?: Record<string, unknown>;
  /** Default: Ollama if it runs, otherwise the scripted engine. */
  engine?: EngineChoice;
  /**
   * Whether to use the canned worker even when the worker's Python environment exists. Default false. The canned worker
   * gives every job the same reply.
   */
  withoutPython?: boolean;
  /** Environment variables for all Lambda functions, such as real credentials for Bedrock. */
  lambdaEnv?: Record<string, string>;
  /** Called with each e-mail that Cognito would send. Default: no e-mail is delivered. */
  deliver?: (email: Email) => void;
  /** Timers of the local AWS for schedules, retries and alarms. Default: real time. */
  timers?: Timers;
  /** Called with a progress line when the LLM engine starts slowly. */
  progress?: (line: string) => void;
}

/** A running local cloud. */
export interface LocalCloud {
  aws: AwsCloud;
  runpod: RunpodDouble;
  /** Undefined when the configuration uses the real Stripe. */
  stripe: StripeDouble | undefined;
  /** Servers of the external LLMs, in the vendors' wire formats. */
  vip: VipServers;
  /** LLM engine that the workers call. */
  engine: RunningEngine;
  pageUrl: string;
  /** Returns the JWKS URL of a user pool's issuer. The issuer's own URL points to the real Cognito. */
  jwksUrl(issuer: string): string;
  /** Configuration of the stack `start`, with overrides by path. */
  config(overrides?: Record<string, unknown>): StackConfig;
  /** gRPC port of each Pulumi provider by package. The port is a promise while the provider starts. */
  providers: Record<"aws" | "awsx" | "docker-build", number | Promise<number>>;
  /** Creates the seeded customers' rows in every users table. A new users table gets them without this call. */
  seedCustomers(): Promise<void>;
  /** Passes the program's outputs to the page. */
  setPageConfig(config: PageConfig): void;
  /** Closes every service, in the reverse order of the start. */
  close(): Promise<void>;
}

/** A service that can be closed. */
interface Service {
  close(): Promise<void>;
}

/** Services of one local cloud. `close` closes all of them, including services that are still starting. */
class Services {
  private readonly starting: Promise<Service>[] = [];

  add<T extends Service>(service: Promise<T>): Promise<T> {
    this.starting.unshift(service);
    return service;
  }

  async close(): Promise<void> {
    for (const starting of this.starting.splice(0)) {
      await starting.then((service) => service.close()).catch(() => {});
    }
  }
}

/**
 * Starts every double of the local cloud in this process. Workers and the awsx provider run in child processes. When
 * the start fails, closes every service that has started.
 *
 * @throws PortInUseError, or an Error about the configuration
 */
export async function startLocalCloud(options: LocalCloudOptions): Promise<LocalCloud> {
  const services = new Services();
  try {
    return await startServices(options, services);
  } catch (error) {
    await services.close();
    throw error;
  }
}

async function startServices(options: LocalCloudOptions, services: Services): Promise<LocalCloud> {
  const { programDir, dir, freePorts } = options;
  const ports = options.ports ?? (await choosePorts(programDir, freePorts));
  const config = cloudStackConfig(programDir, ports, options.config);
  const events = new Events();
  let pageConfig: PageConfig | undefined;
  let stripe: StripeDouble | undefined;
  let models: ModelsPanel | undefined;
  let candidates: CandidatesPanel | undefined;
  // The awsx provider is the slowest, so it starts first. No code here waits for the provider, because only the image
  // resources of the program need it.
  const awsx = services.add(startAwsx(freePorts ? undefined : PROVIDER_PORTS.awsx));
  awsx.catch(() => {});
  const page = await services.add(
    startPage({
      port: ports.page,
      events,
      config: () => pageConfig,
      stripe: () => stripe && stripePanel(stripe),
      row: (userId) => readRow(userId),
      models: () => models,
      candidates: () => candidates,
    }),
  );
  const engine = await services.add(startEngine(options.engine, events, options.progress ?? (() => {})));
  const offered = offeredModels(config);
  const vip = await services.add(startVipServers(events, () => aws.account, offered));
  const jwksUrl = (issuer: string) => `${cognito.idpUrl}${new URL(issuer).pathname}/.well-known/jwks.json`;
  const aws: AwsCloud = await services.add(
    startAws({
      dir: join(dir, "aws"),
      region: config.values["aws:region"] ?? "us-east-1",
      events,
      apiPorts: freePorts ? "free" : 4110,
      urlPorts: freePorts ? "free" : 4210,
      lambdaPort: 0,
      ...(!freePorts && { providerPort: PROVIDER_PORTS.aws }),
      onCreate: async ({ type }) => {
        if (type === "aws:dynamodb/table:Table") await seedCustomers(aws);
      },
      programDir,
      ...(options.timers && { timers: options.timers }),
      bedrock: { profiles: Object.fromEntries((offered.bedrock ?? []).map((id) => [id, "ACTIVE"])) },
      jwks: jwksUrl,
      extraEnv: () => ({
        AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER: cognito.idpUrl,
        ...vip.environment,
        ...options.lambdaEnv,
      }),
    }),
  );
  const readRow = createRowReader(aws);
  if (config.values[configKey("stripeApiUrl")] === `http://localhost:${ports.stripe}`) {
    stripe = await services.add(startStripe(stripeOptions(config, ports, dir, events)));
  }
  const cognito = await services.add(
    startCognito({
      account: aws.account,
      dir: join(dir, "cognito"),
      ports: { domain: ports.domain, idp: 0 },
      customers,
      events,
      ...(options.deliver && { deliver: options.deliver }),
    }),
  );
  const imageTags = imageTagsOf(config);
  writeAwsEndpoints(dir, { ...aws.endpoints, cognito: cognito.idpUrl, providers: vip.urls, ports, imageTags });
  const python = options.withoutPython ? undefined : findVenvPython();
  const runpod = await services.add(
    startRunpod({ ...runpodOptions(config, ports, dir, aws), events, engineUrl: engine.url, python }),
  );
  models = modelsPanel(runpod, vip);
  candidates = candidatesPanel(aws, runpod);
  return {
    aws,
    runpod,
    stripe,
    vip,
    engine,
    pageUrl: page.url,
    jwksUrl,
    providers: { aws: aws.providerPort, awsx: awsx.then(({ port }) => port), "docker-build": aws.providerPort },
    config: (overrides) => cloudStackConfig(programDir, ports, { ...options.config, ...overrides }),
    seedCustomers: () => seedCustomers(aws),
    setPageConfig: (config) => {
      pageConfig = config;
    },
    close: () => services.close(),
  };
}

/**
 * Options for a RunPod account with the keys that an operator creates in RunPod's console: the account's key, and
 * the configured browser keys.
 */
function runpodOptions({ values }: StackConfig, ports: Ports, dir: string, aws: AwsCloud) {
  const browserKeys = models.flatMap((model) => {
    const key = values[configKey(browserKeyOf(model))];
    return key
      ? [{ key, scope: { endpointNames: localStacks.map((stack) => stackNames(stack).endpoint(model)) } }]
      : [];
  });
  return {
    port: ports.runpod,
    dir: join(dir, "runpod"),
    keys: [{ key: values[configKey("runpodApiKey")] ?? "", scope: "account" as const }, ...browserKeys],
    // One worker per endpoint.
    warmWorkers: models.length + models.filter((model) => hasCandidate(values, model)).length,
    resolveImage: (imageName: string) => aws.resolveImage(imageName),
    // The quota is enough for two stacks: this stack, and a second stack that the real Pulumi creates.
    workersQuota: 20,
  };
}

function hasCandidate(values: StackConfig["values"], model: Model): boolean {
  return JSON.parse(values[configKey(model)] ?? "{}").candidate !== undefined;
}

/** Models of the external LLMs in the configuration. The local servers offer only these models. */
function offeredModels({ values }: StackConfig): OfferedModels {
  const vip = Configured.parse(JSON.parse(values[configKey("vip")] ?? "{}"));
  return Object.fromEntries(vipProviders.flatMap((name) => (vip[name] ? [[name, [vip[name].model]]] : [])));
}

const Configured = z.object(
  Object.fromEntries(vipProviders.map((name) => [name, z.optional(z.object({ model: z.string() }))])),
);

/** Options for a Stripe account with the stack's keys and the prices that an operator creates in Stripe's dashboard. */
function stripeOptions({ values }: StackConfig, ports: Ports, dir: string, events: Events): StripeOptions {
  const keys = ["stripeApiKey", "stripeWebhookKey"].flatMap((key) => values[configKey(key)] ?? []);
  const catalogue = [
    { priceId: "price_local_paid", product: "スナック美砂樹 常連プラン", nickname: "paid", unitAmountYen: 980 },
    { priceId: "price_local_vip", product: "スナック美砂樹 VIPプラン", nickname: "vip", unitAmountYen: 2_980 },
  ];
  return { port: ports.stripe, dir: join(dir, "stripe"), events, keys, catalogue };
}
