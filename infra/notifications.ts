import * as pulumi from "@pulumi/pulumi";
import type { AlarmNotifications } from "./alarmResources";
import { PAGE_PREFIX } from "./alarms";
import * as aws from "./aws";
import type { Config } from "./config";

/** Configuration of the alarms' receivers. */
export type NotificationsConfig = Pick<Config, "operations" | "alarmWebhookUrl">;

/**
 * Creates the topic of the alarms' messages and its subscribers. Each e-mail address must confirm its subscription with
 * the link that AWS sends. The topic is not encrypted with the AWS managed key, because CloudWatch may not use that key.
 */
export function createNotifications(
  name: string,
  { operations, alarmWebhookUrl }: NotificationsConfig,
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
        // A pager wakes people up, so the webhook gets only the alarms that page. The e-mail addresses get all alarms.
        filterPolicyScope: "MessageBody",
        filterPolicy: JSON.stringify({ AlarmDescription: [{ prefix: PAGE_PREFIX }] }),
      },
      child,
    );
  }
  return { topicArn: topic.arn };
}
