import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { DynamoDBClient, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import Stripe from "stripe";
import { createApi } from "../../client";
import type { Model, Plan } from "../../contract/plan";
import { ephemeralKeys } from "../../functions/tables/ephemeralKeys";
import type { FunctionName } from "../../infra/bundle";
import type { AwsResource } from "../../local/aws/support/account";
import type { SimulatedTimers } from "../../local/aws/support/timers";
import { localCredentials } from "../../local/cloud/awsEndpoints";
import type { LocalCloud } from "../../local/cloud/cloud";
import { customers } from "../../local/cloud/customers";
import type { ProgramOutputs } from "../../local/cloud/outputs";
import type { StripeDouble } from "../../local/stripe/server";
import { customerApi } from "../../local/visitor/customer";
import { configKey, START_STACK, stackNames } from "../../names";
import { functionName } from "../bench/zips";

/** Configuration of the drill's cloud, in addition to that of `Pulumi.local.yaml`. */
export const drillConfig = {
  "operations.emails": ["operator@example.com"],
  // Every vip chat reaches the ceiling.
  "vip.dailyUsd": 0.000_001,
};

/** Undoes a fault. */
export type Undo = () => void | Promise<void>;

const MINUTE_MS = 60_000;
/** Time for a function's last log lines to arrive, after its result. */
const LOG_DELAY_MS = 10;

/** The local cloud with the means to cause faults in it. Its time is simulated. */
export class Stage {
  readonly names = stackNames(START_STACK);
  readonly stripe: Stripe;
  readonly stripeDouble: StripeDouble;

  constructor(
    readonly cloud: LocalCloud,
    private readonly outputs: ProgramOutputs,
    private readonly timers: SimulatedTimers,
  ) {
    if (!cloud.stripe) throw new Error("The drill needs the Stripe double");
    this.stripeDouble = cloud.stripe;
    // The double would add the costs of all simulated hours up to one hour.
    cloud.runpod.switches.hourlyUsd = 0;
    const { port } = cloud.stripe;
    this.stripe = new Stripe(this.config("stripeApiKey"), {
      protocol: "http",
      host: "localhost",
      port,
      telemetry: false,
    });
  }

  /** Lets a minute pass: schedules run, and CloudWatch evaluates the alarms. */
  async passMinute(): Promise<void> {
    const { aws, runpod } = this.cloud;
    // RunPod counts the requests of a minute.
    runpod.skip(MINUTE_MS);
    this.timers.advance(MINUTE_MS);
    while (!aws.isIdle) await sleep(2);
    await sleep(LOG_DELAY_MS);
    await aws.cloudwatch.settled();
  }

  /** A value of the stack's configuration. */
  config(key: string): string {
    return this.cloud.config().values[configKey(key)] ?? "";
  }

  /** A Lambda function of the stack. */
  function(name: FunctionName): AwsResource {
    const found = this.resources("aws:lambda/function:Function").find((each) => functionName(each) === name);
    if (!found) throw new Error(`The stack has no function ${name}`);
    return found;
  }

  /** Changes a function's configuration, as a mistake in Lambda's console does. */
  changeFunction(name: FunctionName, outputs: Record<string, unknown>): Undo {
    return this.change(this.function(name), outputs);
  }

  /** Takes away a function's permission to use the ephemeral table. */
  denyEphemeralTable(name: FunctionName): Undo {
    return this.changePolicy(name, (policy) => policy.replaceAll(/"\w+#[^"]*\*"/g, '"denied#*"'));
  }

  /** Takes away a function's permission to read the models' candidates. */
  denyCandidates(name: FunctionName): Undo {
    return this.changePolicy(name, (policy) => policy.replaceAll(`${this.names.parameters.candidates}/*`, "/denied"));
  }

  /** Sends a request to the API. */
  async callApi(path: string, init: RequestInit = {}): Promise<number> {
    const response = await fetch(`${this.outputs.apiUrl}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
      ...init,
    });
    await response.body?.cancel();
    return response.status;
  }

  /** Sends a request without a ticket to the relay. */
  async callRelay(): Promise<void> {
    const response = await fetch(`${this.outputs.relayUrl}/chat`, { method: "POST", body: "{}" });
    await response.body?.cancel();
  }

  /** Opens a session as a seeded customer of the plan, or as a guest. */
  async openSession(plan: Plan | "guest") {
    if (plan !== "guest") return (await customerApi(plan, this.cloud, this.outputs)).session();
    return createApi({ apiUrl: this.outputs.apiUrl, getIdToken: async () => undefined }).guest();
  }

  /** Sends chats to the relay at the same time, as a customer of the plan. */
  async chat(plan: Plan | "guest", count: number): Promise<void> {
    const session = await this.openSession(plan);
    const chats = Array.from({ length: count }, async () => {
      const response = await fetch(`${session.inference.url}/chat`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${session.ticket}` },
        body: JSON.stringify({ text: "こんばんは" }),
      });
      await response.text();
    });
    await Promise.all(chats);
  }

  /** Lets the seeded free customer buy the paid plan and open the customer portal to change it to vip. */
  async openPortal(): Promise<void> {
    const { sub } = customers.find(({ label }) => label === "free") ?? {};
    await this.subscribe("price_local_paid", "pm_card_visa", sub);
    const api = await customerApi("free", this.cloud, this.outputs);
    await api.portal("vip");
  }

  /** Subscribes a new user at Stripe. */
  async subscribe(price: string, paymentMethod = "pm_card_visa", userId: string = randomUUID()) {
    const metadata = { user_id: userId, owner: this.names.owner };
    const customer = await this.stripe.customers.create({
      metadata,
      payment_method: paymentMethod,
      invoice_settings: { default_payment_method: paymentMethod },
    });
    await this.stripe.subscriptions.create({ customer: customer.id, items: [{ price }], metadata });
    await this.stripeDouble.settled();
    return { customer: customer.id, userId };
  }

  /** Sends an event to the webhook, with a valid signature. */
  async sendEvent(
    object: Record<string, unknown>,
    { type = "customer.subscription.updated", ageSeconds = 0 } = {},
  ): Promise<void> {
    const created = Math.floor(Date.now() / 1000) - ageSeconds;
    const payload = JSON.stringify({
      object: "event",
      id: `evt_${randomUUID().replaceAll("-", "")}`,
      type,
      livemode: false,
      created,
      data: { object },
    });
    const signature = Stripe.webhooks.generateTestHeaderString({ payload, secret: this.webhookSecret() });
    await this.callApi("/webhook/stripe", { headers: { "stripe-signature": signature }, body: payload });
  }

  /** Changes the value of a parameter in Parameter Store. */
  async putParameter(name: string, value: string): Promise<void> {
    const { endpoints, account } = this.cloud.aws;
    const client = new SSMClient({ endpoint: endpoints.ssm, region: account.region, credentials: localCredentials });
    await client.send(new PutParameterCommand({ Name: name, Value: value, Overwrite: true }));
    client.destroy();
  }

  /** Makes the keep-alive job of an endpoint due. */
  async makeKeepAliveDue(model: Model): Promise<void> {
    const { endpoints, account } = this.cloud.aws;
    const client = new DynamoDBClient({
      endpoint: endpoints.dynamodb,
      region: account.region,
      credentials: localCredentials,
    });
    const table = this.resources("aws:dynamodb/table:Table").find(({ outputs }) => outputs.hashKey === "pk");
    await client.send(
      new UpdateItemCommand({
        TableName: String(table?.outputs.name),
        Key: { pk: { S: `${ephemeralKeys.keepAlive}${this.endpoint(model).id}` } },
        UpdateExpression: "SET next_at = :never",
        ExpressionAttributeValues: { ":never": { N: "0" } },
      }),
    );
    client.destroy();
  }

  /** A model's endpoint in the RunPod account. */
  endpoint(model: Model) {
    const found = this.cloud.runpod.account.endpoints.find(({ name }) => name === this.names.endpoint(model));
    if (!found) throw new Error(`RunPod has no endpoint of ${model}`);
    return found;
  }

  /** Calls RunPod with the account's key. */
  async callRunpod(method: string, path: string, body?: object): Promise<void> {
    const response = await fetch(`${this.cloud.runpod.restUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.config("runpodApiKey")}`, "content-type": "application/json" },
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`RunPod answered ${method} ${path} with ${response.status}`);
    await response.body?.cancel();
  }

  /** Sends jobs to a model's endpoint. */
  async submitJobs(model: Model, count: number): Promise<void> {
    const path = `/${this.endpoint(model).id}/run`;
    for (let job = 0; job < count; job++) await this.callRunpod("POST", path, { input: { text: "こんばんは" } });
  }

  /** Removes the waiting jobs of a model's endpoint. */
  async purgeJobs(model: Model): Promise<void> {
    await this.callRunpod("POST", `/${this.endpoint(model).id}/purge-queue`);
  }

  /** Writes a log line of a function, as its runtime would. */
  writeLog(name: FunctionName, message: object): void {
    const { logGroup } = this.function(name).outputs.loggingConfig as { logGroup: string };
    this.cloud.aws.cloudwatch.log(logGroup, JSON.stringify({ level: "ERROR", message }));
  }

  /** Resources of the stack. */
  resources(type: string): AwsResource[] {
    return this.cloud.aws.account.list(type);
  }

  private webhookSecret(): string {
    const parameter = this.cloud.aws.account.get(
      "aws:ssm/parameter:Parameter",
      this.names.parameters.stripeWebhookSecret,
    );
    return JSON.parse(String(parameter?.outputs.value)).current;
  }

  private changePolicy(name: FunctionName, change: (policy: string) => string): Undo {
    const { role } = this.function(name).outputs;
    const policy = this.resources("aws:iam/rolePolicy:RolePolicy").find(({ outputs }) =>
      String(role).endsWith(`/${outputs.role}`),
    );
    if (!policy) throw new Error(`The function ${name} has no policy`);
    return this.change(policy, { policy: change(String(policy.outputs.policy)) });
  }

  private change(resource: AwsResource, outputs: Record<string, unknown>): Undo {
    const { account } = this.cloud.aws;
    account.put({ ...resource, outputs: { ...resource.outputs, ...outputs } });
    return () => account.put(resource);
  }
}
