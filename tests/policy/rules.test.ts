import { describe, expect, it } from "vitest";
import type { StackResource } from "../../policy/rule";
import { problemsOf, rules } from "../../policy/rules";

/** One resource, or several that belong together. */
type Example = StackResource[];

const one = (type: string, props: Record<string, unknown>, isProtected = false): Example => [
  { type, name: "example", props, isProtected },
];
const policy = (...Statement: object[]) => JSON.stringify({ Version: "2012-10-17", Statement });
const allow = (Action: string, Resource: string) => ({ Effect: "Allow", Action: [Action], Resource: [Resource] });
const trust = (Principal: unknown, Condition?: object) =>
  policy({ Effect: "Allow", Action: "sts:AssumeRole", Principal, Condition });

const TABLE = "aws:dynamodb/table:Table";
const POOL = "aws:cognito/userPool:UserPool";
const CLIENT = "aws:cognito/userPoolClient:UserPoolClient";
const REPOSITORY = "aws:ecr/repository:Repository";
const QUEUE = "aws:sqs/queue:Queue";
const ROUTE = "aws:apigatewayv2/route:Route";
const URL = "aws:lambda/functionUrl:FunctionUrl";
const PERMISSION = "aws:lambda/permission:Permission";
const ROLE = "aws:iam/role:Role";
const ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy";
const DISTRIBUTION = "aws:cloudfront/distribution:Distribution";
const DOMAIN = "aws:apigatewayv2/domainName:DomainName";
const PARAMETER = "aws:ssm/parameter:Parameter";
const FUNCTION = "aws:lambda/function:Function";
const GROUP = "aws:cloudwatch/logGroup:LogGroup";
const ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm";
const COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm";
const SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription";

const client = {
  allowedOauthFlows: ["code"],
  explicitAuthFlows: ["ALLOW_CUSTOM_AUTH"],
  preventUserExistenceErrors: "ENABLED",
};
const relayUrl = one(URL, { functionName: "snack-misaki-dev-relay", authorizationType: "NONE" });
const everybody = { function: "snack-misaki-dev-relay", principal: "*" };
const urlPermission = one(PERMISSION, {
  ...everybody,
  action: "lambda:InvokeFunctionUrl",
  functionUrlAuthType: "NONE",
});
const invokePermission = one(PERMISSION, {
  ...everybody,
  action: "lambda:InvokeFunction",
  invokedViaFunctionUrl: true,
});
const relayHost = "abc.lambda-url.ap-northeast-1.on.aws";
const servedUrl = one(URL, { functionName: "snack-misaki-dev-relay", functionUrl: `https://${relayHost}/` });
const distribution = {
  origins: [{ domainName: relayHost, customOriginConfig: { originProtocolPolicy: "https-only" } }],
  defaultCacheBehavior: { viewerProtocolPolicy: "https-only" },
  viewerCertificate: { minimumProtocolVersion: "TLSv1.2_2021" },
};
const lambda = {
  name: "snack-misaki-dev-plan-1a2b3c4",
  runtime: "nodejs24.x",
  timeout: 10,
  loggingConfig: { logFormat: "JSON", logGroup: "plan-1a2b3c4" },
};
const alarm = {
  name: "a",
  alarmDescription: "It failed. Runbook: docs/operations.md#a",
  treatMissingData: "notBreaching",
  alarmActions: ["arn:aws:sns:x"],
};
const own = { project: "snack-misaki", stack: "dev" };

/** For each rule: examples that follow the rule, and examples that break the rule, with the reported problem. */
const examples: Record<string, { follow: Example[]; break: [Example, RegExp][] }> = {
  "table-deletion-protection": {
    follow: [one(TABLE, { deletionProtectionEnabled: true }, true), one(TABLE, { ttl: { enabled: true } })],
    break: [
      [one(TABLE, {}, true), /deletionProtectionEnabled/],
      [one(TABLE, { deletionProtectionEnabled: true }), /protect/],
      [one(TABLE, { ttl: { enabled: false } }), /deletionProtectionEnabled/],
    ],
  },
  "table-point-in-time-recovery": {
    follow: [one(TABLE, { pointInTimeRecovery: { enabled: true } }), one(TABLE, { ttl: { enabled: true } })],
    break: [
      [one(TABLE, {}), /not enabled/],
      [one(TABLE, { pointInTimeRecovery: { enabled: false } }), /not enabled/],
    ],
  },
  "user-pool-deletion-protection": {
    follow: [one(POOL, { deletionProtection: "ACTIVE" }, true)],
    break: [
      [one(POOL, { deletionProtection: "INACTIVE" }, true), /not ACTIVE/],
      [one(POOL, { deletionProtection: "ACTIVE" }), /protect/],
    ],
  },
  "image-repository": {
    follow: [one(REPOSITORY, { imageScanningConfiguration: { scanOnPush: true }, imageTagMutability: "IMMUTABLE" })],
    break: [
      [one(REPOSITORY, { imageTagMutability: "IMMUTABLE" }), /not scanned/],
      [one(REPOSITORY, { imageScanningConfiguration: { scanOnPush: true } }), /mutable/],
    ],
  },
  "queue-encryption": {
    follow: [one(QUEUE, { sqsManagedSseEnabled: true }), one(QUEUE, { kmsMasterKeyId: "alias/aws/sqs" })],
    break: [[one(QUEUE, { sqsManagedSseEnabled: false }), /not encrypted/]],
  },
  "named-public-addresses": {
    follow: [
      relayUrl,
      urlPermission,
      one(ROUTE, { routeKey: "POST /auth/guest" }),
      one(ROUTE, { routeKey: "GET /billing/plan", authorizationType: "JWT" }),
      one(ROLE, { assumeRolePolicy: trust({ Service: "lambda.amazonaws.com" }) }),
      one(QUEUE, {}),
    ],
    break: [
      [one(URL, { functionName: "snack-misaki-dev-admin", authorizationType: "NONE" }), /admin/],
      [one(PERMISSION, { ...everybody, function: "snack-misaki-dev-admin" }), /everybody may call/],
      [one(PERMISSION, { ...everybody, action: "lambda:InvokeFunction" }), /without its URL/],
      [one(PERMISSION, { ...everybody, action: "lambda:*", invokedViaFunctionUrl: true }), /without its URL/],
      [one(QUEUE, { policy: policy({ Effect: "Allow", Action: "sqs:*", NotPrincipal: { AWS: "1" } }) }), /everybody/],
      [one(ROUTE, { routeKey: "GET /billing/plan", authorizationType: "NONE" }), /no authorizer/],
      [one(ROUTE, { routeKey: "GET /billing/plan" }), /no authorizer/],
      [one(QUEUE, { policy: policy({ Effect: "Allow", Action: "sqs:*", Principal: "*" }) }), /everybody/],
      [one(ROLE, { assumeRolePolicy: trust({ AWS: "*" }) }), /everybody/],
    ],
  },
  "distribution-origins": {
    follow: [[...servedUrl, ...one(DISTRIBUTION, distribution)], servedUrl],
    break: [
      [one(DISTRIBUTION, distribution), /opens abc\.lambda-url/],
      [[...servedUrl, ...one(DISTRIBUTION, { origins: [{ domainName: "b.s3.amazonaws.com" }] })], /b\.s3/],
    ],
  },
  "tls-of-domains": {
    follow: [
      one(DISTRIBUTION, distribution),
      one(DOMAIN, { domainNameConfiguration: { securityPolicy: "TLS_1_2" } }),
      one(URL, {}),
    ],
    break: [
      [one(DOMAIN, { domainNameConfiguration: { securityPolicy: "TLS_1_0" } }), /TLS_1_0/],
      [one(DISTRIBUTION, { ...distribution, viewerCertificate: {} }), /minimumProtocolVersion is undefined/],
      [
        one(DISTRIBUTION, { ...distribution, defaultCacheBehavior: { viewerProtocolPolicy: "allow-all" } }),
        /answers http/,
      ],
      [one(DISTRIBUTION, { ...distribution, origins: [{ domainName: relayHost }] }), /origin with http/],
    ],
  },
  "function-url-permissions": {
    follow: [
      [...relayUrl, ...urlPermission, ...invokePermission],
      one(URL, { functionName: "f", authorizationType: "AWS_IAM" }),
    ],
    break: [
      [[...relayUrl, ...urlPermission], /lambda:InvokeFunction$/],
      [[...relayUrl, ...invokePermission], /lambda:InvokeFunctionUrl$/],
    ],
  },
  "no-unknown-wildcards": {
    follow: [
      one(ROLE_POLICY, { policy: policy(allow("ecr:GetAuthorizationToken", "*")) }),
      one(ROLE_POLICY, { policy: policy(allow("logs:PutLogEvents", "arn:aws:logs:x:1:log-group:plan:*")) }),
      one(ROLE_POLICY, { policy: policy(allow("dynamodb:GetItem", "arn:aws:dynamodb:x:1:table/users")) }),
      one(ROLE, { managedPolicyArns: [], inlinePolicies: [{}] }),
    ],
    break: [
      [one(ROLE_POLICY, { policy: policy(allow("dynamodb:*", "arn:aws:dynamodb:x:1:table/users")) }), /dynamodb:\*/],
      [one(ROLE_POLICY, { policy: policy(allow("ssm:GetParameters", "*")) }), /ssm:GetParameters on \*/],
      [one(ROLE_POLICY, { policy: policy(allow("logs:PutLogEvents", "arn:aws:logs:x:1:log-group:*")) }), /PutLog/],
      [one(ROLE_POLICY, { policy: policy({ Effect: "Allow", NotAction: "iam:*", Resource: "*" }) }), /NotAction/],
      [
        one("aws:iam/rolePolicyAttachment:RolePolicyAttachment", { policyArn: "arn:aws:iam::aws:policy/A" }),
        /attaches/,
      ],
      [one("aws:iam/policyAttachment:PolicyAttachment", { policyArn: "arn:aws:iam::aws:policy/A" }), /attaches/],
      [one("aws:iam/userPolicy:UserPolicy", { policy: policy(allow("s3:*", "*")) }), /s3:\* on \*/],
      [one(ROLE, { managedPolicyArns: ["arn:aws:iam::aws:policy/AdministratorAccess"] }), /attaches .*Administrator/],
      [one(ROLE, { inlinePolicies: [{ name: "all", policy: policy(allow("s3:*", "*")) }] }), /s3:\* on \*/],
    ],
  },
  "trusted-services": {
    follow: [
      one(ROLE, { assumeRolePolicy: trust({ Service: "lambda.amazonaws.com" }) }),
      one(ROLE, {
        assumeRolePolicy: trust({ Service: "scheduler.amazonaws.com" }, { StringEquals: { "aws:SourceAccount": "1" } }),
      }),
    ],
    break: [
      [one(ROLE, { assumeRolePolicy: trust({ AWS: "arn:aws:iam::2:root" }) }), /other than an AWS service/],
      [
        one(ROLE, { assumeRolePolicy: trust({ Service: "lambda.amazonaws.com", AWS: "arn:aws:iam::2:root" }) }),
        /other than an AWS service/,
      ],
      [one(ROLE, { assumeRolePolicy: trust({ Service: "scheduler.amazonaws.com" }) }), /any account/],
      [
        one(ROLE, {
          assumeRolePolicy: trust({ Service: "scheduler.amazonaws.com" }, { StringEquals: { "aws:x": "1" } }),
        }),
        /any account/,
      ],
    ],
  },
  "cors-origins": {
    follow: [
      one(URL, { cors: { allowOrigins: ["https://app.example", "http://localhost:5173"] } }),
      one("aws:apigatewayv2/api:Api", { corsConfiguration: { allowOrigins: ["https://app.example"] } }),
    ],
    break: [
      [one(URL, { cors: { allowOrigins: ["*"] } }), /origin \*/],
      [one("aws:apigatewayv2/api:Api", { corsConfiguration: { allowOrigins: ["http://app.example"] } }), /http:/],
      [one(URL, { cors: { allowOrigins: ["https://*.example"] } }), /\*\.example/],
    ],
  },
  "sign-in": {
    follow: [one(CLIENT, client), one(POOL, {}), one(POOL, { schemas: [{ name: "plan", mutable: false }] })],
    break: [
      [one(CLIENT, { ...client, allowedOauthFlows: ["code", "implicit"] }), /flow other than code/],
      [one(CLIENT, { ...client, explicitAuthFlows: ["ALLOW_USER_PASSWORD_AUTH"] }), /passwords/],
      [one(CLIENT, { ...client, explicitAuthFlows: ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_AUTH"] }), /passwords/],
      [one(CLIENT, { ...client, explicitAuthFlows: ["ADMIN_NO_SRP_AUTH"] }), /passwords/],
      [one(CLIENT, { ...client, explicitAuthFlows: [] }), /passwords/],
      [one(CLIENT, { ...client, preventUserExistenceErrors: "LEGACY" }), /which users exist/],
      [one(CLIENT, { ...client, writeAttributes: ["custom:plan"] }), /custom attributes/],
      [one(POOL, { schemas: [{ name: "plan", mutable: true }] }), /attribute plan/],
    ],
  },
  "encrypted-parameters": {
    follow: [
      one(PARAMETER, { name: "/snack-misaki/dev/stripe-api-key", type: "SecureString" }),
      one(PARAMETER, { name: "/snack-misaki/dev/registry-token-expiry", type: "String" }),
      one(PARAMETER, { name: "/snack-misaki/dev/candidates/mistral", type: "String" }),
    ],
    break: [[one(PARAMETER, { name: "/snack-misaki/dev/stripe-api-key", type: "String" }), /String/]],
  },
  "no-plain-secrets": {
    follow: [
      one(PARAMETER, { value: "rk_live_canary" }),
      one("docker-build:index:Image", { secrets: { HF_TOKEN: "hf_canary0" } }),
      one(FUNCTION, { environment: { variables: { KEY: "/snack-misaki/dev/stripe-api-key" } } }),
    ],
    break: [
      ...[
        "sk_live_canary",
        "rk_test_canary",
        "whsec_canary",
        "rpa_canary",
        "sk-ant-canary",
        "hf_canary0",
        "sk-svcacct-canary",
        "ghp_canary0",
        "github_pat_canary",
        "dckr_pat_canary",
      ].map((secret): [Example, RegExp] => [
        one(FUNCTION, { environment: { variables: { KEY: secret } } }),
        /^the input environment\.variables\.KEY contains a secret$/,
      ]),
      [one(FUNCTION, { code: { assets: { "__index.js": { text: "key='AKIAABCDEFGHIJKLMNOP'" } } } }), /code/],
      [one(PARAMETER, { description: "-----BEGIN PRIVATE KEY-----" }), /description/],
      [one("docker-build:index:Image", { buildArgs: { HF_TOKEN: "hf_canary0" } }), /buildArgs\.HF_TOKEN/],
    ],
  },
  "log-retention": {
    follow: [one(GROUP, { retentionInDays: 30 })],
    break: [
      [one(GROUP, {}), /do not expire/],
      [one(GROUP, { retentionInDays: 0 }), /do not expire/],
      [one(GROUP, { retentionInDays: 365 }), /do not expire/],
    ],
  },
  "function-runtime": {
    follow: [one(FUNCTION, lambda)],
    break: [
      [one(FUNCTION, { ...lambda, runtime: "nodejs20.x" }), /nodejs20/],
      [one(FUNCTION, { ...lambda, loggingConfig: undefined }), /JSON/],
      [one(FUNCTION, { ...lambda, loggingConfig: { logFormat: "JSON" } }), /never expire/],
    ],
  },
  "function-limits": {
    follow: [
      one(FUNCTION, lambda),
      one(FUNCTION, { ...lambda, name: "snack-misaki-dev-relay", reservedConcurrentExecutions: -1 }),
    ],
    break: [
      [one(FUNCTION, { ...lambda, timeout: undefined }), /no timeout/],
      [one(FUNCTION, { ...lambda, timeout: 900 }), /900 s/],
      [one(FUNCTION, { ...lambda, name: "snack-misaki-dev-relay" }), /concurrency/],
    ],
  },
  tags: {
    follow: [one(TABLE, { tagsAll: own }), one(ROLE_POLICY, {})],
    break: [
      [one(TABLE, { tagsAll: {} }), /project and stack/],
      [one(TABLE, { tagsAll: { project: "snack-misaki" } }), /tag stack/],
    ],
  },
  "alarm-descriptions": {
    follow: [one(ALARM, alarm), one(COMPOSITE, { ...alarm, treatMissingData: undefined })],
    break: [
      [one(ALARM, { ...alarm, alarmDescription: "It failed." }), /runbook/],
      [one(ALARM, { ...alarm, treatMissingData: undefined }), /missing data/],
    ],
  },
  "alarm-actions": {
    follow: [
      one(ALARM, alarm),
      [
        ...one(ALARM, { ...alarm, alarmActions: [] }),
        ...one(COMPOSITE, { alarmName: "c", alarmRule: 'ALARM("a")', alarmActions: ["arn:aws:sns:x"] }),
      ],
    ],
    break: [[one(ALARM, { ...alarm, alarmActions: [] }), /no message/]],
  },
  "encrypted-subscriptions": {
    follow: [one(SUBSCRIPTION, { protocol: "https" }), one(SUBSCRIPTION, { protocol: "email" })],
    break: [[one(SUBSCRIPTION, { protocol: "http" }), /http/]],
  },
};

describe.each(rules)("The rule $name", (rule) => {
  const { follow, break: broken } = examples[rule.name] ?? { follow: [], break: [] };

  it("accepts resources that follow the rule", () => {
    expect(follow.length).toBeGreaterThan(0);
    expect(follow.flatMap((example) => problemsOf(rule, example))).toEqual([]);
  });

  it("reports every example that breaks the rule", () => {
    expect(broken.length).toBeGreaterThan(0);
    for (const [example, problem] of broken) {
      const found = problemsOf(rule, example).map((each) => each.problem);
      expect(found, JSON.stringify(example)).toEqual([expect.stringMatching(problem)]);
    }
  });

  it("states the requirement and the next step", () => {
    expect(rule.description).toMatch(/\.$/);
    expect(rule.advice).toMatch(/\.$/);
  });
});
