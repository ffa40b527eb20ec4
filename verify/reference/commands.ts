import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";

/** Scripts of package.json that only npm or other scripts run. */
const internal = ["prepare"];

/** Renders `docs/reference/commands.md` from the `--help` of every command in package.json. */
export async function commandsPage(): Promise<string> {
  const { scripts } = JSON.parse(readFileSync("package.json", "utf8")) as { scripts: Record<string, string> };
  const commands = Object.entries(scripts).flatMap(([name, script]) => {
    const [, entry] = /^node cli\/run\.cjs (\S+)$/.exec(script) ?? [];
    return entry && !internal.includes(name) ? [{ name, entry }] : [];
  });
  const sections: string[] = [];
  for (const { name, entry } of commands) sections.push(await section(name, entry));
  return `# Commands

The \`--help\` of every command.

${sections.join("\n")}`;
}

async function section(name: string, entry: string): Promise<string> {
  const own = await help(entry);
  const parts = [`## npm run ${name}\n\n${block(own)}`];
  for (const subcommand of subcommandsOf(own)) {
    parts.push(`### npm run ${name} -- ${subcommand}\n\n${block(await help(entry, subcommand))}`);
  }
  return parts.join("\n");
}

/** Names of the subcommands that a help text lists under "Commands:", without the built-in `help`. */
function subcommandsOf(text: string): string[] {
  const [, list = ""] = /^Commands:\n((?: .*\n?)+)/m.exec(text) ?? [];
  return [...list.matchAll(/^ {2}([\w-]+)/gm)].map(([, name = ""]) => name).filter((name) => name !== "help");
}

async function help(entry: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, NO_COLOR: "1" };
  const { stdout } = await promisify(execFile)(process.execPath, ["cli/run.cjs", entry, ...args, "--help"], { env });
  return stdout.trim();
}

function block(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\`\n`;
}
