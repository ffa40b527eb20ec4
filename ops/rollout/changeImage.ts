import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { Argument, type Command } from "commander";
import pc from "picocolors";
import { type Model, models } from "../../contract/plan";
import { parsePlainConfig } from "../../infra/configSchema";
import { readStackConfig } from "../../local/support/stackConfig";
import { configKey } from "../../names";
import { type ImageChange, propose } from "./propose";
import { type Image, imageKeys, imageOf, withImage } from "./stackFile";

/** Options of both commands. */
export interface ChangeOptions {
  stack: string;
  propose?: boolean;
  json?: boolean;
}

/** Argument of both commands: the model whose image changes. */
export function modelArgument(): Argument {
  return new Argument("<model>", "model whose image changes").choices(models);
}

/** Adds the options of both commands. */
export function withChangeOptions(program: Command): Command {
  return program
    .requiredOption("--stack <name>", "stack whose Pulumi.<name>.yaml changes")
    .option("--propose", "commit the change on a new branch, push it and open a pull request with gh");
}

/**
 * Changes a model's image in the stack's file, and prints the change.
 *
 * @param verb beginning of the commit's subject: `Roll out` or `Roll back`
 * @param choose returns the new image
 * @throws Error when the stack has no file, when the image is already set, or when the new configuration is not valid
 */
export async function changeImage(
  verb: "Roll out" | "Roll back",
  model: Model,
  { stack, propose: isProposed, json }: ChangeOptions,
  choose: (current: Image, file: string) => Image | Promise<Image>,
): Promise<void> {
  const file = fileOf(stack);
  const text = readFileSync(file, "utf8");
  const current = imageOf(text, model);
  if (!current) throw new Error(`${file} is not valid: ${configKey(model)} must have ${imageKeys.join(" or ")}`);
  const next = await choose(current, file);
  if (next.key === current.key && next.value === current.value)
    throw new Error(`${model} already has the image ${next.value} in ${file}`);
  checkConfig(stack, model, next);
  writeFileSync(file, withImage(text, model, next));

  const change: ImageChange = { stack, model, file, from: current.value, to: next.value };
  if (isProposed) change.pullRequest = await propose(verb, change);
  if (json) console.log(JSON.stringify(change));
  else print(change);
}

function fileOf(stack: string): string {
  const file = `Pulumi.${stack}.yaml`;
  if (/^[\w-]+$/.test(stack) && existsSync(file)) return file;
  const stacks = globSync("Pulumi.*.yaml").map((name) => name.split(".")[1]);
  throw new Error(`--stack ${stack}: must be a stack with a file, ${stacks.sort().join(", ")}`);
}

/** Checks the whole configuration with the new image, as the program does. */
function checkConfig(stack: string, model: Model, { key, value }: Image): void {
  const { values } = readStackConfig(process.cwd(), stack, {
    ...Object.fromEntries(imageKeys.map((each) => [`${model}.${each}`, undefined])),
    [`${model}.${key}`]: value,
  });
  const { problems = [] } = parsePlainConfig((name) => values[configKey(name)]);
  if (problems.length > 0)
    throw new Error(
      `The configuration of stack ${stack} would not be valid:${problems.map((line) => `\n  ${line}`).join("")}`,
    );
}

function print({ model, file, from, to, pullRequest, stack }: ImageChange): void {
  console.log(`${file}: ${model} ${pc.red(from)} → ${pc.green(to)}`);
  console.log(pullRequest ?? `Next: commit ${file}, then pulumi up --stack ${stack}`);
}
