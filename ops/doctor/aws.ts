/** How AWS is reached: with the operator's own credentials, or in the local cloud with its own. */
export interface Aws {
  region: string;
  credentials?: { accessKeyId: string; secretAccessKey: string };
  /** Where the services are when they are not AWS's own. */
  endpoints?: { ssm: string; ecr: string };
}

/** What a client of an AWS service is made with. */
export function awsClient(service: "ssm" | "ecr", { region, credentials, endpoints }: Aws) {
  return {
    region,
    maxAttempts: 2,
    requestHandler: { connectionTimeout: 3_000, requestTimeout: 10_000, throwOnRequestTimeout: true },
    ...(credentials && { credentials }),
    ...(endpoints && { endpoint: endpoints[service] }),
  };
}
