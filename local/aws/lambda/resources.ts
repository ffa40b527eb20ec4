import { z } from "zod";
import { permits } from "../iam/policy";
import type { AwsAccount, AwsResource } from "../support/account";
import { type Effects, type ResourceType, randomId } from "../support/resource";
import { type Properties, text } from "../support/values";

/** aws:lambda/function:Function. */
export const lambdaFunction: ResourceType = {
  type: "aws:lambda/function:Function",
  isTaggable: true,
  inputs: z.looseObject({
    name: z
      .string()
      .regex(/^[\w-]{1,64}$/, "must have 1 to 64 characters: letters, digits, _ and -")
      .optional(),
    role: z.string().startsWith("arn:", "must be the ARN of a role"),
    code: z.unknown().refine((code) => code !== undefined, "is required: an archive"),
    handler: z.string().regex(/^[^\s.][^\s]*\.[^\s.]+$/, "must be <file>.<export>"),
    runtime: z.enum(["nodejs20.x", "nodejs22.x", "nodejs24.x"]),
    packageType: z.literal("Zip").optional(),
    architectures: z.tuple([z.enum(["x86_64", "arm64"])]).optional(),
    memorySize: z.number().int().min(128).max(10_240).optional(),
    timeout: z.number().int().min(1).max(900).optional(),
    environment: z.looseObject({ variables: z.record(z.string(), z.string()).optional() }).optional(),
    reservedConcurrentExecutions: z.number().int().min(-1).optional(),
  }),
  replaceOn: ["name", "packageType"],
  autoName: "name",
  id: (inputs) => text(inputs, "name"),
  conflict: "ResourceConflictException: Function already exist",
  defaults: {
    memorySize: 128,
    timeout: 3,
    architectures: ["x86_64"],
    packageType: "Zip",
    publish: false,
    reservedConcurrentExecutions: -1,
    ephemeralStorage: { size: 512 },
    tracingConfig: { mode: "PassThrough" },
  },
  computed: {
    arn: ({ id, account }) => account.arn("lambda", `function:${id}`),
    invokeArn: ({ id, account }) => invokeArn(account, id, "2015-03-31/functions", "invocations"),
    qualifiedArn: ({ id, account }) => account.arn("lambda", `function:${id}:$LATEST`),
    qualifiedInvokeArn: ({ id, account }) => invokeArn(account, `${id}:$LATEST`, "2015-03-31/functions", "invocations"),
    responseStreamingInvokeArn: ({ id, account }) =>
      invokeArn(account, id, "2021-11-15/functions", "response-streaming-invocations"),
    version: () => "$LATEST",
    lastModified: () => new Date().toISOString(),
    sourceCodeHash: ({ returned }) => returned.sourceCodeHash ?? "",
    signingJobArn: () => "",
    signingProfileVersionArn: () => "",
  },
  recomputed: ["lastModified", "sourceCodeHash"],
};

/**
 * aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig: retries and destination of asynchronous invocations.
 */
export const eventInvokeConfig: ResourceType = {
  type: "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
  inputs: z.looseObject({
    functionName: z.string(),
    maximumRetryAttempts: z.number().int().min(0).max(2).optional(),
    maximumEventAgeInSeconds: z.number().int().min(60).max(21_600).optional(),
    destinationConfig: z
      .looseObject({
        onFailure: z.looseObject({ destination: z.string().startsWith("arn:", "must be an ARN") }).optional(),
      })
      .optional(),
  }),
  replaceOn: ["functionName", "qualifier"],
  id: (inputs) => functionName(text(inputs, "functionName")),
  conflict: "ResourceConflictException",
  computed: {},
};

/** Rejects a destination to which the function's role is not allowed to write, as Lambda does. */
export function eventInvokeConfigEffects(account: AwsAccount): Effects {
  const validate = async ({ id, outputs }: AwsResource) => {
    const { destination } = invokeConfig(outputs);
    const roleArn = String(account.get(lambdaFunction.type, id)?.outputs.role);
    if (destination !== undefined && !permits(account, roleArn, { action: "sqs:SendMessage", resource: destination })) {
      throw new Error(
        `InvalidParameterValueException: The function's execution role does not have permissions to call SendMessage on ${destination}`,
      );
    }
    return undefined;
  };
  return { create: validate, update: validate };
}

/**
 * Number of retries of a failed asynchronous invocation, and ARN of the queue that gets the event after the last retry.
 */
export function invokeConfig(outputs: Properties): { retries: number; destination: string | undefined } {
  const { maximumRetryAttempts = 2, destinationConfig } = eventInvokeConfig.inputs.parse(outputs) as {
    maximumRetryAttempts?: number;
    destinationConfig?: { onFailure?: { destination: string } };
  };
  return { retries: maximumRetryAttempts, destination: destinationConfig?.onFailure?.destination };
}

/** aws:lambda/invocation:Invocation: runs a function when the resource is created. */
export const invocation: ResourceType = {
  type: "aws:lambda/invocation:Invocation",
  inputs: z.looseObject({
    functionName: z.string(),
    input: z.string(),
    triggers: z.record(z.string(), z.string()).optional(),
  }),
  replaceOn: ["functionName", "input", "qualifier", "triggers"],
  id: (inputs) => `${functionName(text(inputs, "functionName"))}_$LATEST_${randomId(32, "0123456789abcdef")}`,
  computed: { result: ({ returned }) => returned.result },
};

/** aws:lambda/permission:Permission. */
export const permission: ResourceType = {
  type: "aws:lambda/permission:Permission",
  inputs: z
    .looseObject({
      action: z.string().startsWith("lambda:", "must be a Lambda action, such as lambda:InvokeFunction"),
      function: z.string(),
      principal: z.string(),
      sourceArn: z.string().startsWith("arn:", "must be an ARN").optional(),
      functionUrlAuthType: z.enum(["NONE", "AWS_IAM"]).optional(),
      invokedViaFunctionUrl: z.boolean().optional(),
    })
    .refine((inputs) => inputs.functionUrlAuthType === undefined || inputs.action === "lambda:InvokeFunctionUrl", {
      path: ["functionUrlAuthType"],
      error:
        "InvalidParameterValueException: FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
    })
    .refine((inputs) => inputs.invokedViaFunctionUrl === undefined || inputs.action === "lambda:InvokeFunction", {
      path: ["invokedViaFunctionUrl"],
      error: "InvalidParameterValueException: InvokedViaFunctionUrl is only supported for lambda:InvokeFunction action",
    }),
  replaceOn: [
    "action",
    "function",
    "principal",
    "sourceArn",
    "sourceAccount",
    "statementId",
    "qualifier",
    "principalOrgId",
    "functionUrlAuthType",
    "invokedViaFunctionUrl",
  ],
  autoName: "statementId",
  scope: (inputs) => functionName(text(inputs, "function")),
  id: (inputs) => text(inputs, "statementId"),
  conflict: "ResourceConflictException",
  computed: {},
};

/** The function name in an ARN, an invoke ARN, a `name:qualifier`, or a plain name. */
export function functionName(reference: string): string {
  return /(?:^|:)function:([\w-]+)/.exec(reference)?.[1] ?? reference.split(":", 1)[0] ?? reference;
}

function invokeArn(account: AwsAccount, id: string, path: string, verb: string): string {
  const target = account.arn("lambda", `function:${id}`);
  return `arn:${account.partition}:apigateway:${account.region}:lambda:path/${path}/${target}/${verb}`;
}
