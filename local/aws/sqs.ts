import { z } from "zod";
import type { Events } from "../support/events";
import type { MetricId } from "./cloudwatch/metricStore";
import type { AwsAccount } from "./support/account";
import type { ResourceType } from "./support/resource";
import { text } from "./support/values";

/** aws:sqs/queue:Queue. Its id is its URL, as in AWS. */
export const queue: ResourceType = {
  type: "aws:sqs/queue:Queue",
  isTaggable: true,
  inputs: z.looseObject({
    name: z
      .string()
      .regex(/^[\w-]{1,80}$/, "must have 1 to 80 characters: letters, digits, _ and -")
      .optional(),
    messageRetentionSeconds: z.int().min(60).max(1_209_600).optional(),
    sqsManagedSseEnabled: z.boolean().optional(),
  }),
  replaceOn: ["name", "namePrefix", "fifoQueue"],
  autoName: "name",
  id: (inputs, account) => `https://sqs.${account.region}.amazonaws.com/${account.accountId}/${text(inputs, "name")}`,
  conflict: "QueueAlreadyExists",
  defaults: { messageRetentionSeconds: 345_600, visibilityTimeoutSeconds: 30, fifoQueue: false },
  computed: {
    arn: ({ inputs, account }) => account.arn("sqs", text(inputs, "name")),
    url: ({ id }) => id,
  },
};

/**
 * Messages of the local queues. They stay in memory until the process ends, because the local cloud never reads a
 * queue.
 */
export class Queues {
  private readonly byArn = new Map<string, unknown[]>();

  constructor(
    private readonly account: AwsAccount,
    private readonly events: Events,
    private readonly cloudwatch: { put(id: MetricId, value: number): void },
  ) {}

  /** Stores a message. Drops it, as AWS does, when the queue does not exist. */
  send(arn: string, message: unknown): void {
    const found = this.account.list(queue.type).find(({ outputs }) => outputs.arn === arn);
    this.events.emit({ source: "sqs", summary: `${arn} ← ${found ? "message" : "message dropped: no such queue"}` });
    if (!found) return;
    this.byArn.set(arn, [...this.messages(arn), message]);
    const dimensions = { QueueName: String(found.outputs.name) };
    this.cloudwatch.put({ namespace: "AWS/SQS", name: "NumberOfMessagesSent", dimensions }, 1);
  }

  /** Messages of a queue, the oldest first. */
  messages(arn: string): readonly unknown[] {
    return this.byArn.get(arn) ?? [];
  }
}
