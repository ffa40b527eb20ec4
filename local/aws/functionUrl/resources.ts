import { z } from "zod";
import { functionName } from "../lambda/resources";
import { type ResourceType, randomId } from "../support/resource";
import { text } from "../support/values";

/** A list of CORS values with the limits of Lambda's API. */
const corsList = (maxItems: number, maxLength: number) =>
  z
    .array(
      z
        .string()
        .max(maxLength, `Member must satisfy constraint: [Member must have length less than or equal to ${maxLength}]`),
    )
    .max(maxItems, `Member must have length less than or equal to ${maxItems}`)
    .optional();

/**
 * aws:lambda/functionUrl:FunctionUrl. Its URL is a port on localhost. With authorizationType NONE the real provider
 * also adds two permissions with the principal `*` and never removes them. The local cloud does not add permissions, so
 * a program must declare them.
 */
export const functionUrl: ResourceType = {
  type: "aws:lambda/functionUrl:FunctionUrl",
  inputs: z.looseObject({
    functionName: z.string().min(1),
    authorizationType: z.enum(["NONE", "AWS_IAM"]),
    invokeMode: z.enum(["BUFFERED", "RESPONSE_STREAM"]).optional(),
    qualifier: z
      .string()
      .regex(/^(\$LATEST|(?!\d+$)[\w-]{1,128})$/, "must be $LATEST or the name of an alias")
      .optional(),
    cors: z
      .looseObject({
        allowOrigins: corsList(100, 253),
        // At most 6 characters, so AWS rejects `OPTIONS`. Lambda itself answers these requests.
        allowMethods: corsList(6, 6),
        allowHeaders: corsList(100, 1024),
        exposeHeaders: corsList(100, 1024),
        allowCredentials: z.boolean().optional(),
        maxAge: z
          .number()
          .int()
          .min(0, "Member must have value greater than or equal to 0")
          .max(86_400, "Member must have value less than or equal to 86400")
          .optional(),
      })
      .optional(),
  }),
  replaceOn: ["functionName", "qualifier"],
  sets: ["allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders"],
  id: (inputs) => {
    const name = functionName(text(inputs, "functionName"));
    return inputs.qualifier === undefined ? name : `${name}/${inputs.qualifier}`;
  },
  conflict: "ResourceConflictException: FunctionUrlConfig exists for this Lambda function",
  defaults: { invokeMode: "BUFFERED" },
  computed: {
    functionArn: ({ inputs, account }) => {
      const qualifier = inputs.qualifier === undefined ? "" : `:${inputs.qualifier}`;
      return account.arn("lambda", `function:${functionName(text(inputs, "functionName"))}${qualifier}`);
    },
    functionUrl: ({ returned }) => returned.functionUrl,
    urlId: () => randomId(32),
  },
};
