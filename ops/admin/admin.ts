import type { Command } from "commander";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import { fittedTable } from "../../cli/fittedTable";
import type { AdminCandidate, AdminEvent, AdminUser } from "../../contract/admin";
import { type Model, models } from "../../contract/plan";
import { candidateTable } from "./candidateTable";
import { type EndedCandidate, endedText, promote, remove } from "./endCandidate";
import { fieldTable } from "./fieldTable";
import { type Ask, connect, type Target } from "./invoke";

type Options = Target & { json?: boolean };

/** Options of `canary`. */
interface CanaryOptions {
  propose?: boolean;
  force?: boolean;
}

const program = command(
  "admin",
  "Shows and changes customers' plans and models' candidates, with your AWS credentials.",
)
  .option("--stack <name>", 'name of the stack; "start" is the stack of npm start', "start")
  .option("--dir <folder>", "npm start's state folder", ".local");

/** Adds a subcommand. `action` calls the admin function, and `show` formats the result when `--json` is not set. */
function subcommand<A extends unknown[], R>(
  usage: string,
  description: string,
  action: (ask: Ask, ...args: A) => Promise<R>,
  show: (result: R) => string,
): Command {
  return program
    .command(usage)
    .description(description)
    .action(async (...given: unknown[]) => {
      const args = given.slice(0, -1) as A;
      const options = program.opts<Options>();
      const result = await action(connect(options), ...args);
      console.log(options.json ? JSON.stringify(result) : show(result));
    });
}

subcommand(
  "show <user>",
  "Shows a user's row, plan and its reason. <user> is an e-mail address, a Cognito sub or a Stripe customer id.",
  (ask, user: string) => ask({ command: "show", user }),
  userTable,
);

subcommand(
  "grant <user> <plan>",
  "Grants a plan (paid or vip), independent of Stripe. <user> is an e-mail address, a Cognito sub or a Stripe customer id.",
  (ask, user: string, plan: string, { until, note }: { until?: string; note?: string }) =>
    ask({
      command: "grant",
      user,
      plan: oneOf("plan", plan, ["paid", "vip"]),
      // An empty text usually means an unset shell variable, so it is an error and not a grant without an end.
      ...(until !== undefined && { until: moment(until) }),
      ...(note !== undefined && { note }),
    }),
  userTable,
)
  .option("--until <date>", "when the grant ends: 2027-01-31 or 2027-01-31T12:00:00Z (default: never)")
  .option("--note <text>", "the reason, stored in the row");

subcommand(
  "revoke <user>",
  "Removes a granted plan.",
  (ask, user: string) => ask({ command: "revoke", user }),
  userTable,
);

subcommand(
  "unlink <user>",
  "Removes the user's Stripe customer and its facts from the row, when Stripe does not know the customer any more.",
  (ask, user: string) => ask({ command: "unlink", user }),
  userTable,
);

subcommand(
  "resync [user]",
  "Syncs a user with Stripe now, or every user with --all.",
  async (ask, user: string | undefined, { all }: { all?: boolean }) => {
    if ((user === undefined) === (all !== true)) throw new Error("resync: name a user, or give --all");
    const users = user === undefined ? (await ask({ command: "users" })).users : [user];
    return resyncEach(ask, users);
  },
  ({ synced, failed }) => {
    const rows = failed.map(({ user, error }) => `\n  ${user}  ${pc.red(error)}`);
    return `${synced.length} synced, ${failed.length} failed${rows.join("")}`;
  },
).option("--all", "every user with a Stripe customer");

subcommand(
  "events",
  "Lists Stripe's latest events and their outcome here.",
  async (ask, { limit }: { limit: string }) =>
    (await ask({ command: "events", limit: wholeNumber("limit", limit, 100) })).events,
  eventTable,
).option("--limit <n>", "how many, up to 100", "20");

subcommand(
  "canary <model> <action>",
  "Shows, changes or ends a model's candidate. <action> is status, abort, promote, remove, or a share in percent such as 25.",
  (ask, model: string, action: string, options: CanaryOptions) =>
    canary(ask, oneOf("model", model, models), action, options),
  (result) => ("file" in result ? endedText(result) : candidateTable(result)),
)
  .option("--propose", "promote and remove: open a pull request with gh, and do not run pulumi up")
  .option("--force", "promote: do not check that the candidate is ready and was not rolled back")
  .addHelpText(
    "after",
    `
status shows the share in force, the last verdict, the replies of both versions and the last events.
A share takes effect within seconds, and lasts until the configuration has another share. The configured share ends it.
abort returns all users to the released model, testers included.
promote sets the candidate's image as the model's image in Pulumi.<stack>.yaml, removes the candidate's block, and runs
pulumi up. It rolls the released endpoint out first, and deletes the candidate's endpoint last.
remove only removes the block, and runs pulumi up. An aborted candidate stays aborted until then.
Without pulumi, and with --json, promote and remove only change the file.`,
  );

void run(program);

async function canary(
  ask: Ask,
  model: Model,
  action: string,
  options: CanaryOptions,
): Promise<AdminCandidate | EndedCandidate> {
  const { stack, json = false } = program.opts<Options>();
  if (action === "promote") return promote(ask, model, { ...options, stack, json });
  if (action === "remove") return remove(model, { ...options, stack, json });
  if (action === "status") return ask({ command: "candidate", model });
  if (action === "abort") return ask({ command: "candidate-abort", model });
  const share = action.trim() === "" ? Number.NaN : Number(action);
  if (!(share >= 0 && share <= 100))
    throw new Error(`action: must be status, abort, promote, remove or a share from 0 to 100, not "${action}"`);
  return ask({ command: "candidate-share", model, share });
}

/** Sequential, because Stripe's rate limit is shared with customers. */
async function resyncEach(ask: Ask, users: string[]) {
  const synced: AdminUser[] = [];
  const failed: { user: string; error: string }[] = [];
  for (const [index, user] of users.entries()) {
    if (process.stderr.isTTY && users.length > 1)
      process.stderr.write(`\r\u001b[K${pc.dim(`${index + 1} of ${users.length}`)}`);
    await ask({ command: "resync", user }).then(
      (one) => synced.push(one),
      (error: Error) => failed.push({ user, error: error.message }),
    );
  }
  if (process.stderr.isTTY && users.length > 1) process.stderr.write("\r\u001b[K");
  if (failed.length > 0) process.exitCode = 1;
  return { synced, failed };
}

function userTable({ user_id, plan, reason, expires_at, grace_until, cancel_at, row }: AdminUser): string {
  const table = fieldTable([26, 74]);
  table.push(["user", user_id], ["plan", pc.bold(plan)], ["because", reason]);
  if (plan !== "free") table.push(["until", expires_at ?? "no end"]);
  if (grace_until) table.push(["grace until", grace_until]);
  if (cancel_at) table.push(["cancels at", cancel_at]);
  if (!row) table.push(["row", "none"]);
  for (const [name, value] of Object.entries(row ?? {}).toSorted(([one], [other]) => (one < other ? -1 : 1))) {
    table.push([pc.dim(name), typeof value === "string" ? value : JSON.stringify(value)]);
  }
  return table.toString();
}

function eventTable(events: AdminEvent[]): string {
  if (events.length === 0) return "Stripe has no events.";
  const rows = events.map(({ created, type, delivered, outcome, user_id, customer, id }) => {
    const handled = outcome ?? pc.yellow("not handled yet");
    return [created, type, delivered ? "yes" : pc.yellow("no"), handled, user_id ?? "", customer ?? "", id];
  });
  return fittedTable(rows, { head: ["created", "type", "delivered", "outcome", "user", "customer", "id"] });
}

function oneOf<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (found) return found;
  throw new Error(`${name}: must be ${allowed.join(" or ")}, not ${value}`);
}

/**
 * Converts the end of a grant to ISO 8601 in UTC. A date without a time means the end of that day in local time. `Date`
 * itself would accept a bare year, and turn 31 February into 3 March.
 */
function moment(text: string): string {
  const [, day, time] = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2}))?$/.exec(text) ?? [];
  const midnight = new Date(`${day}T00:00:00Z`);
  const date = new Date(time ? text : `${day}T23:59:59`);
  const isReal = !Number.isNaN(midnight.getTime()) && midnight.toISOString().slice(0, 10) === day;
  if (isReal && !Number.isNaN(date.getTime())) return date.toISOString();
  throw new Error(`--until: must be a date such as 2027-01-31 or 2027-01-31T12:00:00Z, not "${text}"`);
}

function wholeNumber(name: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`--${name}: must be a whole number from 1 to ${most}, not ${text}`);
}
