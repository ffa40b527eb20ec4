import { Command, CommanderError, type Option } from "commander";
import pc from "picocolors";

/** Whether the caller wants JSON. Read from `argv`, because Commander may fail before it has parsed the option. */
const isJson = process.argv.includes("--json");

/** Creates a command of this repository with the options `--help` and `--json`. */
export function command(name: string, description: string): Command {
  return (
    new Command(`npm run ${name} --`)
      .description(description)
      .option("--json", "print one JSON object and nothing else; an error is {error: {message}}")
      // By default, Commander prints its own errors and exits. `run` prints them with the next step.
      .exitOverride()
      .configureOutput({ outputError: () => {}, ...(isJson && { writeErr: () => {} }) })
  );
}

/**
 * Builds the command line that repeats this call with changed options, such as `npm run start -- --dir x --free-ports`.
 *
 * @param changes new values by option attribute (`freePorts`); true for an option without a value
 */
export function commandLine(program: Command, changes: Record<string, string | true>): string {
  const given = program.options.flatMap((option) => {
    const name = option.attributeName();
    const isGiven = name in changes || program.getOptionValueSource(name) === "cli";
    const value: unknown = changes[name] ?? program.getOptionValue(name);
    return isGiven ? (Array.isArray(value) ? value : [value]).map((one) => flagOf(option, one)) : [];
  });
  return [program.name(), ...given].join(" ");
}

/** Text of an option on the command line. Quotes a value with special characters for the shell. */
function flagOf(option: Option, value: unknown): string {
  if (typeof value !== "string") return option.long ?? option.flags;
  return `${option.long} ${/^[\w./:@=-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`}`;
}

/**
 * Rejects options that npm has parsed as its own options. In `npm start --reset`, npm reads `--reset` and puts it into
 * the variable `npm_config_reset`, so the command would run without it.
 *
 * @throws Error with the command to type
 */
function refuseOptionsOfNpm(program: Command, env: NodeJS.ProcessEnv): void {
  const taken = [program, ...program.commands].flatMap(({ options }) =>
    options.flatMap((option) => {
      const value = env[`npm_config_${option.name().replace(/^no-/, "").replaceAll("-", "_")}`];
      // npm sets an empty value for `--no-<name>`. Any other value is npm's own setting, such as `python`.
      if (value === undefined || option.negate !== (value === "") || process.argv.includes(option.long ?? ""))
        return [];
      const isText = option.required || option.optional;
      return isText && value === "true" ? option.flags : flagOf(option, isText ? value : undefined);
    }),
  );
  if (taken.length === 0) return;
  const flags = [...new Set(taken)].join(" ");
  throw new Error(`npm has parsed ${flags} as its own option. Write -- before the options: ${program.name()} ${flags}`);
}

/**
 * Runs a command's action. Prints a thrown error as one line on stderr, or with `--json` as one JSON object on stdout.
 * Also prints the error's stack when DEBUG is set. Sets exit status 1.
 */
export async function run(program: Command): Promise<void> {
  try {
    refuseOptionsOfNpm(program, process.env);
    await program.parseAsync();
  } catch (error) {
    // Commander throws this error after it has printed the help.
    if (error instanceof CommanderError && error.exitCode === 0) return;
    const message = messageOf(error, program);
    if (isJson) console.log(JSON.stringify({ error: { message } }));
    else console.error(pc.red(message));
    if (process.env.DEBUG && error instanceof Error) console.error(error.stack);
    process.exitCode = 1;
  }
}

function messageOf(error: unknown, program: Command): string {
  if (!(error instanceof CommanderError)) return error instanceof Error ? error.message : String(error);
  // Commander prints the help for a command line without a command. The text of its error is then "(outputHelp)".
  const mistake = error.code === "commander.help" ? "a command is missing" : error.message.replace(/^error: /, "");
  return `${mistake.replace(/\.$/, "").replaceAll("\n", " ")}. See: ${program.name()} --help`;
}
