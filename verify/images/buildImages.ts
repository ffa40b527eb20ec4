import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root } from "../../cli/root";
import type { Model } from "../../contract/plan";
import { buildArgs, type Weights } from "../../images/models";
import { runProgram } from "./runProgram";

/**
 * Builds the images for deployment. Uses docker, or buildah when docker does not run.
 *
 * @returns the images' names
 * @throws Error when neither docker nor buildah runs, or with the last lines of a failed build
 */
export async function buildImages(
  models: readonly Model[],
  { tag, repository, weights }: { tag: string; repository: string; weights: Weights },
  progress: (line: string) => void,
  signal: AbortSignal,
): Promise<string[]> {
  const builder = ["docker", "buildah"].find(
    (name) => spawnSync(name, ["info"], { stdio: "ignore", timeout: 20_000 }).status === 0,
  );
  if (!builder) throw new Error("Neither docker nor buildah runs here. Start one of them, or use --cpu.");
  const built: string[] = [];
  for (const model of models) {
    const image = `${repository}-${model}:${tag}`;
    progress(`${image}: building with ${builder} (the engine's image and the weights are tens of gigabytes)`);
    await runProgram(
      builder,
      [
        ...["build", "--platform", "linux/amd64", "--tag", image],
        ...Object.entries(buildArgs(model, tag, weights)).flatMap(([name, value]) => [
          "--build-arg",
          `${name}=${value}`,
        ]),
        ...(process.env.HF_TOKEN ? ["--secret", "id=HF_TOKEN,env=HF_TOKEN"] : []),
        ...["--file", join(root, "images/Dockerfile"), join(root, "images")],
      ],
      { signal, onLine: progress },
    );
    built.push(image);
  }
  return built;
}
