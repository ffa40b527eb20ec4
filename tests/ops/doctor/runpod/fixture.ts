import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { byModel, type Model, models } from "../../../../contract/plan";
import { checkFields } from "../../../../dynamic/fields";
import { parsePlainConfig } from "../../../../infra/configSchema";
import { startEcrApi } from "../../../../local/aws/ecr/api";
import { AwsAccount } from "../../../../local/aws/support/account";
import { type RunpodDouble, type RunpodOptions, startRunpod } from "../../../../local/runpod/server";
import { idleWorker } from "../../../../local/runpod/workers/worker";
import { Events } from "../../../../local/support/events";
import type { Listening } from "../../../../local/support/http";
import { readStackConfig } from "../../../../local/support/stackConfig";
import { configKey, stackNames } from "../../../../names";
import type { Check } from "../../../../ops/doctor/check";
import { hideSecrets } from "../../../../ops/doctor/examine";
import { examineRunpod } from "../../../../ops/doctor/runpod/examineRunpod";
import { type Version, versionsOf } from "../../../../ops/doctor/runpod/versions";
import type { Target } from "../../../../ops/doctor/target";
import { type Api, apis } from "../../../../runpod/apis";
import type { EndpointRecord, EndpointSettings, RunpodClient, TemplateRecord } from "../../../../runpod/client";
import { endpointFields } from "../../../../runpod/endpointFields";
import { addOwnerTag } from "../../../../runpod/ownerTag";
import { setRetryPolicy } from "../../../../runpod/retry";

const names = stackNames("dev");
export const OWNER = names.owner;
const TAG = "2026-11-22";
/** Tag of the next image. */
const BUMPED = "2026-12-01";
const REGISTRY = "000000000000.dkr.ecr.us-east-1.amazonaws.com";
const ECR = `${REGISTRY}/workers`;

export const keys = {
  account: "rpa_CANARY_ACCOUNT",
  readOnly: "rpa_CANARY_READ_ONLY",
  /** A key for the endpoints of both phi3 and mistral. */
  both: "rpa_CANARY_BOTH",
  ...byModel((model) => `rpa_CANARY_${model.toUpperCase()}`),
};

/** A browser key for each model, restricted to the model's endpoint. The default stack has none. */
export const browserKeys: Target["browserKeys"] = byModel((model) => ({ key: keys[model] }));

/** Differences from the tests' default stack. */
interface FixtureOptions {
  api?: Api;
  runpod?: Partial<RunpodOptions>;
  /** Runs before the stack is deployed, for example to set a switch. */
  before?: (runpod: RunpodDouble) => void;
  /** Configuration overrides, by path. */
  config?: Record<string, unknown>;
  /** Properties of the deployed templates and endpoints that differ from the configuration. */
  template?: Partial<TemplateRecord>;
  endpoint?: Partial<EndpointRecord>;
}

/**
 * The stack `dev`, deployed through the real client to a RunPod double that only this fixture uses. `report` runs the
 * doctor on this stack.
 */
export class DoctorFixture {
  readonly endpointIds = byModel(() => "");
  readonly templateIds = byModel(() => "");

  private constructor(
    readonly runpod: RunpodDouble,
    private readonly ecr: Listening,
    private readonly account: AwsAccount,
    readonly client: RunpodClient,
    readonly target: Target,
    readonly dir: string,
  ) {}

  static async open({ api = "graphql", runpod = {}, before, config = {}, template, endpoint }: FixtureOptions = {}) {
    const dir = mkdtempSync(join(tmpdir(), "snack-doctor-"));
    setRetryPolicy({ intervalMs: 5, limitMs: 200 });
    const endpointsOf = (...some: Model[]) => ({ endpointNames: some.map((model) => names.endpoint(model)) });
    const double = await startRunpod({
      port: 0,
      dir,
      keys: [
        { key: keys.account, scope: "account" },
        { key: keys.readOnly, scope: "read-only" },
        ...models.map((model) => ({ key: keys[model], scope: endpointsOf(model) })),
        { key: keys.both, scope: endpointsOf("phi3", "mistral") },
      ],
      engineUrl: "http://127.0.0.1:9/v1",
      python: undefined,
      resolveImage: () => ({ version: TAG }),
      workersQuota: 10,
      startWorker: idleWorker,
      events: new Events(),
      ...runpod,
    });
    before?.(double);
    const account = new AwsAccount(join(dir, "aws.json"), "us-east-1");
    const ecr = await startEcrApi(account, new Events());
    const fixture = new DoctorFixture(
      double,
      ecr,
      account,
      apis[api]({ apiKey: keys.account, url: double.url }),
      target(double, ecr.url, { runpodApi: api === "graphql" ? "auto" : api, ...registryOf(api), ...config }),
      dir,
    );
    const credential = await fixture.client.createRegistryAuth({
      name: names.registryCredentials,
      username: api === "rest" ? "misaki" : "AWS",
      password: "CANARY_TOKEN",
    });
    for (const version of versionsOf(fixture.target.config))
      await fixture.deploy(version, credential.id, { template, endpoint });
    double.tick();
    return fixture;
  }

  /** Creates the template and endpoint of a version as the program does. */
  private async deploy(
    { model, key, image, settings: { name, ...made } }: Version,
    containerRegistryAuthId: string,
    { template, endpoint }: { [made in "template" | "endpoint"]: FixtureOptions[made] | undefined },
  ): Promise<void> {
    for (const tag of [TAG, BUMPED]) this.store(`${ECR}:${model}-${tag}`);
    const { id: templateId } = await this.client.saveTemplate({
      name,
      imageName: image.imageUri ?? `${ECR}:${model}-${image.imageTag}`,
      dockerArgs: "",
      containerRegistryAuthId,
      ...made.template,
      env: addOwnerTag({ MODEL: model, TICKET_ISSUER: "issuer", TICKET_JWKS: "{}" }, OWNER),
      ...template,
    });
    const fields = checkFields(endpointFields, {
      owner: OWNER,
      name,
      templateId,
      ...made.endpoint,
      ...endpoint,
    }).inputs;
    const { owner: _, ...settings } = fields as unknown as EndpointSettings & { owner: string };
    const { id } = await this.client.saveEndpoint(settings);
    if (key !== model) return;
    this.templateIds[model] = templateId;
    this.endpointIds[model] = id;
  }

  /**
   * Stores an image with a digest and one tag in ECR. Returns the image's name with the digest, as the program uses it.
   */
  pushed(model: Model, tag: string): string {
    const repository = `${REGISTRY}/${model}`;
    const digest = `sha256:${createHash("sha256").update(tag).digest("hex")}`;
    this.store(`${repository}:${model}-${tag}`, digest);
    return `${repository}@${digest}`;
  }

  /** Stores an image in ECR under a name with a tag. */
  private store(name: string, digest = `sha256:${"0".repeat(64)}`): void {
    const outputs = { tags: [name], digest };
    this.account.put({ type: "docker-build:index:Image", id: name, inputs: {}, outputs });
  }

  /** Changes a model's image. RunPod then replaces the model's workers, as after a new image tag. */
  async bump(model: Model, imageName = `${ECR}:${model}-${BUMPED}`): Promise<void> {
    const template = await this.client.getTemplate(this.templateIds[model]);
    if (!template) throw new Error(`The template of ${model} does not exist`);
    await this.client.saveTemplate({ ...template, imageName }, template.id);
    this.runpod.tick();
  }

  /** Changes a model's endpoint outside of Pulumi. If `changes.name` is given, a second endpoint is created instead. */
  async change(model: Model, changes: Partial<EndpointRecord>): Promise<void> {
    const endpoint = await this.client.getEndpoint(this.endpointIds[model]);
    if (!endpoint) throw new Error(`The endpoint of ${model} does not exist`);
    const { id, owner: _, sourceTemplateId: __, ...rest } = { ...endpoint, ...changes };
    const settings = {
      ...rest,
      idleTimeoutSeconds: rest.idleTimeoutSeconds ?? 10,
      modelReferences: rest.modelReferences ?? [],
    };
    await this.client.saveEndpoint(settings, changes.name === undefined ? id : undefined);
    this.runpod.tick();
  }

  /** Runs the doctor. Fails when the report contains a secret. */
  async report(changes: Partial<Target> = {}): Promise<Check[]> {
    const target = { ...this.target, ...changes };
    const checks = hideSecrets(await examineRunpod(target, { timeoutMs: 5_000, logMs: 200 }), target);
    expect(JSON.stringify(checks)).not.toContain("CANARY");
    for (const { name, status, todo } of checks) expect([name, todo !== ""]).toEqual([name, status !== "ok"]);
    return checks;
  }

  async close(): Promise<void> {
    await this.runpod.close();
    await this.ecr.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** REST cannot renew ECR tokens, so a stack on REST uses another registry. */
function registryOf(api: Api): Record<string, unknown> {
  if (api === "graphql") return {};
  const elsewhere = models.flatMap((model) => [
    [`${model}.imageTag`, undefined],
    [`${model}.imageUri`, `ghcr.io/example/${model}:${TAG}`],
  ]);
  return { registry: { kind: "token", host: "ghcr.io", username: "misaki" }, ...Object.fromEntries(elsewhere) };
}

function target({ url, jobApiUrl }: RunpodDouble, ecrUrl: string, overrides: Record<string, unknown>): Target {
  const { values } = readStackConfig(process.cwd(), "dev", {
    runpodApiUrl: url,
    runpodJobApiUrl: jobApiUrl,
    ...overrides,
  });
  const { config, problems } = parsePlainConfig((key) => values[configKey(key)]);
  if (!config) throw new Error(problems.join("\n"));
  return {
    config: { ...config, stack: "dev" },
    owner: OWNER,
    aws: {
      region: "us-east-1",
      // The checks of RunPod call no other service of AWS.
      endpoints: { ecr: ecrUrl, ssm: "", lambda: "", dynamodb: "", cognito: "", inspection: "" },
      credentials: { accessKeyId: "x", secretAccessKey: "x" },
    },
    apiKey: { key: keys.account },
    stripeKey: undefined,
    stripeWebhookKey: undefined,
    browserKeys: byModel(() => undefined),
    providers: {},
  };
}
