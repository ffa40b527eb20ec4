import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { Argument, type Command } from "commander";
import pc from "picocolors";
import { type Model, models } from "../../contract/plan";
import { contradictions } from "../../infra/checkConfig";
import { parsePlainConfig } from "../../infra/configSchema";
import { readStackConfig } from "../../local/support/stackConfig";
import { configKey } from "../../names";
import { candidateOf } from "./candidateFile";
import { type ImageChange, propose, type Verb } from "./propose";
import { type Image, imageKeys, imageOf, withImage } from "./stackFile";

/** Options of every command that changes a stack's file. */
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

/** The new image of a model. */
interface ChosenImage extends Image {
  /** The commit whose sources describe an earlier image. */
  commit?: string;
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
  options: ChangeOptions,
  choose: (current: Image, file: string) => ChosenImage | Promise<ChosenImage>,
): Promise<void> {
  const { file, text, image: current } = readImage(options.stack, model);
  const next = await choose(current, file);
  if (next.key === current.key && next.value === current.value)
    throw new Error(`${model} already has the image ${next.value} in ${file}`);
  const candidate = candidateOf(text, model)?.image;
  if (candidate?.value === next.value) {
    throw new Error(
      `${next.value} is the candidate of ${model} in ${file}: run npm run admin -- canary ${model} promote --stack ${options.stack}`,
    );
  }
  const change: ImageChange = { stack: options.stack, model, file, from: current.value, to: next.value };
  const warnings = [
    ...(candidate
      ? [`The candidate ${candidate.value} stays. From now on, the verdict compares it with ${next.value}.`]
      : []),
    ...(next.commit ? sourceWarnings({ ...next, commit: next.commit }, { current, model, stack: options.stack }) : []),
  ];
  if (warnings.length > 0) change.warning = warnings.join(" ");
  await applyChange(verb, change, withImage(text, model, next), imageOverrides(model, next), options);
  if (options.json) console.log(JSON.stringify(change));
  else print(change);
}

/** Says which sources of an earlier image the next `pulumi up` needs. */
function sourceWarnings(
  { key, value, commit }: Required<ChosenImage>,
  { current, model, stack }: { current: Image; model: Model; stack: string },
): string[] {
  if (key === "imageTag" && current.key === "imageUri") {
    return [
      `The stack has no ECR repository, so pulumi up builds ${value} from images/. First get its sources back: git ` +
        `checkout ${commit} -- images`,
    ];
  }
  const { values } = readStackConfig(process.cwd(), stack);
  const { weights } = JSON.parse(values[configKey(model)] ?? "{}") as { weights?: unknown };
  if (weights !== "cached") return [];
  return [
    `${model}.weights is cached, and the workers of ${value} need its commit of the weights. First get it back: git checkout ` +
      `${commit} -- images/${model}/model.json`,
  ];
}

/** The file of a stack, its text, and the image of a model. Throws an Error when there is no such file or image. */
export function readImage(stack: string, model: Model): { file: string; text: string; image: Image } {
  const file = fileOf(stack);
  const text = readFileSync(file, "utf8");
  const image = imageOf(text, model);
  if (!image) throw new Error(`${file} is not valid: ${configKey(model)} must have ${imageKeys.join(" or ")}`);
  return { file, text, image };
}

/** Changes of the configuration, by path, that set a model's image. */
export function imageOverrides(model: Model, { key, value }: Image): Record<string, unknown> {
  return {
    ...Object.fromEntries(imageKeys.map((each) => [`${model}.${each}`, undefined])),
    [`${model}.${key}`]: value,
  };
}

/**
 * Writes a stack's file, and opens the pull request if the operator wants one.
 *
 * @param change gets the URL of the pull request
 * @param text new text of the file
 * @param overrides the same change, by path of the configuration
 * @throws Error when the new configuration is not valid. Then the file does not change
 */
export async function applyChange(
  verb: Verb,
  change: ImageChange,
  text: string,
  overrides: Record<string, unknown>,
  { propose: isProposed }: Pick<ChangeOptions, "propose">,
): Promise<void> {
  checkConfig(change.stack, overrides);
  writeFileSync(change.file, text);
  if (isProposed) change.pullRequest = await propose(verb, change);
}

function fileOf(stack: string): string {
  const file = `Pulumi.${stack}.yaml`;
  if (/^[\w-]+$/.test(stack) && existsSync(file)) return file;
  const stacks = globSync("Pulumi.*.yaml").map((name) => name.split(".")[1]);
  throw new Error(`--stack ${stack}: must be a stack with a file, ${stacks.sort().join(", ")}`);
}

/** Checks the whole configuration with a change, as the program does. */
function checkConfig(stack: string, overrides: Record<string, unknown>): void {
  const { values } = readStackConfig(process.cwd(), stack, overrides);
  const { config, problems = [] } = parsePlainConfig((name) => values[configKey(name)]);
  const all = [...problems, ...(config ? contradictions(config, stack) : [])];
  if (all.length > 0)
    throw new Error(
      `The configuration of stack ${stack} would not be valid:${all.map((line) => `\n  ${line}`).join("")}`,
    );
}

function print(change: ImageChange): void {
  printChange(change);
  console.log(nextLine(change));
}

/** Prints a change of a stack's file, and its warning. */
export function printChange({ model, file, from, to, warning }: ImageChange): void {
  console.log(`${file}: ${model} ${pc.red(from)} → ${pc.green(to)}`);
  if (warning) console.error(pc.yellow(`Warning: ${warning}`));
}

/** URL of the pull request, or the operator's next step. */
export function nextLine({ file, stack, pullRequest }: ImageChange): string {
  return pullRequest ?? `Next: commit ${file}, then pulumi up --stack ${stack}`;
}
