import Table from "cli-table3";
import { Argument, Option } from "commander";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import { models } from "../../contract/plan";
import type { Weights } from "../../images/models";
import { buildAndChat, type CpuImage } from "./buildAndChat";
import { buildImages, type ImageName, imageNames } from "./buildImages";
import { cpuObstacle } from "./cpuObstacle";

interface Options {
  cpu?: boolean;
  push?: boolean;
  tag: string;
  repository: string;
  weights: Weights;
  json?: boolean;
}

/** Exit status of a skipped run, as in Automake's test suites. */
const SKIPPED_STATUS = 77;

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => stop.abort(new Error(`${signal}: stopped`)));

const program = command(
  "images:build",
  "Builds the worker images and the training image. With --cpu it builds and tests the worker images on a machine without docker and without a GPU.",
)
  .addArgument(
    new Argument("[images...]", "models whose worker images to build, or training")
      .choices(imageNames)
      .default([...models], "all models"),
  )
  .option("--cpu", "build on a Debian system with a stand-in for vLLM, start each image and chat with it")
  .option("--tag <tag>", "tag of the images; the workers report this tag as their version", "dev")
  .option("--repository <name>", "name of the images, without the model's name", "snack-misaki")
  .addOption(
    new Option("--push", "push each image to its registry, and print its name with the digest").conflicts("cpu"),
  )
  .addOption(
    new Option("--weights <where>", "include the weights in the image, or use RunPod's model cache")
      .choices(["baked", "cached"])
      .default("baked"),
  )
  .addHelpText(
    "after",
    `
The variable HF_TOKEN may contain a Hugging Face token for gated models. --push needs docker or buildah to be signed in to the registry.
When --cpu cannot run on this machine, the command prints SKIPPED with the reason and exits with status ${SKIPPED_STATUS}.`,
  )
  .action(async (selected: ImageName[], options: Options) => {
    const progress = (line: string) => void (options.json || console.error(pc.dim(line)));
    if (!options.cpu) {
      const built = await buildImages(selected, options, progress, stop.signal);
      console.log(options.json ? JSON.stringify({ built }) : built.map((image) => `built ${image}`).join("\n"));
      return;
    }
    const workers = selected.filter((name) => name !== "training");
    if (workers.length < selected.length)
      throw new Error("--cpu cannot build training: the image contains 7 GB of packages for GPUs. Allowed: a model");
    const obstacle = cpuObstacle();
    if (obstacle) {
      console.error(pc.yellow(pc.bold(`SKIPPED: ${obstacle}`)));
      if (options.json) console.log(JSON.stringify({ skipped: obstacle }));
      process.exitCode = process.env.REQUIRE_ALL === "1" ? 1 : SKIPPED_STATUS;
      return;
    }
    const images = await buildAndChat(workers, options.tag, progress, stop.signal).catch((error: unknown) => {
      throw stop.signal.aborted ? stop.signal.reason : error;
    });
    const names = images.map(({ model }) => model);
    console.log(options.json ? JSON.stringify({ built: names, chatted: names, images }) : table(images));
  });

void run(program);

function table(images: CpuImage[]): string {
  const head = ["image", "built in", "first reply after", "reply", "version", "after SIGTERM during a reply"];
  const rows = new Table({ head, style: { head: [], border: [] } });
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  for (const { model, buildMs, firstReplyMs, reply, version, exitCode } of images)
    rows.push([
      model,
      seconds(buildMs),
      seconds(firstReplyMs),
      reply,
      version,
      `reply complete, exit code ${exitCode}`,
    ]);
  return rows.toString();
}
