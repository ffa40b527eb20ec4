import { Command } from "commander";
import pc from "picocolors";

/** A command of ours: `--help` and `--json` come with it, and an error is one line and exit status 1. */
export function command(name: string, description: string): Command {
  return new Command(`npm run ${name} --`)
    .description(description)
    .option("--json", "print one JSON object and nothing else");
}

/** Runs a command's action; what it throws becomes one clear line. The stack is shown with DEBUG set. */
export async function run(program: Command): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    console.error(pc.red(message));
    if (process.env.DEBUG && error instanceof Error) console.error(error.stack);
    process.exitCode = 1;
  }
}
