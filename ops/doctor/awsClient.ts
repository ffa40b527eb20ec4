import type { Endpoints } from "../../local/cloud/awsEndpoints";

/** AWS connection: the operator's own credentials, or the local cloud's. */
export interface Aws {
  region: string;
  credentials?: { accessKeyId: string; secretAccessKey: string };
  /** Service URLs, when they are not AWS's own. */
  endpoints?: Pick<Endpoints, AwsService>;
}

type AwsService = "dynamodb" | "ssm" | "ecr" | "lambda" | "cognito" | "inspection";

/** Options of an AWS SDK client: a connection within 3 seconds, an answer within 10 seconds, and one retry. */
export function awsClient(service: AwsService, { region, credentials, endpoints }: Aws) {
  return {
    region,
    maxAttempts: 2,
    requestHandler: { connectionTimeout: 3_000, requestTimeout: 10_000, throwOnRequestTimeout: true },
    ...(credentials && { credentials }),
    ...(endpoints && { endpoint: endpoints[service] }),
  };
}

/** Next step after a failed read from AWS. */
export function awsTodo(error: unknown): string {
  const { name = "", message = "" } = error instanceof Error ? error : {};
  if (/AccessDenied|NotAuthorized|AuthorizationError/.test(name)) {
    const action = /to perform: ([\w:-]+)/.exec(message)?.[1] ?? "this action";
    return `Allow your AWS user ${action}, then run the doctor again.`;
  }
  if (/Credentials|ExpiredToken|UnrecognizedClient|InvalidClientTokenId|SSO/.test(name))
    return "Sign in to AWS, or set AWS_PROFILE.";
  return "Check AWS_REGION and this machine's network, then run the doctor again.";
}
