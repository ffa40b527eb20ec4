/** Kind of an option: `flag` has no value. */
export type Kind = "flag" | "value";

/** A parsed command line. */
export interface Parsed {
  /** Words of the command, such as `config set`. */
  name: string;
  options: Record<string, string | true>;
  rest: string[];
}

/**
 * Parses a command line as strictly as the real program.
 *
 * @param commands options by command, and how many other arguments each command takes at least and at most
 * @throws Error for a command, an option or an argument that the program does not have
 */
export function parseCommand(
  program: string,
  args: string[],
  commands: Record<string, { options: Record<string, Kind>; rest?: [number, number] }>,
): Parsed {
  const name = Object.keys(commands)
    .toSorted((a, b) => b.length - a.length)
    .find((each) => each.split(" ").every((word, index) => args[index] === word));
  const known = name === undefined ? undefined : commands[name];
  if (name === undefined || !known) throw new Error(`unknown command "${args.slice(0, 2).join(" ")}" for "${program}"`);
  const given = args.slice(name.split(" ").length);
  const options: Parsed["options"] = {};
  const rest: string[] = [];
  for (let index = 0; index < given.length; index++) {
    const arg = given[index] ?? "";
    if (!arg.startsWith("--")) {
      rest.push(arg);
      continue;
    }
    const kind = known.options[arg];
    if (kind === undefined) throw new Error(`unknown flag: ${arg} of ${program} ${name}`);
    const value = kind === "flag" ? true : given[++index];
    if (value === undefined || value === "") throw new Error(`flag needs an argument: ${arg}`);
    options[arg] = value;
  }
  const [least, most] = known.rest ?? [0, 0];
  if (rest.length < least || rest.length > most || rest.includes(""))
    throw new Error(`${program} ${name} takes ${least} to ${most} arguments, received ${JSON.stringify(rest)}`);
  return { name, options, rest };
}

/** The text of a required option. */
export function needed({ name, options }: Parsed, option: string): string {
  const value = options[option];
  if (typeof value !== "string") throw new Error(`${name}: the following arguments are required: ${option}`);
  return value;
}
