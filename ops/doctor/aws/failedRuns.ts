import { GetQueueAttributesCommand, GetQueueUrlCommand, SQSClient } from "@aws-sdk/client-sqs";
import { stackNames } from "../../../names";
import { type Aws, awsClient } from "../awsClient";
import { type Check, failed, ok, warning } from "../check";
import { createAgain } from "./stackResources";

/**
 * Checks that no run of the registry token's renewal has failed in spite of its retries.
 *
 * @param messages messages in the queue of failed runs; undefined when the queue does not exist
 */
function judgeFailedRuns(messages: number | undefined, stack: string): Check {
  const label = "failed runs";
  if (messages === undefined)
    return failed(label, "AWS has no queue of failed runs with the stack's tags", createAgain);
  if (messages === 0) return ok(label, "the queue is empty");
  const renewal = stackNames(stack).functions.registryRefresh;
  const todo =
    `Read the log of ${renewal} and repair the cause. Invoke it: aws lambda invoke --function-name ${renewal} /dev/null. ` +
    "Then purge the queue in SQS's console.";
  return warning(label, `${messages} failed renewals of the registry token are in the queue`, todo);
}

/** Reads the number of messages in the queue of failed runs. */
export async function checkFailedRuns(queues: string[], stack: string, aws: Aws): Promise<Check> {
  const client = new SQSClient(awsClient("inspection", aws));
  const counts = await Promise.all(
    queues.map(async (QueueName) => {
      const { QueueUrl } = await client.send(new GetQueueUrlCommand({ QueueName }));
      const AttributeNames = ["ApproximateNumberOfMessages" as const];
      const { Attributes } = await client.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames }));
      return Number(Attributes?.ApproximateNumberOfMessages);
    }),
  );
  return judgeFailedRuns(counts.length > 0 ? counts.reduce((sum, count) => sum + count) : undefined, stack);
}
