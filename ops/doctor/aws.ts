/** AWS connection: the operator's own credentials, or the local cloud's. */
export interface Aws {
  region: string;
  credentials?: { accessKeyId: string; secretAccessKey: string };
  /** Service URLs, when they are not AWS's own. */
  endpoints?: { ssm: string; ecr: string; lambda: string };
}

/** Options of an AWS SDK client. */
export function awsClient(service: "ssm" | "ecr" | "lambda", { region, credentials, endpoints }: Aws) {
  return {
    region,
    maxAttempts: 2,
    requestHandler: { connectionTimeout: 3_000, requestTimeout: 10_000, throwOnRequestTimeout: true },
    ...(credentials && { credentials }),
    ...(endpoints && { endpoint: endpoints[service] }),
  };
}
