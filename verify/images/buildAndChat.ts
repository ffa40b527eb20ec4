import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../cli/root";
import type { Model } from "../../contract/plan";
import { buildArgs } from "../../images/models";
import { lockFolder } from "../../local/support/lock";
import { findVenvPython } from "../../local/support/pythonEnvironment";
import { Buildah } from "./buildah";
import { type Chat, chatWith } from "./chat";
import { Container } from "./container";
import { makeDebian } from "./debian";
import { execute } from "./execute";
import { packageIndex } from "./packageIndex";
import { makeStandIn } from "./standIn";

/** One image, built and talked to. */
export interface CpuImage extends Chat {
  model: Model;
  buildMs: number;
}

const ENGINE_STAND_IN = "localhost/snack-misaki/engine-stand-in";
const CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt";

/**
 * Builds the shipped Dockerfiles on a Debian without a GPU, where `vllm` and `hf` are stand-ins and everything else is
 * real, then starts each image's own entry point and chats with it. What is built is removed again; the Debian stays.
 *
 * @param version baked into the images, and expected from their workers
 * @throws Error that names the step and shows its last lines
 */
export async function buildAndChat(
  models: readonly Model[],
  version: string,
  progress: (line: string) => void,
  signal: AbortSignal,
): Promise<CpuImage[]> {
  const dir = join(root, ".build/images");
  lockFolder(dir, "npm run images:build", "");
  mkdirSync(dir, { recursive: true });
  const python = findVenvPython() ?? "python3";
  const index = packageIndex(await execute(python, ["-m", "pip", "config", "list"], { signal }), process.env);
  const uvToml = join(dir, "uv.toml");
  // It may hold a password of the index.
  writeFileSync(uvToml, index.uvToml, { mode: 0o600 });

  const debian = await makeDebian(dir, progress, signal);
  const buildah = new Buildah(dir, signal);
  // Left by a run that was cut off.
  await buildah.clear();
  try {
    progress("base image: Debian with uv and the engine's stand-in");
    await buildah.fromFolders(ENGINE_STAND_IN, [debian, await makeStandIn(dir, python, signal)]);
    const volumes = [`${uvToml}:/etc/uv/uv.toml:ro`, `${index.certificates ?? CERTIFICATES}:${CERTIFICATES}:ro`];
    const images: CpuImage[] = [];
    for (const model of models) {
      const tag = `localhost/snack-misaki/${model}`;
      const args = { ...buildArgs(model, version), ENGINE_IMAGE: ENGINE_STAND_IN };
      const started = Date.now();
      await buildah.build(
        tag,
        [
          ...volumes.flatMap((volume) => ["--volume", volume]),
          ...Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
          ...["--file", join(root, "images/Dockerfile"), join(root, "images")],
        ],
        {
          logFile: join(dir, `${model}.build.log`),
          onLine: (line) => {
            if (line.startsWith("STEP ")) progress(`${model}: ${line.slice(0, 100)}`);
          },
        },
      );
      const buildMs = Date.now() - started;

      progress(`${model}: starting its entry point and chatting`);
      const config = await buildah.config(tag);
      const folder = await buildah.mount(tag);
      const logFile = join(dir, `${model}.container.log`);
      const chat = await chatWith(model, (env) => new Container(folder, config, env, logFile), signal);
      if (chat.version !== version)
        throw new Error(`${model}: its worker says version ${chat.version}, built as ${version}`);
      images.push({ model, buildMs, ...chat });
    }
    return images;
  } finally {
    rmSync(uvToml);
    // Also after Ctrl-C, which ended the other one.
    await new Buildah(dir, new AbortController().signal).clear();
  }
}
