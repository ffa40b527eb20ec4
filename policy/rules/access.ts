import { isWildcard, reasonOf } from "../knownWildcards";
import { at, type Problem, type Rule, type StackResource, texts } from "../rule";

const PERMISSION = "aws:lambda/permission:Permission";
const FUNCTION_URL = "aws:lambda/functionUrl:FunctionUrl";
const DISTRIBUTION = "aws:cloudfront/distribution:Distribution";
const ROLE = "aws:iam/role:Role";
const IAM_POLICY = /^aws:iam\/(?:policy|(?:role|user|group)Policy):/;
const IAM_ATTACHMENT = /^aws:iam\/(?:policy|(?:role|user|group)Policy)Attachment:/;

/** The only addresses that need no sign-in. Each checks its callers itself. */
const publicRoutes = ["POST /auth/guest", "POST /webhook/stripe"];
const publicFunction = /-relay$/;

interface PolicyStatement {
  Effect?: string;
  Action?: string | string[];
  Resource?: string | string[];
  NotAction?: unknown;
  NotResource?: unknown;
  Principal?: unknown;
  NotPrincipal?: unknown;
  Condition?: unknown;
}

function statementsOf(document: unknown): PolicyStatement[] {
  const { Statement = [] } = JSON.parse(String(document)) as { Statement?: PolicyStatement | PolicyStatement[] };
  return [Statement].flat();
}

/** Resource policies, by the input with the policy. */
const resourcePolicies: Record<string, string> = {
  "aws:sqs/queue:Queue": "policy",
  "aws:sqs/queuePolicy:QueuePolicy": "policy",
  "aws:sns/topic:Topic": "policy",
  "aws:sns/topicPolicy:TopicPolicy": "policy",
  "aws:ecr/repositoryPolicy:RepositoryPolicy": "policy",
  "aws:s3/bucketPolicy:BucketPolicy": "policy",
  [ROLE]: "assumeRolePolicy",
};

function isForEverybody({ Effect, Principal, NotPrincipal }: PolicyStatement): boolean {
  const isOpen = Principal === "*" || texts(at(Principal, "AWS")).includes("*") || NotPrincipal !== undefined;
  return Effect === "Allow" && isOpen;
}

/** Whether a permission allows calls only through the function's URL. */
function isForUrl({ action, functionUrlAuthType, invokedViaFunctionUrl }: StackResource["props"]): boolean {
  return action === "lambda:InvokeFunctionUrl"
    ? functionUrlAuthType === "NONE"
    : action === "lambda:InvokeFunction" && invokedViaFunctionUrl === true;
}

function publicProblem({ type, props }: StackResource): string | undefined {
  if (type === "aws:apigatewayv2/route:Route") {
    const isOpen = (props.authorizationType ?? "NONE") === "NONE" && !publicRoutes.includes(String(props.routeKey));
    return isOpen ? `the route ${props.routeKey} has no authorizer` : undefined;
  }
  if (type === FUNCTION_URL) {
    const isOpen = props.authorizationType === "NONE" && !publicFunction.test(String(props.functionName));
    return isOpen ? `the URL of ${props.functionName} has no authorization` : undefined;
  }
  if (type === PERMISSION) {
    if (props.principal !== "*") return undefined;
    if (!publicFunction.test(String(props.function))) return `everybody may call ${props.function}`;
    return isForUrl(props) ? undefined : `everybody may call ${props.function} without its URL`;
  }
  const policy = resourcePolicies[type] && props[resourcePolicies[type]];
  return policy && statementsOf(policy).some(isForEverybody) ? "its policy allows everybody" : undefined;
}

/** Origins of distributions, other than the URLs of functions that everybody may call. */
function otherOrigins(resources: StackResource[]): Problem[] {
  const distributions = resources.filter(({ type }) => type === DISTRIBUTION);
  if (distributions.length === 0) return [];
  const hosts = resources
    .filter(({ type, props }) => type === FUNCTION_URL && publicFunction.test(String(props.functionName)))
    .map(({ props }) => new URL(String(props.functionUrl)).hostname);
  return distributions.flatMap((resource) =>
    [resource.props.origins ?? []]
      .flat()
      .map((origin) => String(at(origin, "domainName")))
      .filter((host) => !hosts.includes(host))
      .map((host) => ({ resource, problem: `it opens ${host} to everybody` })),
  );
}

const TLS_12 = /^TLS(v1\.|_1_)[23]/;

/** Why a host name of the stack's own accepts requests without TLS 1.2. */
function tlsProblem({ type, props }: StackResource): string | undefined {
  if (type === "aws:apigatewayv2/domainName:DomainName") {
    const version = at(props, "domainNameConfiguration.securityPolicy");
    return TLS_12.test(String(version)) ? undefined : `its securityPolicy is ${version}`;
  }
  if (type !== DISTRIBUTION) return undefined;
  const version = at(props, "viewerCertificate.minimumProtocolVersion");
  if (!TLS_12.test(String(version))) return `its minimumProtocolVersion is ${version}`;
  const behaviors = [props.defaultCacheBehavior, ...[props.orderedCacheBehaviors ?? []].flat()];
  const viewers = behaviors.map((behavior) => at(behavior, "viewerProtocolPolicy"));
  if (viewers.some((policy) => policy !== "https-only" && policy !== "redirect-to-https")) return "it answers http";
  const origins = [props.origins ?? []].flat().map((origin) => at(origin, "customOriginConfig.originProtocolPolicy"));
  return origins.every((policy) => policy === "https-only") ? undefined : "it may call its origin with http";
}

function wildcardProblem({ type, props }: StackResource): string | undefined {
  if (IAM_ATTACHMENT.test(type)) return `it attaches ${props.policyArn}`;
  if (IAM_POLICY.test(type)) return wildcardIn(props.policy);
  if (type !== ROLE) return undefined;
  const [attached] = texts(props.managedPolicyArns);
  if (attached !== undefined) return `it attaches ${attached}`;
  const inline = [props.inlinePolicies ?? []].flat().map((each) => at(each, "policy") ?? "{}");
  return inline.map(wildcardIn).find(Boolean);
}

function wildcardIn(document: unknown): string | undefined {
  for (const { Effect, Action, Resource, NotAction, NotResource } of statementsOf(document)) {
    if (Effect === "Deny") continue;
    if (NotAction ?? NotResource) return "it uses NotAction or NotResource";
    for (const action of texts(Action)) {
      const unknown = texts(Resource).find((each) => isWildcard(action, each) && !reasonOf(action, each));
      if (unknown !== undefined) return `it allows ${action} on ${unknown}`;
    }
  }
  return undefined;
}

function trustProblem({ type, props }: StackResource): string | undefined {
  if (type !== ROLE) return undefined;
  for (const { Principal, Condition } of statementsOf(props.assumeRolePolicy)) {
    const kinds = typeof Principal === "object" && Principal !== null ? Object.keys(Principal) : [];
    if (kinds.length !== 1 || kinds[0] !== "Service") return "a principal other than an AWS service may assume it";
    const isScoped = ["SourceAccount", "SourceArn"].some((key) => at(Condition, `StringEquals.aws:${key}`));
    if (texts(at(Principal, "Service")).includes("scheduler.amazonaws.com") && !isScoped)
      return "a schedule of any account may assume it";
  }
  return undefined;
}

/** A URL without authorization needs both permissions for everybody, or AWS answers 403. */
function missingPermissions(resources: StackResource[]): Problem[] {
  const urls = resources.filter(({ type, props }) => type === FUNCTION_URL && props.authorizationType === "NONE");
  return urls.flatMap((resource) => {
    const permissions = resources.filter(
      ({ type, props }) =>
        type === PERMISSION && props.principal === "*" && props.function === resource.props.functionName,
    );
    const has = (action: string, flag: string, value: unknown) =>
      permissions.some(({ props }) => props.action === action && props[flag] === value);
    const problems = [
      ...(has("lambda:InvokeFunctionUrl", "functionUrlAuthType", "NONE") ? [] : ["lambda:InvokeFunctionUrl"]),
      ...(has("lambda:InvokeFunction", "invokedViaFunctionUrl", true) ? [] : ["lambda:InvokeFunction"]),
    ];
    return problems.map((action) => ({ resource, problem: `it has no permission for ${action}` }));
  });
}

function corsProblem({ type, props }: StackResource): string | undefined {
  const cors = type === FUNCTION_URL ? props.cors : type === "aws:apigatewayv2/api:Api" ? props.corsConfiguration : {};
  const isSafe = (origin: string) =>
    /^https:\/\/[^*]+$/.test(origin) || /^http:\/\/(localhost|127\.0\.0\.1)(:\d+)?$/.test(origin);
  const bad = texts(at(cors, "allowOrigins")).find((origin) => !isSafe(origin));
  return bad === undefined ? undefined : `it allows the origin ${bad}`;
}

/** Flows of Cognito's API that accept no password. `ALLOW_USER_AUTH` accepts one. */
const flowsWithoutPassword = ["ALLOW_CUSTOM_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"];

function signInProblem({ type, props }: StackResource): string | undefined {
  if (type === "aws:cognito/userPool:UserPool") {
    const custom = [props.schemas ?? []].flat().find((schema) => at(schema, "mutable") !== false);
    return custom ? `its users may change the attribute ${at(custom, "name")}` : undefined;
  }
  if (type !== "aws:cognito/userPoolClient:UserPoolClient") return undefined;
  if (texts(props.allowedOauthFlows).some((flow) => flow !== "code")) return "it allows an OAuth flow other than code";
  // Without a list, Cognito accepts passwords.
  const flows = texts(props.explicitAuthFlows);
  if (flows.length === 0 || flows.some((flow) => !flowsWithoutPassword.includes(flow)))
    return "its API accepts passwords outside the hosted pages";
  if (props.preventUserExistenceErrors !== "ENABLED") return "it tells strangers which users exist";
  return texts(props.writeAttributes).some((name) => name.startsWith("custom:"))
    ? "its users may change custom attributes"
    : undefined;
}

/** Rules about who may do what. */
export const accessRules: Rule[] = [
  {
    name: "named-public-addresses",
    description: "Only the relay's URL, the guest's route and Stripe's webhook are open to everybody.",
    advice: "Add an authorizer, or add the address to policy/rules/access.ts after a review.",
    check: publicProblem,
  },
  {
    name: "distribution-origins",
    description: "A distribution serves only the relay's URL.",
    advice: "Serve nothing else, or add the function to policy/rules/access.ts after a review.",
    checkStack: otherOrigins,
  },
  {
    name: "tls-of-domains",
    description: "The host names of the configuration accept only https with TLS 1.2 or newer.",
    advice: "Set the protocol and its version as infra/api.ts and infra/relay.ts do.",
    check: tlsProblem,
  },
  {
    name: "function-url-permissions",
    description: "A public function URL has both permissions that AWS needs: InvokeFunctionUrl and InvokeFunction.",
    advice: "Create both permissions, as infra/relay.ts does. Without one of them AWS answers 403.",
    checkStack: missingPermissions,
  },
  {
    name: "no-unknown-wildcards",
    description: "IAM policies name their actions and resources. The few wildcards that AWS needs are listed.",
    advice: "Name the resource, or add the wildcard with its reason to policy/knownWildcards.ts.",
    check: wildcardProblem,
  },
  {
    name: "trusted-services",
    description: "Only AWS services assume the roles, and the scheduler only for this account.",
    advice: "Name the service as the principal; for the scheduler add the condition aws:SourceAccount.",
    check: trustProblem,
  },
  {
    name: "cors-origins",
    description: "Only https origins, and localhost, may read the answers of the API and the relay.",
    advice: "List the exact origins in frontend.origins.",
    check: corsProblem,
  },
  {
    name: "sign-in",
    description: "Customers sign in at the hosted pages, and cannot change attributes that decide about their plan.",
    advice:
      "Keep the OAuth flow code and the client's settings from infra/identity.ts. Store plans in the users table.",
    check: signInProblem,
  },
];
