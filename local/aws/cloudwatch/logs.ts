import { z } from "zod";
import type { ResourceType } from "../support/resource";
import { text } from "../support/values";

/** The retention periods CloudWatch Logs knows; 0 keeps for ever. */
const RETENTION_DAYS = [
  0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
] as const;

/** aws:cloudwatch/logGroup:LogGroup. */
export const logGroup: ResourceType = {
  type: "aws:cloudwatch/logGroup:LogGroup",
  inputs: z.looseObject({
    name: z
      .string()
      .regex(/^[\w./#-]{1,512}$/, "must be 1 to 512 of letters, digits and _-/.#")
      .optional(),
    retentionInDays: z.literal(RETENTION_DAYS).optional(),
  }),
  replaceOn: ["name", "namePrefix", "logGroupClass"],
  autoName: "name",
  id: (inputs) => text(inputs, "name"),
  conflict: "ResourceAlreadyExistsException",
  defaults: { retentionInDays: 0, skipDestroy: false, logGroupClass: "STANDARD" },
  computed: { arn: ({ id, account }) => account.arn("logs", `log-group:${id}`) },
};
