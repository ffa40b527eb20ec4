/**
 * Replaces the AWS SDK's cache of discovered endpoints. The DynamoDB client creates one, but uses it only with endpoint
 * discovery, which is off. The original would add two packages to the bundle.
 */
export class EndpointCache {}
