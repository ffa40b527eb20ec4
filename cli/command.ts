import { Command } from "commander";
import pc from "picocolors";

/** Creates a command of this repository with the options `--help` and `--json`. */
export function command(name: string, description: string): Command {
  return new Command(`npm run ${name} --`)
    .description(description)
    .option("--json", "print one JSON object and nothing else");
}

/**
 * Runs a command's action. Prints a thrown error as one line, and its stack when DEBUG is set, and sets exit status 1.
 */
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
