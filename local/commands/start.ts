import { existsSync, readdirSync, rmSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import pc from "picocolors";
import { command, commandLine, run } from "../../cli/command";
import { Progress } from "../../cli/progress";
import { START_STACK } from "../../names";
import type { LocalCloud } from "../cloud/cloud";
import { customers } from "../cloud/customers";
import { imageTagsOfSources } from "../cloud/imageTags";
import type { ProgramOutputs } from "../cloud/outputs";
import { openLocalCloud } from "../cloud/program";
import { CODE_HOURS } from "../cognito/codes";
import type { Email } from "../cognito/cognito";
import { type EngineName, engineOption } from "../llm/engineOption";
import { StackState } from "../pulumi/state";
import { configOption } from "../support/configOption";
import type { Listening } from "../support/http";
import { LOCK_ENTRIES, lockFolder } from "../support/lock";
import { PortInUseError } from "../support/portInUse";
import { choosePorts, type Ports, requireFreePorts } from "../support/ports";
import { setupPython } from "../support/pythonEnvironment";
import { parseOverrides } from "../support/stackConfig";
import { type Frontend, frontendOverrides, frontendVariables, readFrontend, serveFrontend } from "./frontend";
import { checkKeys } from "./keyCheck";
import { type RealStripe, realStripe } from "./realStripe";
import { type RealVip, realVip } from "./realVip";

interface Options {
  freePorts?: boolean;
  reset?: boolean;
  dir?: string;
  python: boolean;
  engine?: EngineName;
  frontend?: string;
  config: string[];
  json?: boolean;
}

const programDir = process.cwd();
const engines: Record<EngineName, string> = {
  scripted: "scripted replies, no language model",
  ollama: "Ollama",
  vllm: "vLLM on the CPU with tiny random models: it writes random words",
  llama: "SmolLM2-135M on the CPU: a real model, but a tiny one that hardly speaks Japanese",
};

const program = command("start", "Runs the whole product on this machine, without any account.")
  .option("--free-ports", "use free ports, not the ports in Pulumi.local.yaml")
  .option("--dir <folder>", "folder for all state (default: .local; with STRIPE_API_KEY: .local-stripe)")
  .option("--frontend <folder or URL>", "let this frontend also use the local cloud; a folder is served on port 4104")
  .addOption(configOption("start with this change of the configuration, such as mistral.candidate.imageTag=2026-12-01"))
  .option("--reset", "delete the state of earlier runs first")
  .option("--no-python", "do not use the Python worker: every reply is the same canned text")
  .addOption(engineOption())
  .action(start);

void run(program);

async function start(options: Options): Promise<void> {
  if (options.engine && !options.python)
    throw new Error("--engine and --no-python exclude each other: without Python, no engine is used.");
  const config = parseOverrides(options.config);
  const stripe = realStripe(process.env);
  const vip = realVip(process.env);
  // Real Stripe and the double need separate folders, because their customers must not mix.
  const dir = resolve(options.dir ?? (stripe ? ".local-stripe" : ".local"));
  const elsewhere = commandLine(program, { freePorts: true, dir: unusedFolder(dir) });
  lockFolder(dir, "npm start", `, or run ${elsewhere}`);
  const frontend = options.frontend ? await readFrontend(options.frontend, options.freePorts ?? false) : undefined;
  const ports = await portsOf(options, stripe !== undefined, frontend);
  if (options.reset) forget(dir);
  refuseHalfState(dir);
  await checkKeys([...(stripe?.checks ?? []), ...(vip?.checks ?? [])]);
  // With --json, stdout contains only one JSON object.
  const progress = new Progress(options.json ? process.stderr : process.stdout);
  const noWorkerReason = await setUpWorker(options.python, progress);

  const startedAt = performance.now();
  if (!options.json) progress.step("Starting the local cloud and evaluating the program …");
  let cloud: LocalCloud | undefined;
  let site: Listening | undefined;
  const stop = stopOnSignal(async () => {
    await site?.close();
    await cloud?.close();
  });
  try {
    const outputs = await openLocalCloud(
      {
        programDir,
        dir,
        freePorts: options.freePorts ?? false,
        ports,
        withoutPython: !options.python,
        config: {
          ...(await imageTagsOfSources(programDir)),
          ...stripe?.config,
          ...vip?.config,
          ...(frontend && frontendOverrides(programDir, ports, frontend)),
          ...config,
        },
        ...(vip && { lambdaEnv: vip.lambdaEnv }),
        ...(options.engine && { engine: options.engine }),
        progress: options.json ? () => {} : progress.step,
        deliver: showEmail,
      },
      (started) => {
        cloud = started;
      },
      options.json ? undefined : ({ op, type, name }) => progress.activity(`${op} ${type} ${name}`),
    );
    if (!cloud) return;
    if (frontend) site = await serveFrontend(frontend, outputs);
    progress.clear();
    if (options.json) {
      const { pageUrl, runpod, stripe: stripeDouble, aws } = cloud;
      const providers = await providerPorts(cloud);
      const jwksUrl = cloud.jwksUrl(outputs.signIn.issuer);
      const own = frontend && { url: frontend.origin, variables: frontendVariables(outputs) };
      const doubles = { runpod: runpod.url, ...(stripeDouble && { stripe: stripeDouble.url }), aws: aws.endpoints };
      const printed = { pageUrl, ...outputs, jwksUrl, worker: runpod.workerKind, providers, doubles };
      console.log(JSON.stringify({ ...printed, ...(own && { frontend: own }) }));
    } else {
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      await printReady(cloud, outputs, seconds, {
        freePorts: options.freePorts ?? false,
        frontend,
        stripe,
        vip,
        noWorkerReason,
      });
    }
  } catch (error) {
    await stop();
    throw withNextStep(error);
  }
}

/**
 * Chooses the ports and checks that they are free. So a start fails immediately, and not after the program has started.
 *
 * @throws Error with the next step when a port is in use
 */
async function portsOf({ freePorts = false }: Options, hasRealStripe: boolean, served?: Frontend): Promise<Ports> {
  const ports = await choosePorts(programDir, freePorts);
  if (freePorts) return ports;
  const { stripe, ...others } = ports;
  const used = { ...others, ...(!hasRealStripe && { stripe }), ...(served?.port && { frontend: served.port }) };
  await requireFreePorts(used).catch((error: unknown) => {
    throw withNextStep(error);
  });
  return ports;
}

/** Adds the command that uses free ports to the error of a port in use. */
function withNextStep(error: unknown): unknown {
  if (!(error instanceof PortInUseError)) return error;
  return new Error(`${error.message}, or run ${commandLine(program, { freePorts: true })}`, { cause: error });
}

/** Returns the first of `<folder>-2`, `<folder>-3` … that does not exist. */
function unusedFolder(dir: string): string {
  const folder = relative(programDir, dir);
  for (let number = 2; ; number++) if (!existsSync(`${dir}-${number}`)) return `${folder}-${number}`;
}

/** Shows a code on stderr, because stdout contains only one JSON object with --json. */
function showEmail({ to, purpose, code }: Email): void {
  const reason = purpose === "confirmSignUp" ? "to confirm the account" : "to set a new password";
  console.error(`Cognito's e-mail to ${to}: code ${pc.bold(code)} ${reason}, valid for ${CODE_HOURS[purpose]} h.`);
}

/**
 * Sets up the worker's Python environment if it is missing.
 *
 * @returns undefined when the worker can start, otherwise the reason and the next step
 */
async function setUpWorker(wanted: boolean, progress: Progress): Promise<string | undefined> {
  if (!wanted) return "--no-python was given. Start again without it";
  const { status, detail } = await setupPython((line) => progress.step(`Python worker: ${line} …`), progress.activity);
  progress.clear();
  if (status === "ready") return undefined;
  console.error(pc.bold(pc.yellow(`NO PYTHON WORKER: ${detail}.`)));
  return detail;
}

/** Deletes all state in a folder except the lock. */
function forget(dir: string): void {
  for (const name of readdirSync(dir)) if (!LOCK_ENTRIES.includes(name)) rmSync(join(dir, name), { recursive: true });
}

/**
 * Rejects local resources without a stack's state, because the program would treat them as resources of another stack.
 * Also rejects a stack's state without local resources. An earlier version left such a state, because it stored the
 * resources in another file.
 *
 * @throws Error with the next step
 */
function refuseHalfState(dir: string): void {
  const stack = join(dir, "stack.json");
  const account = join(dir, "aws", "account.db");
  // After an early failure, the state contains only components and ticket keys. The local account does not contain
  // them.
  const hasResources = new StackState(stack, false).all.some(({ type }) => type.startsWith("aws:"));
  const missing = existsSync(account) ? !existsSync(stack) && stack : hasResources && account;
  if (!missing) return;
  throw new Error(
    `${missing} is missing, but other local state exists. Delete all local state with: ${commandLine(program, { reset: true })}`,
  );
}

/** Stops everything at the first SIGINT or SIGTERM, and ends the process at the second. */
function stopOnSignal(close: () => Promise<void>): () => Promise<void> {
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= close());
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
  {
    freePorts,
    frontend,
    stripe,
    vip,
    noWorkerReason,
  }: {
    freePorts: boolean;
    frontend: Frontend | undefined;
    stripe: RealStripe | undefined;
    vip: RealVip | undefined;
    noWorkerReason: string | undefined;
  },
): Promise<void> {
  const [{ password } = { password: "" }] = customers;
  const worker = noWorkerReason
    ? pc.bold(
        pc.yellow(`CANNED: every reply is the same text, and no ticket is checked.\n              ${noWorkerReason}.`),
      )
    : "the real Python worker with the real runpod SDK";
  const attach = Object.entries(await providerPorts(cloud)).map(([name, port]) => `${name}:${port}`);
  console.log(`
${pc.bold("Snack Misaki is open.")} ${pc.dim(`ready in ${seconds} s`)}

  page        ${pc.cyan(cloud.pageUrl)}
  API         ${outputs.apiUrl}
  relay       ${outputs.relayUrl}  ${pc.dim("POST /chat")}
  sign-in     ${outputs.signIn.url}  ${pc.dim(`client ${outputs.signIn.clientId}`)}
  RunPod      ${cloud.runpod.url}
  Stripe      ${stripe ? "your own account, in test mode" : `${cloud.stripe?.url}  ${pc.dim("a double: pay with 4242 4242 4242 4242")}`}
  worker      ${worker}
  vip         ${vip ? `the real ${vip.providers.join(", ")}: each reply costs money` : "local servers of the vendors' wire formats, with scripted replies"}
  engine      ${noWorkerReason ? "not used" : engines[cloud.engine.name]}
  customers   ${customers.map(({ email }) => email).join(", ")}  ${pc.dim(`password ${password}`)}
${stripe ? listenLines(outputs, stripe) : ""}${frontend ? frontendLines(outputs, frontend) : ""}
${
  freePorts
    ? pc.dim("To use the real Pulumi with this local cloud, start without --free-ports.")
    : `To use the real Pulumi with this local cloud, run this in another terminal (the first time, run this before: pulumi stack init local).
It creates the stack local; this page shows the stack ${START_STACK}. Put the variables before every command, also before destroy and refresh:
  PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true PULUMI_DEBUG_PROVIDERS=${attach.join(",")} pulumi up -s local`
}

${pc.dim("Ctrl-C stops everything. The next start continues from the same state.")}`);
}

/** Lines with the address of the frontend and the variables for its build. */
function frontendLines(outputs: ProgramOutputs, { origin, folder }: Frontend): string {
  const variables = Object.entries(frontendVariables(outputs)).map(([name, value]) => `${name}='${value}'`);
  const use = folder
    ? `serves ${folder}; its /config.json has these values and the URLs for the sign-in`
    : "may use the local cloud. Put these lines into its .env.local";
  return `\nFrontend: ${pc.cyan(origin)} ${use}:\n${variables.map((line) => `  ${line}`).join("\n")}\n`;
}

/** Instructions for a developer with a Stripe account: commands for another terminal. */
function listenLines({ webhookUrl }: ProgramOutputs, { notes }: RealStripe): string {
  const lines = [`stripe listen --forward-to ${webhookUrl}`, ...notes.map((note) => pc.yellow(note))];
  return `\nForward Stripe's events with the Stripe CLI, in another terminal:\n${lines.map((line) => `  ${line}`).join("\n")}\n`;
}
