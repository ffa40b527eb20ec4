import * as pulumi from "@pulumi/pulumi";
import { type AlarmNotifications, createAlarms, type Functions } from "./alarmResources";
import { PAGE_PREFIX } from "./alarms";
import type { HttpApi } from "./api";
import type { Auth } from "./auth";
import * as aws from "./aws";
import type { Billing } from "./billing";
import type { Config } from "./config";
import { createDashboard } from "./dashboard";
import { createLogQueries } from "./logQueries";
import { createPoller, type PollerArgs } from "./poller";
import type { Relay } from "./relay";

/** Arguments of `Operations`. */
export interface OperationsArgs extends PollerArgs {
  config: PollerArgs["config"] & Pick<Config, "alarmWebhookUrl">;
  api: HttpApi;
  auth: Auth;
  billing: Billing;
  relay: Relay;
}

/**
 * What the operator sees and hears of a stack: the poller that publishes RunPod's numbers, the alarms with their
 * messages, the dashboard and the log queries.
 */
export class Operations extends pulumi.ComponentResource {
  constructor(name: string, args: OperationsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Operations", name, {}, opts);
    const child = { parent: this };
    const { config, auth, billing, relay, registry, api } = args;
    const poller = createPoller(args, child);
    const functions: Functions = {
      session: auth.session,
      guest: auth.guest,
      plan: billing.plan,
      checkout: billing.checkout,
      portal: billing.portal,
      sync: billing.sync,
      webhook: billing.webhook,
      reconciler: billing.reconciler,
      admin: billing.admin,
      relay: relay.lambda,
      poller,
      ...(registry.refresh && { registryRefresh: registry.refresh.lambda }),
    };
    const notifications = createNotifications(name, config, child);
    const sources = { functions, apiId: api.id, failedRuns: registry.refresh?.failedRuns };
    createAlarms({ config, sources, notifications }, child);
    createDashboard({ config, sources }, child);
    createLogQueries({ config, functions }, child);
    this.registerOutputs({});
  }
}

/**
 * Creates the topic of the alarms' messages and its subscribers. Each e-mail address must confirm its subscription with
 * the link that AWS sends. The topic is not encrypted with the AWS managed key, because CloudWatch may not use that key.
 */
function createNotifications(
  name: string,
  { operations, alarmWebhookUrl }: OperationsArgs["config"],
  child: pulumi.CustomResourceOptions,
): AlarmNotifications {
  const topic = new aws.sns.Topic(name, {}, child);
  if (operations.emails.length === 0 && !alarmWebhookUrl) {
    pulumi.log.warn("Nobody receives the alarms: set operations.emails or alarmWebhookUrl.", child.parent);
  }
  for (const email of operations.emails) {
    new aws.sns.TopicSubscription(
      `alarm-mail-${email}`,
      { topic: topic.arn, protocol: "email", endpoint: email },
      child,
    );
  }
  if (alarmWebhookUrl) {
    new aws.sns.TopicSubscription(
      "alarm-webhook",
      {
        topic: topic.arn,
        protocol: alarmWebhookUrl.apply((url) => new URL(url).protocol.replace(":", "")),
        endpoint: alarmWebhookUrl,
        // A pager wakes people up, so that it gets the alarms that page. The e-mail addresses get all alarms.
        filterPolicyScope: "MessageBody",
        filterPolicy: JSON.stringify({ AlarmDescription: [{ prefix: PAGE_PREFIX }] }),
      },
      child,
    );
  }
  return { topicArn: topic.arn };
}
