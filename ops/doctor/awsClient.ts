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
