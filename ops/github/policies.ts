import { PROJECT, stackNames } from "../../names";
import { deployedTypes, type Scope } from "../privileges/deployedTypes";
import { deployerPolicy, previewPolicy } from "../privileges/deployerPolicy";

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
export type Place = Omit<Scope, "stack">;

/** Resource types that a stack can have, with every setting of its configuration. */
const allTypes = Object.keys(deployedTypes);

/** Everything that `pulumi up` of a stack may do at AWS, except to read and write its state. */
export function deployerStatements(place: Place, stack: string): Statement[] {
  return deployerPolicy(allTypes, { ...place, stack }).Statement;
}

/** Everything that `pulumi preview` of a stack may read at AWS, except its state. */
export function previewStatements(place: Place, stack: string): Statement[] {
  return previewPolicy(allTypes, { ...place, stack }).Statement;
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
 * Services of the boundary: those that a deployment manages, and those that it or a function only calls. The relay calls
 * Bedrock. The state is in S3, and KMS encrypts its secrets.
 */
export function boundaryServices(place: Place): string[] {
  const managed = deployerStatements(place, "any").flatMap(({ Action }) => Action.map(serviceOf));
  return [...new Set([...managed, "bedrock", "kms", "s3"])].sort();
}

function serviceOf(action: string): string {
  return action.slice(0, action.indexOf(":"));
}

/** Parameters of a boundary. */
export interface BoundaryArgs {
  /** ARN of the boundary itself. */
  boundaryArn: string;
  /** ARNs of the bucket and the keys of the state. Only the pipeline's own roles may use them. */
  state: string[];
  /** The only stack that the roles may change. Undefined for the role of previews, which changes nothing. */
  stack: string | undefined;
}

/**
 * The most that a deployment may do, and the most that any role may do that a deployment creates. Without the second
 * limit, a deployment could create a function whose role may do everything.
 */
export function boundaryStatements(place: Place, { boundaryArn, state, stack }: BoundaryArgs): Statement[] {
  const iam = (path: string) => `arn:${place.partition}:iam::${place.accountId}:${path}`;
  const pipelineRoles = iam(`role/${PIPELINE}-*`);
  return [
    {
      Sid: "Services",
      Effect: "Allow",
      Action: boundaryServices(place).map((service) => `${service}:*`),
      Resource: ["*"],
    },
    {
      Sid: "OnlyOurRoles",
      Effect: "Deny",
      Action: ["iam:*"],
      NotResource: [iam(`role/${stack ? stackNames(stack).prefix : PROJECT}-*`), iam("role/aws-service-role/*")],
    },
    {
      Sid: "NotThePipeline",
      Effect: "Deny",
      Action: ["iam:*", "sts:AssumeRole*"],
      Resource: [pipelineRoles, iam(`policy/${PIPELINE}-*`)],
    },
    {
      Sid: "NewRolesHaveTheBoundary",
      Effect: "Deny",
      Action: ["iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:AttachRolePolicy"],
      Resource: ["*"],
      Condition: { StringNotEquals: { "iam:PermissionsBoundary": boundaryArn } },
    },
    { Sid: "TheBoundaryStays", Effect: "Deny", Action: ["iam:DeleteRolePermissionsBoundary"], Resource: ["*"] },
    {
      // Otherwise a deployment could create a function that reads the state and the secrets of another stack.
      Sid: "StateIsForThePipeline",
      Effect: "Deny",
      Action: ["s3:*", "kms:*"],
      Resource: state,
      Condition: { ArnNotLike: { "aws:PrincipalArn": pipelineRoles } },
    },
    ...(stack ? notOtherStacks({ ...place, stack }) : []),
  ];
}

/** Types with data, secrets or code, and with names that begin with the name of the stack. */
const namedTypes = [
  "aws:dynamodb/table:Table",
  "aws:lambda/function:Function",
  "aws:scheduler/schedule:Schedule",
  "aws:sqs/queue:Queue",
  "aws:ssm/parameter:Parameter",
];

/**
 * Denies the data, the secrets and the functions of other stacks in the account. Otherwise a deployment of dev could
 * create a function that reads the customers of prod.
 */
function notOtherStacks(scope: Scope): Statement[] {
  const byName = ["dynamodb:*", "lambda:*", "scheduler:*", "sqs:*"];
  const imageWrites = ["BatchDelete*", "Delete*", "Put*", "*Upload", "UploadLayerPart"].map((name) => `ecr:${name}`);
  const parameters = ["ssm:GetParameter*", "ssm:PutParameter", "ssm:DeleteParameter*"];
  return [
    {
      Sid: "NamesOfThisStack",
      Effect: "Deny",
      Action: [...byName, ...parameters],
      NotResource: namedTypes.flatMap((type) => deployedTypes[type]?.resources(scope) ?? []),
    },
    {
      // A stack may pull the images of another stack, but not change them.
      Sid: "ImagesOfThisStack",
      Effect: "Deny",
      Action: imageWrites,
      NotResource: deployedTypes["aws:ecr/repository:Repository"]?.resources(scope) ?? [],
    },
    {
      // AWS chooses some of these names, and some of these actions have no resource.
      Sid: "TagsOfThisStack",
      Effect: "Deny",
      Action: ["acm", "apigateway", "cloudfront", "cloudwatch", "cognito-idp", "logs", "sns"].map(
        (name) => `${name}:*`,
      ),
      Resource: ["*"],
      Condition: {
        StringNotEquals: { "aws:ResourceTag/stack": scope.stack },
        Null: { "aws:ResourceTag/stack": "false" },
      },
    },
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
