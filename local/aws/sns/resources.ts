import { z } from "zod";
import { type ResourceType, randomId } from "../support/resource";
import { text } from "../support/values";
import { FilterPolicy } from "./filterPolicy";

/** aws:sns/topic:Topic. Its id is its ARN, as in AWS. */
export const topic: ResourceType = {
  type: "aws:sns/topic:Topic",
  isTaggable: true,
  inputs: z.looseObject({
    name: z
      .string()
      .regex(/^[\w-]{1,256}$/, "must have 1 to 256 characters: letters, digits, _ and -")
      .optional(),
  }),
  replaceOn: ["name", "namePrefix", "fifoTopic"],
  autoName: "name",
  id: (inputs, account) => account.arn("sns", text(inputs, "name")),
  computed: { arn: ({ id }) => id, owner: ({ account }) => account.accountId },
};

const forms = {
  email: /^[^\s@]+@[^\s@]+$/,
  http: /^http:\/\/\S+$/,
  https: /^https:\/\/\S+$/,
};

/** aws:sns/topicSubscription:TopicSubscription. */
export const topicSubscription: ResourceType = {
  type: "aws:sns/topicSubscription:TopicSubscription",
  inputs: z
    .looseObject({
      topic: z.string().startsWith("arn:", "must be the ARN of a topic"),
      protocol: z.enum(
        ["email", "http", "https"],
        "must be email, http or https: the local cloud supports no other protocol",
      ),
      endpoint: z.string(),
      filterPolicy: z
        .string()
        .transform((value) => JSON.parse(value) as unknown)
        .pipe(FilterPolicy)
        .optional(),
      filterPolicyScope: z
        .literal("MessageBody", "must be MessageBody: an alarm's message has no attributes")
        .optional(),
    })
    .refine(({ protocol, endpoint }) => forms[protocol].test(endpoint), {
      path: ["endpoint"],
      error: "InvalidParameter: Invalid parameter: Endpoint must match the specified protocol",
    }),
  replaceOn: ["topic", "protocol", "endpoint"],
  id: (inputs) => `${text(inputs, "topic")}:${randomId(8, "0123456789abcdef")}`,
  computed: {
    arn: ({ id }) => id,
    pendingConfirmation: ({ returned }) => returned.pendingConfirmation,
    ownerId: ({ account }) => account.accountId,
  },
};
