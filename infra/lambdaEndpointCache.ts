/**
 * Replaces the AWS SDK's cache of discovered endpoints. The DynamoDB client creates one, but uses it only with endpoint
 * discovery, which is off. The original brings two packages.
 */
export class EndpointCache {}
