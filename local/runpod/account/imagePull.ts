import type { RunpodAccount } from "./account";
import type { Template } from "./records";
import { matches, type Switches } from "./switches";

/** An image in a registry. */
export interface RegistryImage {
  /** Version of the weights in the image, from the image's version file. */
  version: string;
  /** Whether RunPod needs a registry credential or an ECR delegation to pull the image. Default false. */
  private?: boolean;
  /** Returns the reason why the registry refuses a pull with this password. Undefined when the pull is allowed. */
  refusal?(password: string): string | undefined;
}

/**
 * Returns the container runtime's error text for a pull of a template's image. Undefined when the pull succeeds. The
 * registry refuses an expired credential even for a public image.
 */
export function pullError(
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
  if (image.private && !auth && !account.registries.delegations.some((delegation) => covers(delegation, name)))
    return `failed to pull ${name}: no basic auth credentials`;
  const password = account.registries.passwordOf(auth?.id ?? "");
  const refusal = password && image.refusal?.(password);
  if (refusal) return `failed to pull ${name}: denied: ${refusal}`;
  return undefined;
}

function covers(delegation: { dockerRegistryUri: string; repository: string }, image: string): boolean {
  return image.split(/[:@]/)[0] === `${delegation.dockerRegistryUri}/${delegation.repository}`;
}
