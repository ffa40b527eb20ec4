import { paginateListSubscriptionsByTopic, SNSClient } from "@aws-sdk/client-sns";
import { type Aws, awsClient } from "../awsClient";
import { type Check, failed, ok, warning } from "../check";
import { createAgain } from "./stackResources";

/** One subscriber of the alarms' topic. */
export interface Subscriber {
  protocol: string;
  /** Address. Secret for a webhook: its URL may contain a key. */
  endpoint: string;
  isConfirmed: boolean;
}

/**
 * Checks that somebody gets the alarms.
 *
 * @param subscribers undefined when the topic does not exist
 * @param emails `operations.emails` of the configuration
 */
export function judgeSubscribers(subscribers: Subscriber[] | undefined, emails: string[]): Check {
  const label = "alarm subscribers";
  if (!subscribers) return failed(label, "AWS has no topic with the stack's tags: nobody gets the alarms", createAgain);
  const nameOf = ({ protocol, endpoint }: Subscriber) => (protocol === "email" ? endpoint : `the ${protocol} webhook`);
  const lost = emails.filter((email) => !subscribers.some(({ endpoint }) => endpoint === email));
  const pending = subscribers.filter(({ isConfirmed }) => !isConfirmed);
  const confirmed = subscribers.filter(({ isConfirmed }) => isConfirmed);
  if (subscribers.length === 0 && emails.length === 0) {
    const todo = 'Set operations.emails or the secret alarmWebhookUrl, and run "pulumi up".';
    return warning(label, "nobody gets the alarms", todo);
  }
  const problems = [
    ...(lost.length > 0 ? [`${lost.join(", ")} has unsubscribed`] : []),
    ...(pending.length > 0 ? [`${pending.map(nameOf).join(", ")} has not confirmed`] : []),
  ];
  if (problems.length === 0) return ok(label, confirmed.map(nameOf).join(", "));
  const todo = [
    ...(pending.length > 0
      ? ["Open the link in AWS's e-mail, which is valid for three days; then remove and add the address."]
      : []),
    ...(lost.length > 0 ? ['Run "pulumi up --refresh".'] : []),
  ];
  const report = confirmed.length > 0 ? warning : failed;
  return report(
    label,
    `${problems.join("; ")}${confirmed.length > 0 ? "" : ": nobody gets the alarms"}`,
    todo.join(" "),
  );
}

/** Reads the subscribers of the stack's topic. */
export async function checkSubscribers(topics: string[], emails: string[], aws: Aws): Promise<Check> {
  const [TopicArn] = topics;
  if (TopicArn === undefined) return judgeSubscribers(undefined, emails);
  const client = new SNSClient(awsClient("inspection", aws));
  const subscribers: Subscriber[] = [];
  try {
    for await (const { Subscriptions = [] } of paginateListSubscriptionsByTopic({ client }, { TopicArn })) {
      for (const { Protocol = "", Endpoint = "", SubscriptionArn } of Subscriptions)
        subscribers.push({
          protocol: Protocol,
          endpoint: Endpoint,
          isConfirmed: SubscriptionArn?.startsWith("arn:") === true,
        });
    }
  } catch (error) {
    // The tags of a deleted topic stay for some time.
    if (error instanceof Error && error.name.startsWith("NotFound")) return judgeSubscribers(undefined, emails);
    throw error;
  }
  return judgeSubscribers(subscribers, emails);
}
