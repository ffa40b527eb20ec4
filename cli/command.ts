import { Command, CommanderError } from "commander";
import pc from "picocolors";

/** Whether the caller wants JSON. Read from `argv`, because Commander may fail before it has parsed the option. */
const isJson = process.argv.includes("--json");

/** Creates a command of this repository with the options `--help` and `--json`. */
export function command(name: string, description: string): Command {
  const created = new Command(`npm run ${name} --`)
    .description(description)
    .option("--json", "print one JSON object and nothing else; an error is {error: {message}}");
  // By default, Commander prints its own errors as text and exits.
  return isJson ? created.exitOverride().configureOutput({ writeErr: () => {} }) : created;
}

/**
 * Runs a command's action. Prints a thrown error as one line on stderr, or with `--json` as one JSON object on stdout.
 * Also prints its stack when DEBUG is set. Sets exit status 1.
 */
export async function run(program: Command): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    // Commander throws this after it has printed the help.
    if (error instanceof CommanderError && error.exitCode === 0) return;
    const message = error instanceof Error ? error.message : String(error);
    if (isJson) console.log(JSON.stringify({ error: { message: message.replace(/^error: /, "") } }));
    else console.error(pc.red(message));
    if (process.env.DEBUG && error instanceof Error) console.error(error.stack);
    process.exitCode = 1;
  }
}
