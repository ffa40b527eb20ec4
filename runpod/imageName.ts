/** Parts of an image name. */
export interface ImageName {
  /** Registry. Default: `docker.io`. */
  host: string;
  repository: string;
  /** Digest `sha256:…` if the name has one, otherwise the tag. */
  reference: string;
}

/**
 * Parses an image name by Docker's rule: the first part is a host only if it is `localhost` or contains a dot or a
 * port.
 */
export function parseImageName(name: string): ImageName {
  const [, path = "", tag, digest] = /^(.*?)(?::([^:/@]+))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(name) ?? [];
  const [first = "", ...rest] = path.split("/");
  const hasHost = rest.length > 0 && /[.:]|^localhost$/.test(first);
  const repository = hasHost ? rest.join("/") : path;
  return {
    host: hasHost ? first : "docker.io",
    // Docker Hub's official images are in `library`.
    repository: hasHost || repository.includes("/") ? repository : `library/${repository}`,
    reference: digest ?? tag ?? "latest",
  };
}

/** Whether an image is in a private Amazon ECR registry, which requires a token. */
export function isPrivateEcr(name: string): boolean {
  return /\.dkr\.ecr\.[\w-]+\.amazonaws\.com(\.cn)?$/.test(parseImageName(name).host);
}
