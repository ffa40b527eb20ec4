/** The parts of an image's name. */
export interface ImageName {
  /** The registry, `docker.io` where none is named. */
  host: string;
  repository: string;
  /** A tag, or a digest `sha256:…` where there is one. */
  reference: string;
}

/** Takes an image's name apart as Docker does: a first part without a dot, a port or `localhost` is no host. */
export function parseImageName(name: string): ImageName {
  const [, path = "", tag, digest] = /^(.*?)(?::([^:/@]+))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(name) ?? [];
  const [first = "", ...rest] = path.split("/");
  const hasHost = rest.length > 0 && /[.:]|^localhost$/.test(first);
  const repository = hasHost ? rest.join("/") : path;
  return {
    host: hasHost ? first : "docker.io",
    // Docker Hub's own images are in `library`.
    repository: hasHost || repository.includes("/") ? repository : `library/${repository}`,
    reference: digest ?? tag ?? "latest",
  };
}

/** Whether an image is in a private Amazon ECR, which gives nothing without a token. */
export function isPrivateEcr(name: string): boolean {
  return /\.dkr\.ecr\.[\w-]+\.amazonaws\.com(\.cn)?$/.test(parseImageName(name).host);
}
