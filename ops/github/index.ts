import { getCallerIdentityOutput } from "@pulumi/aws/getCallerIdentity";
import { getPartitionOutput } from "@pulumi/aws/getPartition";
import { getRegionOutput } from "@pulumi/aws/getRegion";
import * as iam from "@pulumi/aws/iam";
import * as pulumi from "@pulumi/pulumi";
import { loadConfig } from "./config";
import {
  boundaryStatements,
  deployerStatements,
  GITHUB_ISSUER,
  PIPELINE,
  type Place,
  policyOf,
  previewStatements,
  type Statement,
  stateStatements,
  trustOf,
} from "./policies";
import { State } from "./state";

const { repository, environments, previews, state, providerArn } = loadConfig();
const HOUR_SECONDS = 3600;

const place = pulumi
  .all([getPartitionOutput(), getRegionOutput(), getCallerIdentityOutput()])
  .apply(([{ partition }, { region }, { accountId }]): Place => ({ partition, region, accountId }));

// GitHub signs the tokens of its jobs. AWS checks the signature with this provider.
const provider =
  providerArn ??
  new iam.OpenIdConnectProvider("github", { url: `https://${GITHUB_ISSUER}`, clientIdLists: ["sts.amazonaws.com"] })
    .arn;

const keys = state.create ? new State("state", { bucket: state.bucket, environments }).keys : {};
const bucket = pulumi.interpolate`arn:${place.partition}:s3:::${state.bucket}`;

/** Access to the state of some stacks, as statements. */
function stateOf(stacks: string[], write: boolean): pulumi.Output<Statement[]> {
  const known = stacks.flatMap((stack) => keys[stack] ?? []);
  return pulumi.all([bucket, pulumi.all(known)]).apply(([arn, ids]) => stateStatements(arn, stacks, ids, write));
}

/** Creates the boundary of a stack's roles. Without a stack, creates the boundary of the role of previews. */
function createBoundary(stack?: string): iam.Policy {
  const name = stack ? `boundary-${stack}` : "boundary";
  const fullName = `${PIPELINE}-${name}`;
  const policy = pulumi.all([place, bucket, pulumi.all(Object.values(keys))]).apply(([at, bucketArn, keyArns]) => {
    const boundaryArn = `arn:${at.partition}:iam::${at.accountId}:policy/${fullName}`;
    return policyOf(boundaryStatements(at, { boundaryArn, state: [bucketArn, `${bucketArn}/*`, ...keyArns], stack }));
  });
  return new iam.Policy(name, { name: fullName, policy });
}

/** Creates a role for the jobs of one subject. */
function roleFor(name: string, subject: string, boundary: iam.Policy): iam.Role {
  return new iam.Role(name, {
    name: `${PIPELINE}-${name}`,
    assumeRolePolicy: pulumi.output(provider).apply((arn) => trustOf(arn, `repo:${repository}:${subject}`)),
    permissionsBoundary: boundary.arn,
    maxSessionDuration: 2 * HOUR_SECONDS,
  });
}

/** Gives statements to a role as its inline policy. AWS limits it to 10,240 characters. */
function allow(name: string, role: iam.Role, statements: pulumi.Input<Statement[]>): void {
  new iam.RolePolicy(name, { role: role.id, policy: pulumi.output(statements).apply(policyOf) });
}

/** Attaches a separate policy to a role. AWS limits it to 6,144 characters. */
function attach(name: string, role: iam.Role, statements: pulumi.Input<Statement[]>): void {
  const policy = new iam.Policy(name, {
    name: `${PIPELINE}-${name}`,
    policy: pulumi.output(statements).apply(policyOf),
  });
  new iam.RolePolicyAttachment(name, { role: role.name, policyArn: policy.arn });
}

function deployRoleOf(stack: string, boundary: iam.Policy): pulumi.Output<string> {
  const name = `deploy-${stack}`;
  const role = roleFor(name, `environment:${stack}`, boundary);
  allow(
    name,
    role,
    place.apply((at) => deployerStatements(at, stack)),
  );
  attach(`${name}-state`, role, stateOf([stack], true));
  return role.arn;
}

function createPreviewRole(): pulumi.Output<string> {
  const role = roleFor("preview", "pull_request", createBoundary());
  allow("preview", role, stateOf(previews, false));
  for (const stack of previews)
    attach(
      `preview-${stack}`,
      role,
      place.apply((at) => previewStatements(at, stack)),
    );
  return role.arn;
}

const boundaries = environments.map((stack) => [stack, createBoundary(stack)] as const);

/** ARN of each environment's role: the variable AWS_DEPLOY_ROLE of the environment at GitHub. */
export const deployRoles = Object.fromEntries(
  boundaries.map(([stack, boundary]) => [stack, deployRoleOf(stack, boundary)]),
);

/** ARN of the role of previews: the variable AWS_PREVIEW_ROLE of the repository at GitHub. It can change nothing. */
export const previewRole = previews.length > 0 ? createPreviewRole() : undefined;

/** Address of the state: the variable PULUMI_BACKEND_URL of the repository at GitHub. */
export const backendUrl = place.apply(({ region }) => `s3://${state.bucket}?region=${region}&awssdk=v2`);

/** Secrets provider of each stack: pulumi stack init <stack> --secrets-provider <value>. */
export const secretsProviders = Object.fromEntries(
  Object.entries(keys).map(([environment, arn]) => [environment, pulumi.interpolate`awskms:///${arn}`]),
);

/** Boundary of each stack's roles: snack-misaki:permissionsBoundary in the configuration of the stack. */
export const permissionsBoundaries = Object.fromEntries(boundaries.map(([stack, { arn }]) => [stack, arn]));
