import { models } from "../../../contract/plan";
import { stackTags } from "../../../names";
import { messageOf } from "../../../runpod/error";
import { isPrivateEcr } from "../../../runpod/imageName";
import { awsTodo } from "../../awsTodo";
import type { Aws } from "../awsClient";
import { attempt, type Check, failed } from "../check";
import type { Target } from "../target";
import { checkAlarms } from "./alarms";
import { checkCandidates } from "./candidates";
import { checkConcurrency } from "./concurrency";
import { checkFailedRuns } from "./failedRuns";
import { checkFunctions } from "./functions";
import { addresses, checkAddress, readApiUrl, readRelayUrl } from "./http";
import { checkRegistryToken } from "./registryToken";
import { checkSes } from "./ses";
import { checkEmail } from "./signInEmail";
import { findStackResources, type StackResources } from "./stackResources";
import { checkSubscribers } from "./subscribers";
import { checkTables } from "./tables";
import { checkUserPool } from "./userPool";

/** Resources of a stack, or the line that says why they could not be found. */
export type Found = StackResources | { unread: Check };

/** Finds the stack's resources at AWS. Without them, no other check of AWS can run. */
export async function findResources({ config, aws }: Target): Promise<Found> {
  try {
    const found = await findStackResources(config.stack, aws);
    return Object.values(found).every((names) => names.length === 0)
      ? { unread: noResources(config.stack, aws) }
      : found;
  } catch (error) {
    return { unread: failed("AWS", `cannot be read: ${messageOf(error)}`, awsTodo(error)) };
  }
}

/**
 * An account without any resource of the stack is usually the wrong account or Region. So the next step must not be
 * "pulumi refresh", which would remove all resources from the state.
 */
function noResources(stack: string, { region }: Aws): Check {
  const tags = Object.entries(stackTags(stack)).map(([name, value]) => `${name}=${value}`);
  return failed(
    "AWS",
    `the account has no resource with the tags ${tags.join(", ")} in ${region}`,
    "Is it the right AWS account (aws sts get-caller-identity), and is aws:region in the stack's file right? " +
      `If the stack does not exist yet: pulumi up --stack ${stack}`,
  );
}

/** Checks every part of a stack at AWS. The checks run at the same time, and a failed read stops no other check. */
export async function examineAws(target: Target, found: Found, timeoutMs: number): Promise<Check[]> {
  const { config, aws } = target;
  const email = checkEmail(config.auth);
  if ("unread" in found) return [found.unread, email];
  const { stack, frontend, operations, domains } = config;
  const needsEcr = isFromEcr(config);
  const checks: Record<string, () => Promise<Check | Check[]>> = {
    "user pool": () => checkUserPool(found.userPools, config, aws),
    ...(config.auth.email && sesCheck(config.auth.email.identityArn, aws)),
    tables: () => checkTables(found.tables, config.deletionProtection, aws),
    API: async () =>
      checkAddress(addresses.api, await readApiUrl(found.apis, domains?.api, aws), frontend.origins, timeoutMs),
    relay: async () =>
      checkAddress(addresses.relay, await readRelayUrl(stack, domains?.relay, aws), frontend.origins, timeoutMs),
    functions: () => checkFunctions(found.functions, stack, aws),
    "Lambda concurrency": () => checkConcurrency(config.relay.concurrency, aws),
    alarms: () => checkAlarms(found.alarms, { stack, settings: operations, needsEcr }, aws),
    candidates: () => checkCandidates(config, aws),
    "alarm subscribers": () => checkSubscribers(found.topics, operations.emails, aws),
    ...(needsEcr && {
      "registry token": () => checkRegistryToken(stack, aws),
      "failed runs": () => checkFailedRuns(found.queues, stack, aws),
    }),
  };
  const lines = await Promise.all(Object.entries(checks).map(([name, check]) => attempt(name, awsTodo, check)));
  return [email, ...lines.flat()];
}

function sesCheck(identityArn: string, aws: Aws) {
  return { "Amazon SES": () => checkSes(identityArn, aws) };
}

/** Whether RunPod pulls images with an ECR token that a function renews. */
function isFromEcr(config: Target["config"]): boolean {
  const images = models.map((model) => config[model].imageUri);
  return config.registry.kind === "ecr" && images.some((uri) => uri === undefined || isPrivateEcr(uri));
}
