import { getCallerIdentityOutput } from "@pulumi/aws/getCallerIdentity";
import { getPartitionOutput } from "@pulumi/aws/getPartition";
import { getRegionOutput } from "@pulumi/aws/getRegion";
import * as iam from "@pulumi/aws/iam";
import * as pulumi from "@pulumi/pulumi";
import { loadConfig } from "./config";
import { deployerStatements } from "./deployerPolicy";
import {
  boundaryStatements,
  GITHUB_ISSUER,
  PIPELINE,
  type Place,
  policyOf,
  type Statement,
  servicesOf,
  stateStatements,
  trustOf,
} from "./policies";
import { State } from "./state";

const { repository, environments, previews, state, providerArn } = loadConfig();
const HOUR_SECONDS = 3600;

const place = pulumi
  .all([getPartitionOutput(), getRegionOutput(), getCallerIdentityOutput()])
  .apply(([{ partition }, { region }, { accountId }]): Place => ({ partition, region, account: accountId }));

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

const boundary = new iam.Policy("boundary", {
  name: `${PIPELINE}-boundary`,
  policy: place.apply((at) => {
    // The relay calls Bedrock, which no deployment does. Deployments also need the state.
    const services = [...servicesOf(deployerStatements(at, "any")), "bedrock", "kms", "s3"];
    return policyOf(
      boundaryStatements(at, services, `arn:${at.partition}:iam::${at.account}:policy/${PIPELINE}-boundary`),
    );
  }),
});

/** A preview of a stack with `imageTag` signs in to the registry. The token alone opens no repository. */
const registryToken: Statement = { Effect: "Allow", Action: ["ecr:GetAuthorizationToken"], Resource: ["*"] };

/** Creates a role for the jobs of one subject. */
function roleFor(name: string, subject: string, statements: pulumi.Input<Statement[]>): pulumi.Output<string> {
  const role = new iam.Role(name, {
    name: `${PIPELINE}-${name}`,
    assumeRolePolicy: pulumi.output(provider).apply((arn) => trustOf(arn, `repo:${repository}:${subject}`)),
    permissionsBoundary: boundary.arn,
    maxSessionDuration: 2 * HOUR_SECONDS,
  });
  new iam.RolePolicy(name, { role: role.id, policy: pulumi.output(statements).apply(policyOf) });
  return role.arn;
}

/** ARN of each environment's role: the variable AWS_DEPLOY_ROLE of the environment at GitHub. */
export const deployRoles = Object.fromEntries(
  environments.map((environment) => {
    const statements = pulumi
      .all([place, stateOf([environment], true)])
      .apply(([at, access]) => [...deployerStatements(at, environment), ...access]);
    return [environment, roleFor(`deploy-${environment}`, `environment:${environment}`, statements)];
  }),
);

/** ARN of the role of previews: the variable AWS_PREVIEW_ROLE of the repository at GitHub. It can change nothing. */
export const previewRole =
  previews.length > 0
    ? roleFor(
        "preview",
        "pull_request",
        stateOf(previews, false).apply((access) => [...access, registryToken]),
      )
    : undefined;

/** Address of the state: the variable PULUMI_BACKEND_URL of the repository at GitHub. */
export const backendUrl = place.apply(({ region }) => `s3://${state.bucket}?region=${region}&awssdk=v2`);

/** Secrets provider of each stack: pulumi stack init <stack> --secrets-provider <value>. */
export const secretsProviders = Object.fromEntries(
  Object.entries(keys).map(([environment, arn]) => [environment, pulumi.interpolate`awskms:///${arn}`]),
);

/** The boundary of all roles: snack-misaki:permissionsBoundary in the configuration of each stack. */
export const permissionsBoundary = boundary.arn;
