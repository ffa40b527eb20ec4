import { CLOUDFRONT_REGION, stackNames } from "../../names";

/** The stack for which a policy is made. */
export interface Scope {
  /** `aws` outside of China and the US government's Regions. */
  partition: string;
  stack: string;
  region: string;
  accountId: string;
}

/** The AWS actions with which Pulumi manages one type of resource. */
interface DeployedType {
  /** Actions of a preview with refresh, and of every update. */
  read: string[];
  /** Actions that create, update and delete the resource. */
  write: string[];
  /** Actions that read a secret. A role that only previews does not get them. */
  readSecret?: string[];
  /** ARNs, limited to the stack's names where AWS allows it. */
  resources: (scope: Scope) => string[];
  /**
   * Actions that IAM cannot restrict to these resources, or that name their resource only after its creation. Their
   * resource is `*`.
   */
  anywhere?: string[];
  /** Condition for the actions on `resources`. */
  condition?: (scope: Scope) => Record<string, Record<string, string | string[]>>;
  /** Actions with another condition. */
  also?: DeployedType[];
}

const arn = (service: string, resource: (prefix: string) => string) => (scope: Scope) => [
  `arn:${scope.partition}:${service}:${scope.region}:${scope.accountId}:${resource(stackNames(scope.stack).prefix)}`,
];
const logGroups = (scope: Scope) => {
  const { prefix, accessLog } = stackNames(scope.stack);
  return [`${prefix}-*`, accessLog].map(
    (name) => `arn:${scope.partition}:logs:${scope.region}:${scope.accountId}:log-group:${name}:*`,
  );
};
const functions = arn("lambda", (prefix) => `function:${prefix}-*`);
const alarms = arn("cloudwatch", (prefix) => `alarm:${prefix}-*`);
const topics = arn("sns", (prefix) => `${prefix}-*`);
const repositories = arn("ecr", (prefix) => `repository/${prefix}-*`);
const roles = ({ partition, accountId, stack }: Scope) => [
  `arn:${partition}:iam::${accountId}:role/${stackNames(stack).prefix}-*`,
];
/** AWS chooses the ids of APIs. API Gateway knows no other names. */
const apiPaths =
  (...paths: string[]) =>
  ({ partition, region }: Scope) =>
    paths.map((path) => `arn:${partition}:apigateway:${region}::/${path}`);
const apis = apiPaths("apis", "apis/*");
/** AWS chooses the ids of user pools, so their tags limit the actions. */
const pools = arn("cognito-idp", () => "userpool/*");
/** AWS chooses the ids of certificates. Those of CloudFront are in us-east-1. */
const certificates = ({ partition, region, accountId }: Scope) =>
  [...new Set([region, CLOUDFRONT_REGION])].map((each) => `arn:${partition}:acm:${each}:${accountId}:certificate/*`);
const distributions = ({ partition, accountId }: Scope) => [`arn:${partition}:cloudfront::${accountId}:distribution/*`];
const ofStack = ({ stack }: Scope) => ({ StringEquals: { "aws:ResourceTag/stack": stack } });
const notOfOthers = ({ stack }: Scope) => ({ StringEqualsIfExists: { "aws:ResourceTag/stack": stack } });
/** A new resource must get the stack's tag. */
const taggedForStack = ({ stack }: Scope) => ({ StringEquals: { "aws:RequestTag/stack": stack } });
const nothing = () => [];
const everything = () => ["*"];
/**
 * Sets the tags of a resource that belongs to the stack, or that has no tag `stack`. The tag `stack` can only get the name
 * of the stack. IAM cannot tell a new resource from another resource without this tag.
 */
const tagging = (...write: string[]): DeployedType => ({
  read: [],
  write,
  resources: everything,
  condition: ({ stack }) => ({
    StringEqualsIfExists: { "aws:RequestTag/stack": stack, "aws:ResourceTag/stack": stack },
  }),
});

/** Creates the role with which an AWS service works in the account, if the account does not have it yet. */
const serviceRole = (service: string, role: string): DeployedType => ({
  read: [],
  write: ["iam:CreateServiceLinkedRole"],
  resources: ({ partition, accountId }) => [
    `arn:${partition}:iam::${accountId}:role/aws-service-role/${service}/${role}`,
  ],
  condition: () => ({ StringEquals: { "iam:AWSServiceName": service } }),
});

const alarmTags = ["cloudwatch:TagResource", "cloudwatch:UntagResource"];
const alarm = (writeOne: string[], writeAnywhere: string[]): DeployedType => ({
  read: ["cloudwatch:ListTagsForResource"],
  write: [...writeOne, "cloudwatch:DeleteAlarms", ...alarmTags],
  anywhere: ["cloudwatch:DescribeAlarms", ...writeAnywhere],
  resources: alarms,
});
const apiPart: DeployedType = {
  read: ["apigateway:GET"],
  write: ["apigateway:POST", "apigateway:PATCH", "apigateway:DELETE"],
  resources: apis,
};
/** RunPod and Stripe are not AWS, and a ticket key exists only in the state. */
const notAtAws: DeployedType = { read: [], write: [], resources: nothing };

/**
 * The types of the program, and the actions for each. Sources: the calls of each resource in the AWS provider
 * (github.com/hashicorp/terraform-provider-aws, internal/service), compared with the `handlers` of the type in
 * CloudFormation's registry; whether an action has a resource: the Service Authorization Reference
 * (https://docs.aws.amazon.com/service-authorization/latest/reference/).
 */
export const deployedTypes: Record<string, DeployedType> = {
  "aws:acm/certificate:Certificate": {
    read: ["acm:DescribeCertificate", "acm:ListTagsForCertificate"],
    write: ["acm:UpdateCertificateOptions", "acm:DeleteCertificate", "acm:RemoveTagsFromCertificate"],
    resources: certificates,
    condition: ofStack,
    also: [
      {
        read: [],
        write: ["acm:RequestCertificate"],
        resources: everything,
        condition: taggedForStack,
      },
      tagging("acm:AddTagsToCertificate"),
    ],
  },
  "aws:acm/certificateValidation:CertificateValidation": {
    read: ["acm:DescribeCertificate"],
    write: [],
    resources: certificates,
    condition: ofStack,
  },
  "aws:apigatewayv2/api:Api": {
    read: ["apigateway:GET"],
    write: ["apigateway:POST", "apigateway:PUT", "apigateway:PATCH", "apigateway:DELETE", "apigateway:TagResource"],
    resources: apiPaths("apis", "apis/*", "tags/*"),
  },
  "aws:apigatewayv2/apiMapping:ApiMapping": { ...apiPart, resources: apiPaths("domainnames/*") },
  "aws:apigatewayv2/authorizer:Authorizer": apiPart,
  "aws:apigatewayv2/domainName:DomainName": {
    ...apiPart,
    resources: apiPaths("domainnames", "domainnames/*"),
    // https://docs.aws.amazon.com/apigateway/latest/developerguide/using-service-linked-roles.html
    also: [serviceRole("ops.apigateway.amazonaws.com", "AWSServiceRoleForAPIGateway")],
  },
  "aws:apigatewayv2/integration:Integration": apiPart,
  "aws:apigatewayv2/route:Route": apiPart,
  "aws:apigatewayv2/stage:Stage": {
    ...apiPart,
    // API Gateway creates the delivery of the access log with the deployer's permissions:
    // https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html
    anywhere: [
      "logs:CreateLogDelivery",
      "logs:GetLogDelivery",
      "logs:UpdateLogDelivery",
      "logs:DeleteLogDelivery",
      "logs:ListLogDeliveries",
      "logs:PutResourcePolicy",
      "logs:DescribeResourcePolicies",
      "logs:DescribeLogGroups",
    ],
  },
  "aws:cloudfront/distribution:Distribution": {
    read: ["cloudfront:GetDistribution", "cloudfront:GetDistributionConfig", "cloudfront:ListTagsForResource"],
    write: ["cloudfront:UpdateDistribution", "cloudfront:DeleteDistribution", "cloudfront:UntagResource"],
    anywhere: ["cloudfront:CreateDistribution"],
    resources: distributions,
    condition: ofStack,
    also: [tagging("cloudfront:TagResource")],
  },
  // AWS refuses PutCompositeAlarm when the permission names alarms:
  // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
  "aws:cloudwatch/compositeAlarm:CompositeAlarm": alarm([], ["cloudwatch:PutCompositeAlarm"]),
  "aws:cloudwatch/dashboard:Dashboard": {
    read: ["cloudwatch:GetDashboard"],
    write: ["cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards"],
    resources: ({ partition, accountId, stack }) => [
      `arn:${partition}:cloudwatch::${accountId}:dashboard/${stackNames(stack).prefix}`,
    ],
  },
  "aws:cloudwatch/logGroup:LogGroup": {
    read: ["logs:ListTagsForResource"],
    write: [
      "logs:CreateLogGroup",
      "logs:DeleteLogGroup",
      "logs:PutRetentionPolicy",
      "logs:DeleteRetentionPolicy",
      "logs:TagResource",
      "logs:UntagResource",
    ],
    anywhere: ["logs:DescribeLogGroups"],
    resources: (scope) => logGroups(scope).flatMap((group) => [group, group.replace(/:\*$/, "")]),
  },
  "aws:cloudwatch/logMetricFilter:LogMetricFilter": {
    read: ["logs:DescribeMetricFilters"],
    write: ["logs:PutMetricFilter", "logs:DeleteMetricFilter"],
    resources: logGroups,
  },
  "aws:cloudwatch/metricAlarm:MetricAlarm": alarm(["cloudwatch:PutMetricAlarm"], []),
  "aws:cloudwatch/queryDefinition:QueryDefinition": {
    read: [],
    write: [],
    anywhere: ["logs:DescribeQueryDefinitions", "logs:PutQueryDefinition", "logs:DeleteQueryDefinition"],
    resources: nothing,
  },
  "aws:cognito/managedLoginBranding:ManagedLoginBranding": {
    read: ["cognito-idp:DescribeManagedLoginBranding", "cognito-idp:DescribeManagedLoginBrandingByClient"],
    write: [
      "cognito-idp:CreateManagedLoginBranding",
      "cognito-idp:UpdateManagedLoginBranding",
      "cognito-idp:DeleteManagedLoginBranding",
    ],
    resources: pools,
    condition: ofStack,
  },
  "aws:cognito/userPool:UserPool": {
    read: ["cognito-idp:DescribeUserPool", "cognito-idp:GetUserPoolMfaConfig", "cognito-idp:ListTagsForResource"],
    write: [
      "cognito-idp:UpdateUserPool",
      "cognito-idp:SetUserPoolMfaConfig",
      "cognito-idp:DeleteUserPool",
      "cognito-idp:UntagResource",
    ],
    anywhere: ["cognito-idp:CreateUserPool"],
    resources: pools,
    condition: ofStack,
    // Cognito sends e-mail through SES with a service-linked role:
    // https://docs.aws.amazon.com/cognito/latest/developerguide/using-service-linked-roles.html
    also: [
      tagging("cognito-idp:TagResource"),
      serviceRole("email.cognito-idp.amazonaws.com", "AWSServiceRoleForAmazonCognitoIdpEmailService"),
    ],
  },
  "aws:cognito/userPoolClient:UserPoolClient": {
    read: ["cognito-idp:DescribeUserPoolClient"],
    write: ["cognito-idp:CreateUserPoolClient", "cognito-idp:UpdateUserPoolClient", "cognito-idp:DeleteUserPoolClient"],
    resources: pools,
    condition: ofStack,
  },
  "aws:cognito/userPoolDomain:UserPoolDomain": {
    read: [],
    write: ["cognito-idp:CreateUserPoolDomain", "cognito-idp:UpdateUserPoolDomain", "cognito-idp:DeleteUserPoolDomain"],
    anywhere: ["cognito-idp:DescribeUserPoolDomain"],
    resources: pools,
    condition: ofStack,
    // A domain with a certificate is a distribution in an account of AWS:
    // https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-add-custom-domain.html
    also: [{ read: [], write: ["cloudfront:UpdateDistribution"], resources: everything, condition: notOfOthers }],
  },
  "aws:dynamodb/table:Table": {
    read: [
      "dynamodb:DescribeTable",
      "dynamodb:DescribeContinuousBackups",
      "dynamodb:DescribeTimeToLive",
      "dynamodb:ListTagsOfResource",
    ],
    write: [
      "dynamodb:CreateTable",
      "dynamodb:UpdateTable",
      "dynamodb:DeleteTable",
      "dynamodb:UpdateContinuousBackups",
      "dynamodb:UpdateTimeToLive",
      "dynamodb:TagResource",
      "dynamodb:UntagResource",
    ],
    resources: arn("dynamodb", (prefix) => `table/${prefix}-*`),
  },
  "aws:ecr/lifecyclePolicy:LifecyclePolicy": {
    read: ["ecr:GetLifecyclePolicy"],
    write: ["ecr:PutLifecyclePolicy", "ecr:DeleteLifecyclePolicy"],
    resources: repositories,
  },
  "aws:ecr/repository:Repository": {
    // The program reads the digest of `pushedTag`.
    read: ["ecr:DescribeRepositories", "ecr:ListTagsForResource", "ecr:DescribeImages"],
    write: [
      "ecr:CreateRepository",
      "ecr:DeleteRepository",
      "ecr:PutImageTagMutability",
      "ecr:PutImageScanningConfiguration",
      "ecr:BatchDeleteImage",
      "ecr:ListImages",
      "ecr:TagResource",
      "ecr:UntagResource",
    ],
    resources: repositories,
  },
  "aws:iam/role:Role": {
    read: ["iam:GetRole", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies"],
    write: [
      "iam:CreateRole",
      "iam:UpdateRole",
      "iam:UpdateAssumeRolePolicy",
      "iam:ListInstanceProfilesForRole",
      "iam:DeleteRole",
      "iam:TagRole",
      "iam:UntagRole",
      // A change of the stack's permissionsBoundary. The boundary of ops/github allows only itself.
      "iam:PutRolePermissionsBoundary",
    ],
    resources: roles,
    also: [
      {
        read: [],
        write: ["iam:PassRole"],
        resources: roles,
        condition: () => ({
          StringEquals: { "iam:PassedToService": ["lambda.amazonaws.com", "scheduler.amazonaws.com"] },
        }),
      },
    ],
  },
  "aws:iam/rolePolicy:RolePolicy": {
    read: ["iam:GetRolePolicy"],
    write: ["iam:PutRolePolicy", "iam:DeleteRolePolicy"],
    resources: roles,
  },
  "aws:lambda/function:Function": {
    read: [
      "lambda:GetFunction",
      "lambda:GetFunctionConfiguration",
      "lambda:GetFunctionCodeSigningConfig",
      "lambda:GetFunctionConcurrency",
      "lambda:ListVersionsByFunction",
      "lambda:ListTags",
    ],
    write: [
      "lambda:CreateFunction",
      "lambda:UpdateFunctionCode",
      "lambda:UpdateFunctionConfiguration",
      "lambda:PutFunctionConcurrency",
      "lambda:DeleteFunctionConcurrency",
      "lambda:DeleteFunction",
      "lambda:TagResource",
      "lambda:UntagResource",
    ],
    resources: functions,
  },
  "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": {
    read: ["lambda:GetFunctionEventInvokeConfig"],
    write: [
      "lambda:PutFunctionEventInvokeConfig",
      "lambda:UpdateFunctionEventInvokeConfig",
      "lambda:DeleteFunctionEventInvokeConfig",
    ],
    resources: functions,
  },
  "aws:lambda/functionUrl:FunctionUrl": {
    read: ["lambda:GetFunctionUrlConfig"],
    write: [
      "lambda:CreateFunctionUrlConfig",
      "lambda:UpdateFunctionUrlConfig",
      "lambda:DeleteFunctionUrlConfig",
      // The AWS provider adds a permission to a public URL by itself.
      "lambda:AddPermission",
    ],
    resources: functions,
  },
  "aws:lambda/invocation:Invocation": { read: [], write: ["lambda:InvokeFunction"], resources: functions },
  "aws:lambda/permission:Permission": {
    read: ["lambda:GetPolicy"],
    write: ["lambda:AddPermission", "lambda:RemovePermission"],
    resources: functions,
  },
  "aws:route53/record:Record": {
    read: ["route53:GetHostedZone", "route53:ListResourceRecordSets"],
    write: ["route53:ChangeResourceRecordSets"],
    anywhere: ["route53:GetChange"],
    // The zone is in the stack's configuration. The condition protects its other records, such as those of e-mail:
    // https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/specifying-conditions-route53.html
    resources: ({ partition }) => [`arn:${partition}:route53:::hostedzone/*`],
    condition: () => ({
      "ForAllValues:StringEquals": { "route53:ChangeResourceRecordSetsRecordTypes": ["A", "AAAA", "CNAME"] },
    }),
  },
  "aws:scheduler/schedule:Schedule": {
    read: ["scheduler:GetSchedule"],
    write: ["scheduler:CreateSchedule", "scheduler:UpdateSchedule", "scheduler:DeleteSchedule"],
    resources: arn("scheduler", (prefix) => `schedule/default/${prefix}-*`),
  },
  "aws:sns/topic:Topic": {
    read: ["sns:GetTopicAttributes", "sns:ListTagsForResource"],
    write: ["sns:CreateTopic", "sns:SetTopicAttributes", "sns:DeleteTopic", "sns:TagResource", "sns:UntagResource"],
    resources: topics,
  },
  "aws:sns/topicSubscription:TopicSubscription": {
    read: [],
    write: ["sns:Subscribe"],
    anywhere: ["sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes", "sns:Unsubscribe"],
    resources: topics,
  },
  "aws:sqs/queue:Queue": {
    read: ["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueueTags"],
    write: ["sqs:CreateQueue", "sqs:SetQueueAttributes", "sqs:DeleteQueue", "sqs:TagQueue", "sqs:UntagQueue"],
    resources: arn("sqs", (prefix) => `${prefix}-*`),
  },
  "aws:ssm/parameter:Parameter": {
    read: ["ssm:ListTagsForResource"],
    readSecret: ["ssm:GetParameter", "ssm:GetParameters"],
    write: ["ssm:PutParameter", "ssm:DeleteParameter", "ssm:AddTagsToResource", "ssm:RemoveTagsFromResource"],
    anywhere: ["ssm:DescribeParameters"],
    resources: ({ partition, region, accountId, stack }) => [
      `arn:${partition}:ssm:${region}:${accountId}:parameter${stackNames(stack).parameters.runpodApiKey.replace(/[^/]+$/, "*")}`,
    ],
    also: [
      {
        // The program keeps what the running stack has written into a candidate's parameter.
        read: ["ssm:GetParametersByPath"],
        write: [],
        resources: ({ partition, region, accountId, stack }) => [
          `arn:${partition}:ssm:${region}:${accountId}:parameter${stackNames(stack).parameters.candidates}`,
        ],
      },
    ],
  },
  "docker-build:index:Image": {
    read: ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
    write: [
      "ecr:BatchCheckLayerAvailability",
      "ecr:InitiateLayerUpload",
      "ecr:UploadLayerPart",
      "ecr:CompleteLayerUpload",
      "ecr:PutImage",
    ],
    anywhere: ["ecr:GetAuthorizationToken"],
    resources: repositories,
  },
  "pulumi-nodejs:dynamic/runpod:Endpoint": notAtAws,
  "pulumi-nodejs:dynamic/runpod:RegistryAuth": notAtAws,
  "pulumi-nodejs:dynamic/runpod:Secret": notAtAws,
  "pulumi-nodejs:dynamic/runpod:Template": notAtAws,
  "pulumi-nodejs:dynamic/stripe:WebhookEndpoint": notAtAws,
  "pulumi-nodejs:dynamic/stripe:WebhookSecrets": notAtAws,
  "pulumi-nodejs:dynamic/tickets:TicketKey": notAtAws,
};
