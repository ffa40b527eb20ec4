import { stackNames } from "../../names";
import type { Place, Statement } from "./policies";

/**
 * Everything that `pulumi up` of a stack may do at AWS, except to read and write its state. Every name begins with the
 * stack's prefix. Actions on `*` are those for which AWS knows no resource, or creates its name itself.
 */
export function deployerStatements({ partition, region, account }: Place, stack: string): Statement[] {
  const { prefix, parameters, accessLog } = stackNames(stack);
  const arn = (service: string, resource: string) => `arn:${partition}:${service}:${region}:${account}:${resource}`;
  const global = (resource: string) => `arn:${partition}:iam::${account}:${resource}`;
  const allow = (Action: string[], ...Resource: string[]): Statement => ({ Effect: "Allow", Action, Resource });
  const roles = global(`role/${prefix}-*`);
  return [
    allow(["dynamodb:*"], arn("dynamodb", `table/${prefix}-*`)),
    allow(["lambda:*"], arn("lambda", `function:${prefix}-*`)),
    allow(
      ["logs:*"],
      arn("logs", `log-group:${prefix}-*`),
      arn("logs", `log-group:/aws/lambda/${prefix}-*`),
      arn("logs", `log-group:${accessLog}*`),
    ),
    allow(
      [
        "logs:DescribeLogGroups",
        "logs:PutQueryDefinition",
        "logs:DescribeQueryDefinitions",
        "logs:DeleteQueryDefinition",
        // API Gateway's access log.
        "logs:CreateLogDelivery",
        "logs:GetLogDelivery",
        "logs:UpdateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:DescribeResourcePolicies",
      ],
      "*",
    ),
    allow(
      ["cloudwatch:*"],
      arn("cloudwatch", `alarm:${prefix}-*`),
      `arn:${partition}:cloudwatch::${account}:dashboard/${prefix}`,
    ),
    allow(
      ["apigateway:GET", "apigateway:POST", "apigateway:PUT", "apigateway:PATCH", "apigateway:DELETE"],
      `arn:${partition}:apigateway:${region}::/apis`,
      `arn:${partition}:apigateway:${region}::/apis/*`,
      `arn:${partition}:apigateway:${region}::/tags/*`,
    ),
    allow(["cognito-idp:*"], arn("cognito-idp", "userpool/*")),
    allow(["cognito-idp:CreateUserPool", "cognito-idp:DescribeUserPoolDomain"], "*"),
    allow(["ssm:*"], arn("ssm", `parameter${parameters.runpodApiKey.replace(/[^/]+$/, "*")}`)),
    allow(["ssm:DescribeParameters"], "*"),
    allow(["sns:*"], arn("sns", `${prefix}-*`)),
    allow(["sqs:*"], arn("sqs", `${prefix}-*`)),
    allow(["scheduler:*"], arn("scheduler", `schedule/*/${prefix}-*`)),
    allow(["ecr:*"], arn("ecr", `repository/${prefix}-*`)),
    allow(["ecr:GetAuthorizationToken"], "*"),
    allow(
      [
        "iam:CreateRole",
        "iam:DeleteRole",
        "iam:GetRole",
        "iam:UpdateRole",
        "iam:UpdateAssumeRolePolicy",
        "iam:PutRolePermissionsBoundary",
        "iam:PutRolePolicy",
        "iam:GetRolePolicy",
        "iam:DeleteRolePolicy",
        "iam:ListRolePolicies",
        "iam:ListAttachedRolePolicies",
        "iam:ListInstanceProfilesForRole",
        "iam:ListRoleTags",
        "iam:TagRole",
        "iam:UntagRole",
      ],
      roles,
    ),
    {
      ...allow(["iam:PassRole"], roles),
      Condition: { StringEquals: { "iam:PassedToService": ["lambda.amazonaws.com", "scheduler.amazonaws.com"] } },
    },
    {
      // Cognito sends e-mail through SES with its own role.
      ...allow(
        ["iam:CreateServiceLinkedRole"],
        global("role/aws-service-role/email.cognito-idp.amazonaws.com/AWSServiceRoleForAmazonCognitoIdpEmailService"),
      ),
      Condition: { StringEquals: { "iam:AWSServiceName": "email.cognito-idp.amazonaws.com" } },
    },
  ];
}
