import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, matchesGlob, resolve } from "node:path";
import { z } from "zod";
import { isObject } from "../../support/protocol/value";
import { refusal } from "../iam/callers";
import type { AwsAccount } from "../support/account";
import { filesBelow } from "../support/archive";
import type { Effects, ResourceType } from "../support/resource";
import { type Properties, texts } from "../support/values";
import { repository } from "./resources";
import { roleOfToken } from "./token";

const TYPE = "docker-build:index:Image";

/**
 * docker-build:index:Image. Builds nothing: the image is only a digest of the files and settings that a build would
 * read.
 */
export const image: ResourceType = {
  type: TYPE,
  inputs: z.looseObject({
    tags: z.array(z.string()).optional(),
    context: z.looseObject({ location: z.string() }).optional(),
    dockerfile: z.looseObject({ location: z.string().optional(), inline: z.string().optional() }).optional(),
    buildArgs: z.record(z.string(), z.string()).optional(),
    platforms: z.array(z.string()).optional(),
    push: z.boolean(),
    /** Values of the mounts `RUN --mount=type=secret`, by id. They are not part of the image. */
    secrets: z.record(z.string().min(1), z.string().min(1)).optional(),
  }),
  replaceOn: [],
  id: (inputs) => texts(inputs.tags)[0] ?? "image",
  computed: {
    digest: ({ returned }) => returned.digest,
    contextHash: ({ returned }) => returned.contextHash,
    ref: ({ returned }) => returned.ref,
  },
  recomputed: ["digest", "contextHash", "ref"],
  secretOutputs: ["secrets"],
};

/**
 * Computes image digests instead of building. The digest is SHA-256 over the files of the context (without those in
 * .dockerignore), the Dockerfile, the build arguments, the platforms and the target. So the digest changes exactly when
 * the result of a real build could change. As at ECR, a repository with immutable tags refuses a new image with an
 * existing tag.
 *
 * @param programDir base folder of relative paths
 */
export function imageEffects(programDir: string, account: AwsAccount): Effects {
  const build = async ({ outputs }: { outputs: Properties }) => {
    const context = resolve(programDir, location(outputs.context) ?? ".");
    const dockerfile = isObject(outputs.dockerfile) ? outputs.dockerfile : {};
    const dockerfileText =
      typeof dockerfile.inline === "string"
        ? dockerfile.inline
        : await read(resolve(programDir, location(dockerfile) ?? join(context, "Dockerfile")), "dockerfile");
    const contextHash = await hashContext(context);
    const digest = `sha256:${createHash("sha256")
      .update(
        JSON.stringify([contextHash, dockerfileText, sorted(outputs.buildArgs), outputs.platforms, outputs.target]),
      )
      .digest("hex")}`;
    for (const tag of texts(outputs.tags)) refuseMovedTag(account, tag, digest);
    return { contextHash, digest, ref: `${texts(outputs.tags)[0] ?? ""}@${digest}` };
  };
  return { create: build, update: build };
}

/** Throws ECR's error when a push would move a tag of a repository with immutable tags. */
function refuseMovedTag(account: AwsAccount, reference: string, digest: string): void {
  const { repository: url, tag } = parseReference(reference);
  const found = account.list(repository.type).find(({ outputs }) => outputs.repositoryUrl === url);
  if (found?.outputs.imageTagMutability !== "IMMUTABLE") return;
  const existing = findImage(account, found.id, { imageTag: tag });
  if (existing === undefined || existing.digest === digest) return;
  throw new Error(
    [
      `ImageTagAlreadyExistsException: The image tag '${tag}' already exists in the '${found.id}' repository and cannot be`,
      "overwritten because the repository is immutable. A changed image needs a new imageTag.",
      "In the local cloud, npm start -- --reset also empties the registry.",
    ].join(" "),
  );
}

/** An image in a registry. */
export interface FoundImage {
  /** The model version in the image. A worker that has pulled the image reports this version. */
  version: string;
  /** Whether a pull needs a credential. */
  private: boolean;
  /** Returns the registry's reason to refuse a pull with a token; undefined when the pull may run. */
  refusal?(password: string): string | undefined;
}

/**
 * Returns the model version of an image, and whether a pull needs a credential. An image in the account's registry is
 * private. Its version is the build argument `MODEL_VERSION`. Without this argument, its version is the tag. Any other
 * image is public, and its version is its digest or tag.
 *
 * @returns undefined when the name refers to the account's registry but the registry has no such image
 */
export function resolveImage(account: AwsAccount, imageName: string): FoundImage | undefined {
  const { repository, tag, digest } = parseReference(imageName);
  const isOwn = repository.startsWith(`${account.accountId}.dkr.ecr.`);
  if (!isOwn) return { version: digest ?? tag ?? "latest", private: false };
  const found = account.list(TYPE).find(({ outputs }) =>
    texts(outputs.tags)
      .map(parseReference)
      .some(
        (own) =>
          own.repository === repository &&
          (digest === undefined ? own.tag === (tag ?? "latest") : outputs.digest === digest),
      ),
  );
  if (found === undefined) return undefined;
  const argument = isObject(found.outputs.buildArgs) ? found.outputs.buildArgs.MODEL_VERSION : undefined;
  const version = typeof argument === "string" ? argument : (parseReference(found.id).tag ?? "latest");
  return { version, private: true, refusal: (password) => pullRefusal(account, repository, password) };
}

/** Returns the reason why a pull is refused. A token has the permissions of the role that has requested the token. */
function pullRefusal(account: AwsAccount, repository: string, password: string): string | undefined {
  const roleArn = roleOfToken(password);
  const resource = account.arn("ecr", `repository/${repository.slice(repository.indexOf("/") + 1)}`);
  const actions = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];
  return (
    roleArn &&
    refusal(
      account,
      roleArn,
      actions.map((action) => ({ action, resource })),
    )
  );
}

/** An image of a repository. */
export interface EcrImage {
  digest: string;
  tags: string[];
}

/** Finds an image by its digest or one of its tags in a repository of the account's registry. */
export function findImage(
  account: AwsAccount,
  repositoryName: string,
  { imageDigest, imageTag }: { imageDigest?: string | undefined; imageTag?: string | undefined },
): EcrImage | undefined {
  const repository = `${account.accountId}.dkr.ecr.${account.region}.amazonaws.com/${repositoryName}`;
  const images = account.list(TYPE).map(({ outputs }): EcrImage => {
    const own = texts(outputs.tags)
      .map(parseReference)
      .filter((one) => one.repository === repository);
    return { digest: String(outputs.digest), tags: own.flatMap(({ tag }) => tag ?? []) };
  });
  const found = images.filter(({ digest, tags }) =>
    imageDigest === undefined ? tags.includes(imageTag ?? "") : digest === imageDigest && tags.length > 0,
  );
  const [first] = found;
  return (
    first && { digest: first.digest, tags: found.flatMap(({ digest, tags }) => (digest === first.digest ? tags : [])) }
  );
}

function parseReference(reference: string): { repository: string; tag?: string; digest?: string } {
  const [name = "", digest] = reference.split("@", 2);
  const colon = name.indexOf(":", name.lastIndexOf("/"));
  return {
    repository: colon === -1 ? name : name.slice(0, colon),
    ...(colon === -1 ? {} : { tag: name.slice(colon + 1) }),
    ...(digest === undefined ? {} : { digest }),
  };
}

function location(value: unknown): string | undefined {
  return isObject(value) && typeof value.location === "string" ? value.location : undefined;
}

function sorted(value: unknown): unknown {
  return isObject(value) ? Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)) : [];
}

async function read(path: string, property: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new Error(`${property}: cannot read ${path}`, { cause });
  }
}

/** SHA-256, in hex, over the names and contents of the files that a build with this context can read. */
export async function hashContext(folder: string): Promise<string> {
  const hash = createHash("sha256");
  for (const path of await filesBelow(folder, await ignored(folder))) {
    hash
      .update(`${path}\0`)
      .update(await readFile(join(folder, path)))
      .update("\0");
  }
  return hash.digest("hex");
}

/**
 * Reads `.dockerignore`. A pattern ignores a file or a whole folder. A pattern with `!` includes a file or folder
 * again. Of several matching patterns, the bottom one decides.
 */
async function ignored(folder: string): Promise<(path: string) => boolean> {
  const lines = await readFile(join(folder, ".dockerignore"), "utf8").catch(() => "");
  const rules = lines
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => ({ keep: line.startsWith("!"), pattern: line.replace(/^!/, "").replace(/^\/|\/$/g, "") }));
  return (path) => {
    const ancestry = path.split("/").map((_, index, parts) => parts.slice(0, index + 1).join("/"));
    return rules.reduce(
      (skip, { keep, pattern }) => (ancestry.some((part) => matchesGlob(part, pattern)) ? !keep : skip),
      false,
    );
  };
}
