import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import type { AdminAnswers, AdminRequest } from "../../contract/admin";
import type { ErrorBody } from "../../contract/errors";
import { localCredentials, readAwsEndpoints } from "../../local/cloud/awsEndpoints";
import { readStackConfig } from "../../local/support/stackConfig";
import { localStacks, stackNames } from "../../names";

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
  const client = new LambdaClient({
    region: process.env.AWS_REGION ?? values["aws:region"] ?? "us-east-1",
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
    const { Payload, FunctionError } = await client.send(command).catch((error: Error) => {
      throw new Error(`${functionName} could not be invoked: ${hint(error, isLocal)}`, { cause: error });
    });
    const answer = JSON.parse(Payload?.transformToString() ?? "null");
    if (FunctionError) throw new Error(`${functionName} failed. Read its log group for the reason.`);
    if ("error" in answer) throw new Error((answer as ErrorBody).error.message);
    return answer;
  };
}

function hint(error: Error & { code?: string }, isLocal: boolean): string {
  if (error.code === "ECONNREFUSED" && isLocal) return "npm start is not running";
  if (error.name === "CredentialsProviderError") return "no AWS credentials found. Sign in to AWS, or set AWS_PROFILE.";
  if (error.name === "ResourceNotFoundException")
    return "the function does not exist in this region. Run pulumi up, or set AWS_REGION.";
  return `${error.name}: ${error.message}`;
}
