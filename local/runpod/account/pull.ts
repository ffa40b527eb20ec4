import type { RunpodAccount } from "./account";
import type { Template } from "./records";
import { matches, type Switches } from "./switches";

/** What a registry says of an image. */
export interface RegistryImage {
  /** What is written in the image's version file. */
  version: string;
  /** True when only a credential or a delegation lets RunPod pull it. Default false. */
  private?: boolean;
}

/**
 * Why a host cannot pull a template's image, in the words of a container runtime; undefined when it can. A dead
 * credential is refused for a public image too.
 */
export function pullProblem(
  template: Pick<Template, "imageName" | "containerRegistryAuthId">,
  image: RegistryImage | undefined,
  account: RunpodAccount,
  switches: Switches,
): string | undefined {
  const name = template.imageName ?? "";
  if (!image) return `manifest for ${name} not found: manifest unknown`;
  if (matches(switches.unpullable, name)) return `failed to pull ${name}: unexpected status from the registry`;
  const auth = account.registries.find(template.containerRegistryAuthId ?? "");
  if (auth?.isExpired) return `failed to pull ${name}: denied: Your authorization token has expired`;
  if (image.private && !auth && !account.registries.delegations.some((one) => covers(one, name)))
    return `failed to pull ${name}: no basic auth credentials`;
  return undefined;
}

function covers(delegation: { dockerRegistryUri: string; repository: string }, image: string): boolean {
  return image.split(/[:@]/)[0] === `${delegation.dockerRegistryUri}/${delegation.repository}`;
}
