import Table from "cli-table3";
import { Argument, Option } from "commander";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import { type Model, models } from "../../contract/plan";
import type { Weights } from "../../images/models";
import { buildAndChat, type CpuImage } from "./buildAndChat";
import { buildImages } from "./docker";
import { cpuObstacle } from "./machine";

interface Options {
  cpu?: boolean;
  tag: string;
  repository: string;
  weights: Weights;
  json?: boolean;
}

/** Exit status of a skip, as in Automake's tests. */
const SKIPPED_STATUS = 77;

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => stop.abort(new Error(`${signal}: stopped`)));

const program = command(
  "images:build",
  "Builds the workers' images. With --cpu it proves them on a machine without docker and a GPU.",
)
  .addArgument(new Argument("[models...]", "which of them").choices(models).default([...models], "all"))
  .option("--cpu", "build on a Debian with a stand-in for the engine, start each entry point and chat with it")
  .option("--tag <tag>", "tag of the images, and the version that their workers report", "dev")
  .option("--repository <name>", "the images' name, without the model", "snack-misaki")
  .addOption(
    new Option("--weights <where>", "in the image, or in RunPod's model cache")
      .choices(["baked", "cached"])
      .default("baked"),
  )
  .addHelpText(
    "after",
    `
A token for gated models is read from HF_TOKEN. Push the images with docker or buildah.
Where --cpu cannot run, it prints SKIPPED with the reason and exits with status ${SKIPPED_STATUS}.`,
  )
  .action(async (chosen: Model[], options: Options) => {
    const progress = (line: string) => void (options.json || console.error(pc.dim(line)));
    if (!options.cpu) {
      const built = await buildImages(chosen, options, progress, stop.signal);
      console.log(options.json ? JSON.stringify({ built }) : built.map((image) => `built ${image}`).join("\n"));
      return;
    }
    const obstacle = cpuObstacle();
    if (obstacle) {
      console.error(pc.yellow(pc.bold(`SKIPPED: ${obstacle}`)));
      if (options.json) console.log(JSON.stringify({ skipped: obstacle }));
      process.exitCode = process.env.REQUIRE_ALL === "1" ? 1 : SKIPPED_STATUS;
      return;
    }
    const images = await buildAndChat(chosen, options.tag, progress, stop.signal).catch((error: unknown) => {
      throw stop.signal.aborted ? stop.signal.reason : error;
    });
    const names = images.map(({ model }) => model);
    console.log(options.json ? JSON.stringify({ built: names, chatted: names, images }) : table(images));
  });

void run(program);

function table(images: CpuImage[]): string {
  const head = ["image", "built in", "first reply after", "reply", "version", "SIGTERM in mid-reply"];
  const rows = new Table({ head, style: { head: [], border: [] } });
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
  for (const { model, buildMs, firstReplyMs, reply, version, exitCode } of images)
    rows.push([
      model,
      seconds(buildMs),
      seconds(firstReplyMs),
      reply,
      version,
      `reply finished, exit code ${exitCode}`,
    ]);
  return rows.toString();
}
