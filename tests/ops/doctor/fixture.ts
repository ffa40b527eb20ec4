import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { type Model, models } from "../../../contract/plan";
import { checkFields } from "../../../dynamic/fields";
import { parsePlainConfig } from "../../../infra/configSchema";
import { inferenceSettings } from "../../../infra/inferenceSettings";
import { startEcrApi } from "../../../local/aws/ecr/api";
import { startSsm } from "../../../local/aws/ssm";
import { AwsAccount } from "../../../local/aws/support/account";
import { type RunpodDouble, type RunpodOptions, startRunpod } from "../../../local/runpod/server";
import { idleWorker } from "../../../local/runpod/workers/idleWorker";
import { Events } from "../../../local/support/events";
import type { Listening } from "../../../local/support/http";
import { readStackConfig } from "../../../local/support/stackConfig";
import type { Check } from "../../../ops/doctor/check";
import { examine } from "../../../ops/doctor/examine";
import type { Patient } from "../../../ops/doctor/target";
import { type Api, apis } from "../../../runpod/apis";
import type { EndpointRecord, RunpodClient, TemplateRecord } from "../../../runpod/client";
import { endpointFields } from "../../../runpod/endpointFields";
import { withMark } from "../../../runpod/ownerTag";
import { setFirstWait } from "../../../runpod/retry";

export const OWNER = "snack-misaki/dev";
const TAG = "2026-11-22";
const PARAMETER = "aws:ssm/parameter:Parameter";
const EXPIRY = "/snack-misaki/dev/registry-token-expiry";
const ECR = "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/workers";

export const keys = {
  account: "rpa_CANARY_ACCOUNT",
  readOnly: "rpa_CANARY_READ_ONLY",
  phi3: "rpa_CANARY_PHI3",
  mistral: "rpa_CANARY_MISTRAL",
  both: "rpa_CANARY_BOTH",
};

/** What of a stack is not as the tests have it. */
interface Admission {
  api?: Api;
  runpod?: Partial<RunpodOptions>;
  /** Something that is wrong from the start. */
  before?: (runpod: RunpodDouble) => void;
  /** The stack's configuration, by path. */
  config?: Record<string, unknown>;
  /** How its templates and endpoints were made, where not as configured. */
  template?: Partial<TemplateRecord>;
  endpoint?: Partial<EndpointRecord>;
}

/** The stack `dev` on a RunPod double of its own, made through the real client, and the doctor who comes to see it. */
export class Ward {
  readonly endpointIds: Record<Model, string> = { phi3: "", mistral: "" };
  readonly templateIds: Record<Model, string> = { phi3: "", mistral: "" };

  private constructor(
    readonly runpod: RunpodDouble,
    private readonly services: Listening[],
    private readonly account: AwsAccount,
    readonly client: RunpodClient,
    readonly patient: Patient,
    private readonly dir: string,
  ) {}

  static async open({ api = "graphql", runpod = {}, before, config = {}, template, endpoint }: Admission = {}) {
    const dir = mkdtempSync(join(tmpdir(), "snack-doctor-"));
    setFirstWait(5);
    const names = (...some: Model[]) => ({ endpointNames: some.map((model) => `snack-misaki-dev-${model}`) });
    const double = await startRunpod({
      port: 0,
      dir,
      keys: [
        { key: keys.account, scope: "account" },
        { key: keys.readOnly, scope: "read-only" },
        { key: keys.phi3, scope: names("phi3") },
        { key: keys.mistral, scope: names("mistral") },
        { key: keys.both, scope: names(...models) },
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
    const [ssm, ecr] = await Promise.all([startSsm(account, new Events()), startEcrApi(account, new Events())]);
    const ward = new Ward(
      double,
      [ssm, ecr],
      account,
      apis[api]({ apiKey: keys.account, url: double.url }),
      patient(double, { ssm: ssm.url, ecr: ecr.url }, { runpodApi: api, ...registryOf(api), ...config }),
      dir,
    );
    ward.renewToken(0);
    const credential = await ward.client.createRegistryAuth({
      name: "snack-misaki-dev-registry",
      username: api === "rest" ? "misaki" : "AWS",
      password: "CANARY_TOKEN",
    });
    for (const model of models) await ward.admit(model, credential.id, { template, endpoint });
    double.tick();
    return ward;
  }

  /** Makes a model's template and endpoint as the program does. */
  private async admit(
    model: Model,
    containerRegistryAuthId: string,
    { template, endpoint }: { [made in "template" | "endpoint"]: Admission[made] | undefined },
  ): Promise<void> {
    const { name, ...made } = inferenceSettings(model, this.patient.config);
    const { id: templateId } = await this.client.saveTemplate({
      name,
      imageName: this.patient.config[model].imageUri ?? `${ECR}:${model}-${TAG}`,
      dockerArgs: "",
      containerRegistryAuthId,
      ...made.template,
      env: withMark({ MODEL: model, TICKET_ISSUER: "issuer", TICKET_JWKS: "{}" }, OWNER),
      ...template,
    });
    const fields = checkFields(endpointFields, {
      owner: OWNER,
      name,
      templateId,
      ...made.endpoint,
      ...endpoint,
    }).inputs;
    const { owner: _, ...settings } = fields as unknown as EndpointRecord;
    const { id } = await this.client.saveEndpoint(settings);
    this.templateIds[model] = templateId;
    this.endpointIds[model] = id;
  }

  /** The registry has an image under a digest and one tag; gives its name as the program has it. */
  pushed(model: Model, tag: string): string {
    const repository = `000000000000.dkr.ecr.us-east-1.amazonaws.com/${model}`;
    const digest = `sha256:${createHash("sha256").update(tag).digest("hex")}`;
    const outputs = { tags: [`${repository}:${model}-${tag}`], digest };
    this.account.put({ type: "docker-build:index:Image", id: `${model}-${tag}`, inputs: {}, outputs });
    return `${repository}@${digest}`;
  }

  /** The function that renews the registry's token has last run so many hours ago. */
  renewToken(hoursAgo: number): void {
    const value = new Date(Date.now() + (12 - hoursAgo) * 3_600_000).toISOString();
    const outputs = { type: "String", value, version: 1 };
    this.account.put({ type: PARAMETER, id: EXPIRY, inputs: {}, outputs });
  }

  /** Nothing ever renews it. */
  forgetToken(): void {
    this.account.delete(PARAMETER, EXPIRY);
  }

  /** Rolls a model's workers, as a new image tag does. */
  async bump(model: Model, imageName = `${ECR}:${model}-2026-12-01`): Promise<void> {
    const template = await this.client.getTemplate(this.templateIds[model]);
    if (!template) throw new Error(`no template of ${model}`);
    await this.client.saveTemplate({ ...template, imageName }, template.id);
    this.runpod.tick();
  }

  /** Changes a model's endpoint as somebody else would; under another name it is another endpoint. */
  async change(model: Model, changes: Partial<EndpointRecord>): Promise<void> {
    const endpoint = await this.client.getEndpoint(this.endpointIds[model]);
    if (!endpoint) throw new Error(`no endpoint of ${model}`);
    const { id, owner: _, ...settings } = endpoint;
    await this.client.saveEndpoint({ ...settings, ...changes }, changes.name === undefined ? id : undefined);
    this.runpod.tick();
  }

  /** The doctor's report. None of the secrets is ever in it. */
  async report(changes: Partial<Patient> = {}): Promise<Check[]> {
    const checks = await examine({ ...this.patient, ...changes }, 5_000);
    expect(JSON.stringify(checks)).not.toContain("CANARY");
    for (const { name, status, todo } of checks) expect([name, todo !== ""]).toEqual([name, status !== "ok"]);
    return checks;
  }

  async close(): Promise<void> {
    await this.runpod.close();
    for (const service of this.services) await service.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** REST cannot renew ECR's tokens, so a stack on it has its images elsewhere. */
function registryOf(api: Api): Record<string, unknown> {
  if (api === "graphql") return {};
  const elsewhere = models.flatMap((model) => [
    [`${model}.imageTag`, undefined],
    [`${model}.imageUri`, `ghcr.io/example/${model}:${TAG}`],
  ]);
  return { registry: { kind: "token", host: "ghcr.io", username: "misaki" }, ...Object.fromEntries(elsewhere) };
}

function patient(
  { url, jobApiUrl }: RunpodDouble,
  endpoints: { ssm: string; ecr: string },
  overrides: Record<string, unknown>,
): Patient {
  const { values } = readStackConfig(process.cwd(), "dev", {
    runpodApiUrl: url,
    runpodJobApiUrl: jobApiUrl,
    ...overrides,
  });
  const { config, problems } = parsePlainConfig((key) => values[`snack-misaki:${key}`]);
  if (!config) throw new Error(problems.join("\n"));
  return {
    config: { ...config, stack: "dev" },
    owner: OWNER,
    aws: { region: "us-east-1", endpoints, credentials: { accessKeyId: "x", secretAccessKey: "x" } },
    apiKey: keys.account,
    browserKeys: { phi3: { key: keys.phi3 }, mistral: { key: keys.mistral } },
  };
}
