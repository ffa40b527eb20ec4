import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../../cli/root";
import { models } from "../../contract/plan";
import { buildArgs, type Weights } from "../../images/models";
import { type RunOptions, runProgram } from "./runProgram";
import { writeTrainingContext } from "./trainingContext";

/** Images of this repository: the worker image of each model, and the image that retrains them. */
export const imageNames = [...models, "training"] as const;
export type ImageName = (typeof imageNames)[number];

/** Settings of the images to build. */
export interface ImageSettings {
  tag: string;
  /** `host/name` of the images, without the model's name and without `training`. */
  repository: string;
  weights: Weights;
  /** Whether to push each image. */
  push?: boolean;
}

/**
 * Builds the images for deployment. Uses docker, or buildah when docker does not run.
 *
 * @returns the images' names: `host/name@sha256:…` for pushed images, otherwise `host/name:tag`
 * @throws Error when neither docker nor buildah runs. Also throws when a build fails, and then quotes the last output
 * lines
 */
export async function buildImages(
  names: readonly ImageName[],
  settings: ImageSettings,
  progress: (line: string) => void,
  signal: AbortSignal,
): Promise<string[]> {
  const builder = (["docker", "buildah"] as const).find(
    (name) => spawnSync(name, ["info"], { stdio: "ignore", timeout: 20_000 }).status === 0,
  );
  if (!builder) throw new Error("Neither docker nor buildah runs here. Start one of them, or use --cpu.");
  const dir = mkdtempSync(join(tmpdir(), "snack-misaki-image-"));
  const built: string[] = [];
  try {
    for (const name of names) {
      const image = `${settings.repository}-${name}`;
      progress(`${image}: building with ${builder} (the engine's image and the weights are tens of gigabytes)`);
      const digest = await build[builder](name, settings, join(dir, name), { signal, onLine: progress });
      built.push(digest ? `${image}@${digest}` : `${image}:${settings.tag}`);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  return built;
}

/**
 * Builds an image, and pushes it if the settings say so.
 *
 * @param dir folder for the builder's report of the push and for the context of the training image
 * @returns the digest of the pushed image
 */
type Build = (
  name: ImageName,
  settings: ImageSettings,
  dir: string,
  options: RunOptions,
) => Promise<string | undefined>;

const build: Record<"docker" | "buildah", Build> = {
  async docker(name, settings, dir, options) {
    const file = join(dir, "metadata.json");
    // Attestations would turn the image into an index with a platform "unknown", and some programs cannot pull such an
    // index. A build without --push and a later push would need twice the disk space.
    const flags = ["--provenance=false", "--sbom=false", ...(settings.push ? ["--push", "--metadata-file", file] : [])];
    await runProgram("docker", ["build", ...flags, ...buildArguments(name, settings, dir)], options);
    if (!settings.push) return undefined;
    return digestIn((JSON.parse(readFileSync(file, "utf8")) as Record<string, string>)["containerimage.digest"]);
  },
  async buildah(name, settings, dir, options) {
    const file = join(dir, "digest");
    await runProgram("buildah", ["build", ...buildArguments(name, settings, dir)], options);
    if (!settings.push) return undefined;
    const image = `${settings.repository}-${name}:${settings.tag}`;
    await runProgram("buildah", ["push", "--digestfile", file, image], options);
    return digestIn(readFileSync(file, "utf8").trim());
  },
};

function digestIn(digest: string | undefined): string {
  if (digest && /^sha256:[0-9a-f]{64}$/.test(digest)) return digest;
  throw new Error(`The builder reported no digest of the pushed image, got ${JSON.stringify(digest)}`);
}

function buildArguments(name: ImageName, { tag, repository, weights }: ImageSettings, dir: string): string[] {
  mkdirSync(dir);
  const common = ["--platform", "linux/amd64", "--tag", `${repository}-${name}:${tag}`];
  if (name === "training") return [...common, ...trainingArguments(join(dir, "context"))];
  return [
    ...common,
    ...Object.entries(buildArgs(name, tag, weights)).flatMap(([key, value]) => ["--build-arg", `${key}=${value}`]),
    ...(process.env.HF_TOKEN ? ["--secret", "id=HF_TOKEN,env=HF_TOKEN"] : []),
    ...["--file", join(root, "images/Dockerfile"), join(root, "images")],
  ];
}

/** Writes the context of the training image, and returns the last arguments of its build. */
function trainingArguments(context: string): string[] {
  writeTrainingContext(context);
  return ["--build-arg", `ENGINE_IMAGE=${engineImage()}`, "--file", join(root, "training/Dockerfile"), context];
}

/** The engine's image of the worker images. */
function engineImage(): string {
  const [, image] = /^ARG ENGINE_IMAGE=(\S+)$/m.exec(readFileSync(join(root, "images/Dockerfile"), "utf8")) ?? [];
  if (!image) throw new Error("images/Dockerfile has no line ARG ENGINE_IMAGE=<image>");
  return image;
}
