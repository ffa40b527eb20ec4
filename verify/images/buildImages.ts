import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../../cli/root";
import type { Model } from "../../contract/plan";
import { buildArgs, type Weights } from "../../images/models";
import { type RunOptions, runProgram } from "./runProgram";

/** Settings of the images to build. */
export interface ImageSettings {
  tag: string;
  /** `host/name` of the images, without the model's name. */
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
  models: readonly Model[],
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
    for (const model of models) {
      const image = `${settings.repository}-${model}`;
      progress(`${image}: building with ${builder} (the engine's image and the weights are tens of gigabytes)`);
      const digest = await build[builder](model, settings, join(dir, model), { signal, onLine: progress });
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
 * @param file path for the builder's report of the push
 * @returns the digest of the pushed image
 */
type Build = (model: Model, settings: ImageSettings, file: string, options: RunOptions) => Promise<string | undefined>;

const build: Record<"docker" | "buildah", Build> = {
  async docker(model, settings, file, options) {
    // Attestations would turn the image into an index with a platform "unknown", and some programs cannot pull such an
    // index. A build without --push and a later push would need twice the disk space.
    const flags = ["--provenance=false", "--sbom=false", ...(settings.push ? ["--push", "--metadata-file", file] : [])];
    await runProgram("docker", ["build", ...flags, ...buildArguments(model, settings)], options);
    if (!settings.push) return undefined;
    return digestIn((JSON.parse(readFileSync(file, "utf8")) as Record<string, string>)["containerimage.digest"]);
  },
  async buildah(model, settings, file, options) {
    await runProgram("buildah", ["build", ...buildArguments(model, settings)], options);
    if (!settings.push) return undefined;
    const image = `${settings.repository}-${model}:${settings.tag}`;
    await runProgram("buildah", ["push", "--digestfile", file, image], options);
    return digestIn(readFileSync(file, "utf8").trim());
  },
};

function digestIn(digest: string | undefined): string {
  if (digest && /^sha256:[0-9a-f]{64}$/.test(digest)) return digest;
  throw new Error(`The builder reported no digest of the pushed image, got ${JSON.stringify(digest)}`);
}

function buildArguments(model: Model, { tag, repository, weights }: ImageSettings): string[] {
  return [
    ...["--platform", "linux/amd64", "--tag", `${repository}-${model}:${tag}`],
    ...Object.entries(buildArgs(model, tag, weights)).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
    ...(process.env.HF_TOKEN ? ["--secret", "id=HF_TOKEN,env=HF_TOKEN"] : []),
    ...["--file", join(root, "images/Dockerfile"), join(root, "images")],
  ];
}
