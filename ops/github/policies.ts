import { PROJECT } from "../../names";

/** One statement of an IAM policy. */
export interface Statement {
  Sid?: string;
  Effect: "Allow" | "Deny";
  Action: string[];
  Resource?: string[];
  NotResource?: string[];
  Condition?: Record<string, Record<string, string | string[]>>;
}

/** An AWS account and Region, as parts of ARNs. */
export interface Place {
  partition: string;
  region: string;
  account: string;
}

/** Beginning of the names of the roles and policies of this program. No deployment may change them. */
export const PIPELINE = `${PROJECT}-github`;

/** Host of GitHub's tokens, and name of their claims in a condition. */
export const GITHUB_ISSUER = "token.actions.githubusercontent.com";

/**
 * Trust policy for the jobs of one subject, such as `repo:owner/name:environment:prod`. GitHub puts the environment into
 * the token only after the approval.
 */
export function trustOf(providerArn: string, subject: string): string {
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Action: "sts:AssumeRoleWithWebIdentity",
        Principal: { Federated: providerArn },
        Condition: {
          StringEquals: { [`${GITHUB_ISSUER}:aud`]: "sts.amazonaws.com", [`${GITHUB_ISSUER}:sub`]: subject },
        },
      },
    ],
  });
}

/** Text of a policy. */
export function policyOf(statements: Statement[]): string {
  return JSON.stringify({ Version: "2012-10-17", Statement: statements });
}

/**
 * The most that a deployment may do, and the most that any role may do that a deployment creates. Without the second
 * limit, a deployment could create a function whose role may do everything.
 *
 * @param services the services that a deployment and the functions use, such as `dynamodb`
 * @param boundaryArn ARN of this policy
 */
export function boundaryStatements(
  { partition, account }: Place,
  services: string[],
  boundaryArn: string,
): Statement[] {
  const iam = (path: string) => `arn:${partition}:iam::${account}:${path}`;
  const serviceRoles = iam("role/aws-service-role/*");
  return [
    { Sid: "Services", Effect: "Allow", Action: services.map((service) => `${service}:*`), Resource: ["*"] },
    {
      Sid: "OnlyOurRoles",
      Effect: "Deny",
      Action: ["iam:*"],
      NotResource: [iam(`role/${PROJECT}-*`), serviceRoles],
    },
    {
      Sid: "NotThePipeline",
      Effect: "Deny",
      Action: ["iam:*", "sts:AssumeRole*"],
      Resource: [iam(`role/${PIPELINE}-*`), iam(`policy/${PIPELINE}-*`)],
    },
    {
      Sid: "NewRolesHaveTheBoundary",
      Effect: "Deny",
      Action: ["iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:AttachRolePolicy"],
      Resource: ["*"],
      Condition: { StringNotEquals: { "iam:PermissionsBoundary": boundaryArn } },
    },
    { Sid: "TheBoundaryStays", Effect: "Deny", Action: ["iam:DeleteRolePermissionsBoundary"], Resource: ["*"] },
  ];
}

/** The files of a stack in the bucket of the state, as Pulumi lays them out. */
function stateFiles(bucket: string, stack: string): string[] {
  const paths = [
    `stacks/${PROJECT}/${stack}.json*`,
    `history/${PROJECT}/${stack}/*`,
    `backups/${PROJECT}/${stack}/*`,
    `locks/organization/${PROJECT}/${stack}/*`,
  ];
  return paths.map((path) => `${bucket}/.pulumi/${path}`);
}

/**
 * Access to the state of some stacks.
 *
 * @param bucket ARN of the bucket
 * @param keys ARNs of the keys that encrypt the stacks' secrets
 * @param write whether the state may change
 */
export function stateStatements(bucket: string, stacks: string[], keys: string[], write: boolean): Statement[] {
  const files = stacks.flatMap((stack) => stateFiles(bucket, stack));
  const objects = ["s3:GetObject", ...(write ? ["s3:PutObject", "s3:DeleteObject"] : [])];
  const crypto = ["kms:Decrypt", ...(write ? ["kms:Encrypt", "kms:GenerateDataKey"] : [])];
  return [
    { Sid: "ListState", Effect: "Allow", Action: ["s3:ListBucket"], Resource: [bucket] },
    { Sid: "StateFormat", Effect: "Allow", Action: ["s3:GetObject"], Resource: [`${bucket}/.pulumi/meta.yaml`] },
    { Sid: "State", Effect: "Allow", Action: objects, Resource: files },
    ...(keys.length > 0 ? [{ Sid: "Secrets", Effect: "Allow" as const, Action: crypto, Resource: keys }] : []),
  ];
}

/** The services of the actions of a policy, such as `dynamodb`. */
export function servicesOf(statements: Statement[]): string[] {
  const services = statements.flatMap(({ Action }) => Action.map((action) => action.split(":")[0] ?? ""));
  return [...new Set(services)].sort();
}
