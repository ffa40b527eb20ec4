import { existsSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import type { LocalCloud } from "../cloud/cloud";
import { customers } from "../cloud/customers";
import { openLocalCloud, type ProgramOutputs } from "../cloud/program";
import { type EngineName, engineOption } from "../llm/engineOption";
import type { StepEvent } from "../pulumi/engine";
import { LOCK_ENTRIES, lockFolder } from "../support/lock";
import { type RealStripe, realStripe } from "./realStripe";

interface Options {
  freePorts?: boolean;
  reset?: boolean;
  dir?: string;
  engine?: EngineName;
  json?: boolean;
}

const programDir = process.cwd();
const engines: Record<EngineName, string> = {
  scripted: "a scripted mama",
  ollama: "Ollama",
  llama: "SmolLM2-135M on the CPU: a real model, but a tiny one that hardly speaks Japanese",
};
const CLEAR_LINE = "\r\u001b[K";

const program = command("start", "Runs the whole product on this machine, with no account anywhere.")
  .option("--free-ports", "take free ports instead of those in Pulumi.local.yaml")
  .option("--dir <folder>", "where everything is kept (default: .local, or .local-stripe with STRIPE_API_KEY)")
  .option("--reset", "forget everything from earlier runs first")
  .addOption(engineOption())
  .action(async (options: Options) => {
    const stripe = realStripe(process.env);
    // Customers of the double are none of Stripe's.
    const dir = resolve(options.dir ?? (stripe ? ".local-stripe" : ".local"));
    lockFolder(dir);
    if (options.reset) forget(dir);
    refuseHalfState(dir);
    const say = options.json ? () => {} : (line: string) => console.log(line);
    const startedAt = performance.now();

    say(pc.dim("Starting the local cloud and evaluating the program …"));
    let cloud: LocalCloud | undefined;
    const stop = stopOnSignal(() => cloud);
    try {
      const outputs = await openLocalCloud(
        {
          programDir,
          dir,
          freePorts: options.freePorts ?? false,
          ...(stripe && { config: stripe.config }),
          ...(options.engine && { engine: options.engine }),
          say: (line) => say(pc.dim(line)),
        },
        (started) => {
          cloud = started;
        },
        options.json ? undefined : progress,
      );
      if (!cloud) return;
      if (process.stdout.isTTY && !options.json) process.stdout.write(CLEAR_LINE);
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      if (options.json)
        console.log(JSON.stringify({ pageUrl: cloud.pageUrl, ...outputs, providers: await providerPorts(cloud) }));
      else await printReady(cloud, outputs, seconds, options.freePorts, stripe);
    } catch (error) {
      await stop();
      throw error;
    }
  });

void run(program);

/** Everything but the lock. */
function forget(dir: string): void {
  for (const name of readdirSync(dir)) if (!LOCK_ENTRIES.includes(name)) rmSync(join(dir, name), { recursive: true });
}

/** Resources without the stack's state cannot be brought up: each would seem to be someone else's. */
function refuseHalfState(dir: string): void {
  if (existsSync(join(dir, "aws", "account.json")) && !existsSync(join(dir, "stack.json"))) {
    throw new Error(`${join(dir, "stack.json")} is missing. Start once with: npm start -- --reset`);
  }
}

/** One line that tells what is being done, in a terminal. */
function progress({ op, type, name }: StepEvent): void {
  if (process.stdout.isTTY) process.stdout.write(`${CLEAR_LINE}${pc.dim(`  ${op} ${type} ${name}`)}`);
}

/** Ctrl-C and a terminate signal stop everything, once; a second one ends the process at once. */
function stopOnSignal(cloud: () => LocalCloud | undefined): () => Promise<void> {
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= cloud()?.close() ?? Promise.resolve());
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      void stop().then(() => process.exit(0));
      process.once(signal, () => process.exit(1));
    });
  }
  return stop;
}

async function providerPorts({ providers }: LocalCloud): Promise<Record<string, number>> {
  const ports = Object.entries(providers).map(async ([name, port]) => [name, await port] as const);
  return Object.fromEntries(await Promise.all(ports));
}

async function printReady(
  cloud: LocalCloud,
  outputs: ProgramOutputs,
  seconds: string,
  freePorts = false,
  stripe?: RealStripe,
): Promise<void> {
  const [{ password } = { password: "" }] = customers;
  const worker =
    cloud.runpod.workerKind === "python"
      ? "the real Python worker under the real runpod SDK"
      : pc.bold(pc.yellow("canned: every reply is the same text, because there is no Python worker"));
  const attach = Object.entries(await providerPorts(cloud)).map(([name, port]) => `${name}:${port}`);
  console.log(`
${pc.bold("Snack Misaki is open.")} ${pc.dim(`ready in ${seconds} s`)}

  page        ${pc.cyan(cloud.pageUrl)}
  API         ${outputs.apiUrl}
  sign-in     ${outputs.signIn.url}  ${pc.dim(`client ${outputs.signIn.clientId}`)}
  RunPod      ${cloud.runpod.url}
  Stripe      ${stripe ? "your own, in test mode" : `${cloud.stripe?.url}  ${pc.dim("a double: pay with 4242 4242 4242 4242")}`}
  worker      ${worker}
  engine      ${engines[cloud.engine]}
  customers   ${customers.map(({ email }) => email).join(", ")}  ${pc.dim(`password ${password}`)}
${stripe ? listenLines(outputs, stripe) : ""}
${
  freePorts
    ? pc.dim("Without --free-ports, the real Pulumi can be attached.")
    : `To drive it with the real Pulumi, in another terminal (once: pulumi stack init local), with these variables before
every command, destroy and refresh too:
  PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true PULUMI_DEBUG_PROVIDERS=${attach.join(",")} pulumi up -s local`
}

${pc.dim("Ctrl-C stops everything; what you did is there at the next start.")}`);
}

/** What a developer with a Stripe account of their own does in another terminal. */
function listenLines({ webhookUrl }: ProgramOutputs, { notes }: RealStripe): string {
  const lines = [`stripe listen --forward-to ${webhookUrl}`, ...notes.map((note) => pc.yellow(note))];
  return `\nStripe's events come by its command line, in another terminal:\n${lines.map((line) => `  ${line}`).join("\n")}\n`;
}
