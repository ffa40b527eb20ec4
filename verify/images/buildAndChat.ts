import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../cli/root";
import type { Model } from "../../contract/plan";
import { buildArgs } from "../../images/models";
import { lockFolder } from "../../local/support/lock";
import { findVenvPython } from "../../local/support/pythonEnvironment";
import { Buildah } from "./buildah";
import { type Chat, chatWithContainer } from "./chatWithContainer";
import { Container } from "./container";
import { makeDebian } from "./debian";
import { makeEngineStandIn } from "./engineStandIn";
import { packageIndex } from "./packageIndex";
import { runProgram } from "./runProgram";

/** Results of building an image and chatting with it. */
export interface CpuImage extends Chat {
  model: Model;
  buildMs: number;
}

const ENGINE_STAND_IN = "localhost/snack-misaki/engine-stand-in";
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";

/**
 * Builds images/Dockerfile for each model on a Debian system without a GPU, then starts the image's entry point and
 * chats with the worker. `vllm` and `hf` are stand-ins. Everything else is real. Removes the images at the end. Keeps
 * the Debian system for the next run.
 *
 * @param version version that is written into the images and that their workers must report
 * @throws Error that names the failed step and quotes the last output lines
 */
export async function buildAndChat(
  models: readonly Model[],
  version: string,
  progress: (line: string) => void,
  signal: AbortSignal,
): Promise<CpuImage[]> {
  const dir = join(root, ".build/images");
  lockFolder(dir, "npm run images:build");
  mkdirSync(dir, { recursive: true });
  const python = findVenvPython() ?? "python3";
  const index = packageIndex(await runProgram(python, ["-m", "pip", "config", "list"], { signal }), process.env);
  const uvToml = join(dir, "uv.toml");
  // Only root may read the file, because it may contain the password of a package index.
  writeFileSync(uvToml, index.uvToml, { mode: 0o600 });

  const debian = await makeDebian(dir, progress, signal);
  const buildah = new Buildah(dir, signal);
  // Removes leftovers of an interrupted run.
  await buildah.clear();
  try {
    progress("building the base image: Debian with uv and stand-ins for vLLM's programs");
    await buildah.fromFolders(ENGINE_STAND_IN, [debian, await makeEngineStandIn(dir, python, signal)]);
    const volumes = [`${uvToml}:/etc/uv/uv.toml:ro`, `${index.certificates ?? CERTIFICATES}:${CERTIFICATES}:ro`];
    const images: CpuImage[] = [];
    for (const model of models) {
      const tag = `localhost/snack-misaki/${model}`;
      const buildMs = await buildModel(buildah, model, { tag, version, volumes, dir, progress });

      progress(`${model}: starting the image's entry point and chatting with it`);
      const config = await buildah.config(tag);
      const folder = await buildah.mount(tag);
      const logFile = join(dir, `${model}.container.log`);
      const chat = await chatWithContainer(model, (env) => new Container(folder, config, env, logFile), signal);
      if (chat.version !== version)
        throw new Error(`${model}: expected version ${version} from the worker, got ${chat.version}`);
      images.push({ model, buildMs, ...chat });
    }
    return images;
  } finally {
    rmSync(uvToml);
    // The cleanup needs a new instance, because Ctrl-C may have aborted the signal of `buildah`.
    await new Buildah(dir, new AbortController().signal).clear();
  }
}

/** Builds a model's image with the stand-in as its base image. Returns the duration in milliseconds. */
async function buildModel(
  buildah: Buildah,
  model: Model,
  options: { tag: string; version: string; volumes: string[]; dir: string; progress: (line: string) => void },
): Promise<number> {
  const args = { ...buildArgs(model, options.version), ENGINE_IMAGE: ENGINE_STAND_IN };
  const startedAt = Date.now();
  await buildah.build(
    options.tag,
    [
      ...options.volumes.flatMap((volume) => ["--volume", volume]),
      ...Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
      ...["--file", join(root, "images/Dockerfile"), join(root, "images")],
    ],
    {
      logFile: join(options.dir, `${model}.build.log`),
      onLine: (line) => {
        if (line.startsWith("STEP ")) options.progress(`${model}: ${line.slice(0, 100)}`);
      },
    },
  );
  return Date.now() - startedAt;
}
