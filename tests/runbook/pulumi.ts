import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { parse, parseDocument } from "yaml";
import type { LocalCloud } from "../../local/cloud/cloud";
import { engineOptions } from "../../local/cloud/program";
import { destroy, type EngineOptions, preview, refresh, type StepEvent, up } from "../../local/pulumi/engine";
import { StackState } from "../../local/pulumi/state";
import { readStackConfig } from "../../local/support/stackConfig";
import { configKey } from "../../names";
import { type Kind, type Parsed, parseCommand } from "./options";

/** The options that every command has. */
const everywhere: Record<string, Kind> = { "--stack": "value", "--cwd": "value", "--non-interactive": "flag" };
const commands: Parameters<typeof parseCommand>[2] = {
  login: { options: { ...everywhere, "--local": "flag" }, rest: [0, 1] },
  "stack init": { options: { ...everywhere, "--secrets-provider": "value" }, rest: [1, 1] },
  "stack select": { options: everywhere, rest: [1, 1] },
  "stack output": { options: { ...everywhere, "--json": "flag" }, rest: [0, 1] },
  "stack export": { options: { ...everywhere, "--file": "value" } },
  "stack import": { options: { ...everywhere, "--file": "value" } },
  "stack rm": { options: { ...everywhere, "--preserve-config": "flag" }, rest: [1, 1] },
  "config set": { options: { ...everywhere, "--path": "flag", "--secret": "flag" }, rest: [1, 2] },
  "config get": { options: { ...everywhere, "--path": "flag" }, rest: [1, 1] },
  "config rm": { options: { ...everywhere, "--path": "flag" }, rest: [1, 1] },
  preview: { options: { ...everywhere, "--diff": "flag" } },
  up: { options: { ...everywhere, "--refresh": "flag" } },
  refresh: { options: everywhere },
  destroy: { options: everywhere },
  cancel: { options: everywhere },
};

/** Options of the stand-in of Pulumi. */
export interface PulumiSettings {
  /** Folder of the main program. */
  repository: string;
  cloud: LocalCloud;
  /** Value that the operator types for each secret. */
  secrets: Record<string, string>;
  /** Outputs of ops/github. */
  githubOutputs: Record<string, unknown>;
}

/** Pulumi's commands, over the repository's own engine and a local cloud. It keeps stacks as the real command does. */
export class PulumiStandIn {
  private backend: string | undefined;
  /** Selected stack of each backend and program. */
  private readonly selected = new Map<string, string>();
  private readonly stacks = new Set<string>();
  private isLocked = false;
  /** Full keys of the secrets that the operator has set. */
  readonly secretsSet = new Set<string>();

  constructor(private readonly settings: PulumiSettings) {}

  /** Starts an update of a stack, and ends it after its first change, as a lost connection does. The lock stays. */
  async interrupt(stack: string): Promise<void> {
    const stop = new AbortController();
    const options = { ...this.options(stack), signal: stop.signal };
    const onStep = ({ op }: StepEvent) => op !== "same" && stop.abort();
    await expect(up({ ...options, onStep })).rejects.toThrow();
    this.isLocked = true;
  }

  /** Runs a command. Returns what it prints. Throws an Error with Pulumi's message. */
  async run(args: string[], cwd: string): Promise<string> {
    const parsed = parseCommand("pulumi", args, commands);
    const { options, rest, name } = parsed;
    if (name === "login") {
      if ((options["--local"] === true) === (rest.length === 1)) throw new Error("name a backend, or give --local");
      this.backend = rest[0] ?? "file://~";
      return `Logged in to ${this.backend}\n`;
    }
    if (this.backend === undefined) throw new Error("PULUMI_ACCESS_TOKEN must be set for login: run pulumi login");
    const dir = typeof options["--cwd"] === "string" ? join(cwd, options["--cwd"]) : cwd;
    const place = `${this.backend} ${dir}`;
    const [argument = ""] = rest;
    if (name === "stack init") {
      if (this.stacks.has(`${place} ${argument}`)) throw new Error(`stack '${argument}' already exists`);
      const provider = options["--secrets-provider"];
      if (provider !== undefined && !/^awskms:\/\/\/arn:aws:kms:/.test(String(provider)))
        throw new Error(`unknown secrets provider ${provider}`);
      this.stacks.add(`${place} ${argument}`);
    }
    if (name === "stack init" || name === "stack select" || name === "stack rm") {
      if (!this.stacks.has(`${place} ${argument}`)) throw new Error(`no stack named '${argument}' found`);
      if (name !== "stack rm") this.selected.set(place, argument);
    }
    const stack = typeof options["--stack"] === "string" ? options["--stack"] : this.selected.get(place);
    if (stack === undefined || !this.stacks.has(`${place} ${stack}`))
      throw new Error(`no stack selected; please use pulumi stack select. Known: ${[...this.stacks].join(", ")}`);
    return dir === this.settings.repository ? this.main(parsed, stack) : this.github(parsed, dir, stack);
  }

  private async main({ name, options, rest }: Parsed, stack: string): Promise<string> {
    const [key = "", value] = rest;
    const isPath = options["--path"] === true;
    switch (name) {
      case "stack init":
      case "stack select":
        return "";
      case "config set":
        if (options["--secret"]) this.change(stack, key, isPath, this.typed(key, value), true);
        else if (value === undefined) throw new Error(`${key}: the test types only secrets`);
        else this.change(stack, key, isPath, isPath ? (parse(value) as unknown) : value);
        return "";
      case "config get":
        return `${this.get(stack, key, isPath)}\n`;
      case "config rm":
        this.change(stack, key, isPath, undefined);
        return "";
      case "stack output":
        return this.output(stack, rest[0]);
      case "stack rm":
        if (new StackState(this.options(stack).statePath, false).all.length > 0)
          throw new Error(`'${stack}' still has resources; removal rejected`);
        return "";
      case "cancel":
        if (!this.isLocked) throw new Error("no update is in progress");
        this.isLocked = false;
        return "";
    }
    if (this.isLocked) throw new Error("the stack is currently locked by 1 lock(s): pulumi cancel");
    switch (name) {
      case "preview":
        return lines((await preview(this.options(stack))).steps);
      case "up":
        if (options["--refresh"]) await refresh(this.options(stack));
        return lines((await up(this.options(stack))).steps);
      case "refresh":
        return lines((await refresh(this.options(stack))).steps);
      case "destroy":
        return lines((await destroy(this.options(stack))).steps);
      default:
        throw new Error(`The test does not run pulumi ${name} for the main program`);
    }
  }

  /** The program of GitHub's roles needs an account. Only its files, commands and outputs are checked. */
  private github({ name, options, rest }: Parsed, dir: string, stack: string): string {
    const outputs = this.settings.githubOutputs;
    if (!existsSync(join(dir, `Pulumi.${stack}.yaml`))) throw new Error(`${dir} has no Pulumi.${stack}.yaml`);
    if (name === "stack export") writeFileSync(String(options["--file"]), JSON.stringify({ version: 3 }));
    if (name === "stack import") JSON.parse(readFileSync(String(options["--file"]), "utf8"));
    if (name !== "stack output") return "";
    return printed(rest[0] === undefined ? outputs : known(outputs, rest[0]));
  }

  private output(stack: string, name: string | undefined): string {
    const state = new StackState(this.options(stack).statePath, false);
    const outputs = state.all.find(({ type }) => type === "pulumi:pulumi:Stack")?.outputs ?? {};
    return printed(name === undefined ? outputs : known(outputs, name));
  }

  private options(stack: string): EngineOptions {
    const { repository, cloud } = this.settings;
    const config = () => readStackConfig(repository, stack);
    const state = join(repository, ".local");
    const options = engineOptions({ config, providers: cloud.providers }, repository, state, {}, stack);
    return { ...options, statePath: join(state, `${stack}.json`) };
  }

  private typed(key: string, value?: string): string {
    if (value !== undefined) throw new Error(`${key}: a secret on the command line stays in the shell's history`);
    const secret = this.settings.secrets[key];
    if (secret === undefined) throw new Error(`The test knows no value for the secret ${key}`);
    this.secretsSet.add(configKey(key));
    return secret;
  }

  private change(stack: string, key: string, isPath: boolean, value: unknown, isSecret = false): void {
    const file = join(this.settings.repository, `Pulumi.${stack}.yaml`);
    const document = parseDocument(readFileSync(file, "utf8"));
    const path = ["config", ...this.pathOf(key, isPath)];
    if (value === undefined) document.deleteIn(path);
    else document.setIn(path, value);
    // Pulumi encrypts each value with a new nonce, so that the file changes although the secret is the same.
    if (isSecret) document.comment = ` changed ${new Date().toISOString()}`;
    writeFileSync(file, document.toString({ lineWidth: 0 }));
  }

  /** `ticketKeys.accepted[1]` is a path of three parts. */
  private pathOf(key: string, isPath: boolean): (string | number)[] {
    const parts = isPath ? key.split(/[.[\]]+/).filter(Boolean) : [key];
    const [first = "", ...others] = parts;
    return [
      first.includes(":") ? first : configKey(first),
      ...others.map((part) => (/^\d+$/.test(part) ? Number(part) : part)),
    ];
  }

  private get(stack: string, key: string, isPath: boolean): string {
    const file = join(this.settings.repository, `Pulumi.${stack}.yaml`);
    const value = parseDocument(readFileSync(file, "utf8")).getIn(["config", ...this.pathOf(key, isPath)]);
    if (value === undefined) throw new Error(`configuration key '${key}' not found for stack '${stack}'`);
    return String(value);
  }
}

function known(outputs: Record<string, unknown>, name: string): unknown {
  if (!(name in outputs)) throw new Error(`current stack does not have output property '${name}'`);
  return outputs[name];
}

function printed(value: unknown): string {
  return `${typeof value === "string" ? value : JSON.stringify(value)}\n`;
}

function lines(steps: StepEvent[]): string {
  return steps.map(({ op, type, name }) => `${op} ${type} ${name}\n`).join("");
}
