import type { Hono } from "hono";
import { z } from "zod";
import type { Events } from "../../support/events";
import { JsonProtocolError, jsonProtocolApp } from "../jsonProtocol";
import { queue } from "../sqs";
import type { AwsAccount } from "../support/account";

const GetQueueUrlInput = z.strictObject({ QueueName: z.string().regex(/^[\w-]{1,80}$/) });
const GetQueueAttributesInput = z.strictObject({
  QueueUrl: z.url(),
  AttributeNames: z.tuple([
    z.literal(
      "ApproximateNumberOfMessages",
      "must be ApproximateNumberOfMessages: the local cloud has no other attribute",
    ),
  ]),
});

/**
 * SQS's API: `GetQueueUrl`, and the number of messages of a queue.
 *
 * @param messages messages of a queue by its ARN
 */
export function queuesApi(account: AwsAccount, messages: (arn: string) => readonly unknown[], events: Events): Hono {
  const existing = (isWanted: (outputs: Record<string, unknown>) => boolean) => {
    const found = account.list(queue.type).find(({ outputs }) => isWanted(outputs));
    if (found) return found.outputs;
    throw new JsonProtocolError("com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist.");
  };
  const operations = {
    GetQueueUrl(body: unknown) {
      const { QueueName } = GetQueueUrlInput.parse(body);
      return { QueueUrl: existing(({ name }) => name === QueueName).url };
    },
    GetQueueAttributes(body: unknown) {
      const { QueueUrl } = GetQueueAttributesInput.parse(body);
      const { arn } = existing(({ url }) => url === QueueUrl);
      return { Attributes: { ApproximateNumberOfMessages: String(messages(String(arn)).length) } };
    },
  };
  const accesses = (operation: string) => [{ action: `sqs:${operation}`, resource: "*" }];
  return jsonProtocolApp({ source: "aws", target: "AmazonSQS", operations, account, accesses }, events);
}
