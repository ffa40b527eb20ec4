import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import type { AdminAnswers, AdminRequest } from "../../contract/admin";
import type { ErrorBody } from "../../contract/errors";
import { localCredentials, readAwsEndpoints } from "../../local/cloud/awsEndpoints";
import { readStackConfig } from "../../local/support/stackConfig";
import { localStacks, stackNames } from "../../names";
import { messageOf } from "../../runpod/error";
import { awsTodo } from "../awsTodo";

/** The stack whose admin function is invoked. */
export interface Target {
  /** Name of the stack: `dev`, or one of the local cloud's stacks, `start` or `local`. */
  stack: string;
  /** Folder of the local cloud's state. */
  dir: string;
}

/** Invokes the admin function with a request and returns that command's answer. */
export type Ask = <C extends AdminRequest["command"]>(
  request: Extract<AdminRequest, { command: C }>,
) => Promise<AdminAnswers[C]>;

/**
 * Connects to a stack's admin function with the operator's AWS credentials.
 *
 * @returns a function that throws an Error with the next step when the invocation fails
 */
export function connect({ stack, dir }: Target): Ask {
  const isLocal = localStacks.includes(stack);
  const { values } = readStackConfig(process.cwd(), isLocal ? "local" : stack);
  // As Pulumi does: the stack's file is stronger than the environment.
  const region = values["aws:region"] ?? process.env.AWS_REGION ?? "us-east-1";
  const client = new LambdaClient({
    region,
    maxAttempts: 3,
    requestHandler: { connectionTimeout: 3_000, requestTimeout: 60_000, throwOnRequestTimeout: true },
    ...(isLocal && {
      endpoint: readAwsEndpoints(dir).lambda,
      credentials: localCredentials,
    }),
  });
  const functionName = stackNames(stack).functions.admin;
  return async (request) => {
    const command = new InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify(request) });
    const { Payload, FunctionError } = await client.send(command).catch((error: Error & { code?: string }) => {
      const reason = isLocal && error.code === "ECONNREFUSED" ? "npm start is not running." : reasonOf(error, region);
      throw new Error(`${functionName} could not be invoked: ${reason}`, { cause: error });
    });
    const answer = JSON.parse(Payload?.transformToString() ?? "null");
    const examine = `Next: npm run doctor -- --stack ${stack}`;
    // The doctor shows the function's last error.
    if (FunctionError)
      throw new Error(`${functionName} failed: ${sentence(answer?.errorMessage ?? FunctionError)} ${examine}`);
    if ("error" in answer) {
      const { code, message } = (answer as ErrorBody).error;
      const isOperatorsInput = code === "invalid_input" || code === "too_long";
      throw new Error(isOperatorsInput ? message : `${sentence(message)} ${examine}`);
    }
    return answer;
  };
}

function reasonOf(error: Error, region: string): string {
  if (error.name !== "ResourceNotFoundException") return `${sentence(messageOf(error))} ${awsTodo(error)}`;
  return (
    `the account has no such function in ${region}. Is it the right stack (--stack) and AWS account (aws sts ` +
    "get-caller-identity), and is aws:region in the stack's file right? If the stack does not exist yet: pulumi up"
  );
}

function sentence(text: string): string {
  return text.replace(/\.?$/, ".");
}
