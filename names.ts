import type { Model } from "./contract/plan";
import type { VipProvider } from "./contract/relay";

/** Name of the Pulumi project, as in Pulumi.yaml. */
export const PROJECT = "snack-misaki";

/** Full key of a value in the stack's configuration, such as `snack-misaki:runpodApiKey`. */
export function configKey(key: string): string {
  return `${PROJECT}:${key}`;
}

/** Name of the configuration entry with the RunPod key that browsers use for a model. */
export function browserKeyOf(model: Model): string {
  return `${model}BrowserKey`;
}

/** Name of the configuration entry with the Hugging Face token of a model's workers. */
export function huggingfaceTokenOf(model: Model): string {
  return `${model}HuggingfaceToken`;
}

/**
 * Tags of every AWS resource of a stack. The AWS provider sets them: `aws:defaultTags` of the stack's configuration.
 */
export function stackTags(stack: string): Record<string, string> {
  return { project: PROJECT, stack };
}

/**
 * Maximum length of a stack's name. The name of a role contains the project, the stack and a purpose, and AWS allows 64
 * characters.
 */
const STACK_NAME_LIMIT = 18;

/** The rule for the name of a stack, as error messages state it. */
export const STACK_NAME_RULE = `at most ${STACK_NAME_LIMIT} characters: lower-case letters and digits, and - or _ between two of them`;

/**
 * Whether a stack may have the name. The name is a part of an ECR repository's name (CreateRepository,
 * `repositoryName`).
 */
export function isStackName(name: string): boolean {
  return name.length <= STACK_NAME_LIMIT && /^[a-z0-9]+([_-][a-z0-9]+)*$/.test(name);
}

/** Region of the certificates that CloudFront uses. Cognito's custom domains are CloudFront distributions, too. */
export const CLOUDFRONT_REGION = "us-east-1";

/** Id of the local cloud's AWS account. AWS has no account with this id. */
export const LOCAL_ACCOUNT_ID = "000000000000";

/** Names of a stack's resources that other code looks up by name. */
export function stackNames(stack: string) {
  const prefix = `${PROJECT}-${stack}`;
  const parameter = (name: string) => `/${PROJECT}/${stack}/${name}`;
  return {
    /** `<project>-<stack>`: beginning of the names of resources, and name of the dashboard. */
    prefix,
    /** CloudWatch namespace of the stack's own metrics. */
    metrics: prefix,
    /** `<project>/<stack>`: issuer of tickets, and owner tag of resources at RunPod and Stripe. */
    owner: `${PROJECT}/${stack}`,
    /** Name of a model's template and endpoint at RunPod. */
    endpoint: (model: Model) => `${prefix}-${model}`,
    /** Name of the template and endpoint of a model's candidate. */
    candidateEndpoint: (model: Model) => `${prefix}-${model}-candidate`,
    /**
     * Name, or beginning of the name, of registry credentials at RunPod. The RunPod provider requires
     * `<project>-<stack>-`.
     */
    registryCredentials: `${prefix}-registry`,
    /** Name of the RunPod secret with the Hugging Face token of a model's workers. */
    huggingfaceSecret: (model: Model) => `${prefix}-${model}-huggingface-token`,
    /**
     * Log group of the API's requests. AWS limits the size of the policy that lets services write logs. All groups
     * under `/aws/vendedlogs/` share one entry of this policy.
     */
    accessLog: `/aws/vendedlogs/${PROJECT}-${stack}/api-access`,
    /** Names of the Lambda functions that operators invoke. */
    functions: {
      admin: `${prefix}-admin`,
      canary: `${prefix}-canary`,
      poller: `${prefix}-poller`,
      registryRefresh: `${prefix}-registryRefresh`,
      relay: `${prefix}-relay`,
    },
    /** Names of the parameters in SSM Parameter Store. */
    parameters: {
      browserKey: (model: Model) => parameter(`${model}-browser-key`),
      /** Path of the models' candidates. */
      candidates: parameter("candidates"),
      providerKey: (provider: VipProvider) => parameter(`${provider}-key`),
      registryTokenExpiry: parameter("registry-token-expiry"),
      runpodApiKey: parameter("runpod-api-key"),
      stripeApiKey: parameter("stripe-api-key"),
      stripeWebhookSecret: parameter("stripe-webhook-secret"),
      ticketSigningKey: parameter("ticket-signing-key"),
    },
  };
}

/** Stack that `npm start` creates. */
export const START_STACK = "start";

/**
 * Stacks in the local cloud. `npm start` creates the first stack. The Pulumi CLI can create the second stack in the
 * same cloud.
 */
export const localStacks = [START_STACK, "local"];
