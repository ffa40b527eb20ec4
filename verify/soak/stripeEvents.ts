import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import Stripe from "stripe";
import { matters, parseEvent, type StripeEvent } from "../../functions/stripe/event";
import { batchGet } from "../../functions/tables/batchGet";
import { ephemeralKeys } from "../../functions/tables/ephemeralKeys";
import { localCredentials } from "../../local/cloud/awsEndpoints";
import { StackState } from "../../local/pulumi/state";
import type { StackConfig } from "../../local/support/stackConfig";
import { configKey, START_STACK, stackNames } from "../../names";
import { clientOptions } from "../../stripe/clientOptions";
import { webhookEvents } from "../../stripe/events";
import type { SoakCloud } from "./cloud";

/** The reconciler handles an event from this age on. Until then, Stripe may still deliver it. */
const RECONCILED_FROM_MS = 61_000;
const ASK_EVERY_MS = 500;
const CHUNK = 100;

/** Stripe's events, and the stack's record of those that it has handled. */
export class StripeEvents {
  private readonly stripe: Stripe;
  private readonly dynamodb: DynamoDBClient;
  private readonly lambda: LambdaClient;
  private readonly table: string;
  private readonly reconciler: string;

  constructor({ started, dir }: SoakCloud, { values }: StackConfig) {
    const { stripe, aws } = started.doubles;
    const client = { region: values["aws:region"] ?? "", credentials: localCredentials };
    this.stripe = new Stripe(values[configKey("stripeApiKey")] ?? "", clientOptions(stripe));
    this.dynamodb = new DynamoDBClient({ ...client, endpoint: aws.dynamodb });
    this.lambda = new LambdaClient({ ...client, endpoint: aws.lambda });
    const { all } = new StackState(join(dir, "stack.json"), false);
    const nameOf = (type: string, isWanted: (outputs: Record<string, unknown>) => boolean) =>
      String(all.find((resource) => resource.type === type && isWanted(resource.outputs))?.outputs.name);
    this.table = nameOf("aws:dynamodb/table:Table", ({ hashKey }) => hashKey === "pk");
    const { prefix } = stackNames(START_STACK);
    this.reconciler = nameOf("aws:lambda/function:Function", ({ name }) =>
      `${name}`.startsWith(`${prefix}-reconciler`),
    );
  }

  /**
   * Waits until the stack has handled every event: from Stripe's deliveries, or with one run of the reconciler when Stripe
   * no longer delivers an event soon.
   *
   * @returns events that are still not handled
   */
  async settled(): Promise<StripeEvent[]> {
    const beganMs = performance.now();
    let events = await this.unhandled();
    while (events.length > 0 && performance.now() - beganMs < RECONCILED_FROM_MS) {
      await sleep(ASK_EVERY_MS);
      events = await this.unhandled();
    }
    if (events.length > 0) await this.reconcile();
    return this.unhandled();
  }

  /** Runs the reconciler now instead of at its next schedule. A failed run shows in the events that are left. */
  async reconcile(): Promise<void> {
    await this.lambda.send(new InvokeCommand({ FunctionName: this.reconciler }));
  }

  close(): void {
    this.dynamodb.destroy();
    this.lambda.destroy();
  }

  private async unhandled(): Promise<StripeEvent[]> {
    const events: StripeEvent[] = [];
    for await (const event of this.stripe.events.list({ types: [...webhookEvents], limit: CHUNK })) {
      const parsed = parseEvent(event);
      if (parsed && matters(parsed)) events.push(parsed);
    }
    const handled = new Set<string>();
    const key = (id: string) => `${ephemeralKeys.event}${id}`;
    for (let from = 0; from < events.length; from += CHUNK) {
      const keys = events.slice(from, from + CHUNK).map(({ id }) => key(id));
      for (const { pk } of await batchGet(this.dynamodb, this.table, keys)) handled.add(pk?.S ?? "");
    }
    return events.filter(({ id }) => !handled.has(key(id)));
  }
}
