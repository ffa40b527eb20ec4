import type { PlainConfig } from "../../../infra/configSchema";
import { stackNames } from "../../../names";
import type { RegistryAuthRecord, TemplateRecord } from "../../../runpod/client";
import { isPrivateEcr } from "../../../runpod/imageName";
import { type Listing, mayHide } from "../../../runpod/nullable";
import { type Check, failed, ok, unknown, warning } from "../check";

/** A container runtime's messages when a registry rejects the credentials. */
const REFUSED = /expired|denied|unauthori[sz]ed|forbidden|no basic auth/i;

/**
 * Checks that RunPod has credentials for a template's image and that the registry accepts them.
 *
 * @param credentials all credentials of the account
 * @param problems error lines of a worker's host
 */
export function checkRegistry(
  version: string,
  { registry, stack }: Pick<PlainConfig, "registry"> & { stack: string },
  { imageName, containerRegistryAuthId: id }: TemplateRecord,
  credentials: Listing<RegistryAuthRecord>,
  problems: string[],
): Check {
  const label = `${version} registry`;
  const again = `Run "pulumi up --refresh".`;
  const refusal = problems.find((line) => REFUSED.test(line));
  if (id === undefined) {
    if (!isPrivateEcr(imageName)) return ok(label, "no credentials: the image is public");
    if (registry.kind === "delegation") return withoutDelegation(label, refusal);
    const todo = `Set registry in the stack's configuration to { kind: ecr } or to a delegation, and run "pulumi up --refresh".`;
    return failed(label, "no credentials, but the image is in private ECR: no new worker can pull it", todo);
  }
  const credential = credentials.items.find((each) => each.id === id);
  if (credential === undefined && registry.kind !== "delegation") {
    if (mayHide(credentials, id)) {
      const why = `RunPod's list has an entry that cannot be read, so it is unknown whether credentials ${id} exist`;
      return unknown(label, why, "Look for the credentials in RunPod's console.");
    }
    return failed(label, `the template uses credentials ${id}, which RunPod does not have`, again);
  }
  const name = credential?.name ?? `delegation ${id}`;
  if (refusal === undefined) {
    return ok(label, `${name}; no host reports an error`);
  }
  const seen = `the registry rejects ${name}: ${refusal}`;
  switch (registry.kind) {
    case "ecr": {
      const renewal = stackNames(stack).functions.registryRefresh;
      const why = `An ECR token expires after 12 hours, and ${renewal} renews it every 6 hours. Read that function's log, then invoke the function`;
      return failed(label, seen, `${why}: aws lambda invoke --function-name ${renewal} /dev/null.`);
    }
    case "delegation":
      return failed(label, seen, "Check the ECR repository's policy for RunPod's roles, and the delegation at RunPod.");
    default:
      return failed(
        label,
        seen,
        `Create a new token, then: pulumi config set --secret registryToken, and "pulumi up".`,
      );
  }
}

/** RunPod may pull an image through a delegation whose id is not in the template, so only a refusal is a failure. */
function withoutDelegation(label: string, refusal: string | undefined): Check {
  const seen = "the template has no delegation: RunPod has refused its id, or somebody has removed it";
  const todo = `Run "pulumi up --refresh", which tries it again. If workers cannot pull the image, set registry.kind to ecr or token.`;
  return refusal === undefined
    ? warning(label, `${seen}; no host reports an error`, todo)
    : failed(label, `${seen}; the registry rejects the pull: ${refusal}`, todo);
}
