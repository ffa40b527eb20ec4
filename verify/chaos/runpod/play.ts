import type { RunpodDouble } from "../../../local/runpod/server";
import { differences, duplicatesIn, ownIds } from "./account";
import { FOREIGN } from "./accounts";
import type { Stack } from "./stack";
import type { Act, Story } from "./story";
import type { Wanted } from "./wanted";

const DAY_MS = 86_400_000;

/** What was not as it should be; all empty when nothing was wrong. */
export interface Outcome {
  /** What the account has and no state knows. */
  orphans: string[];
  /** What the account has had more than once. */
  duplicates: string[];
  /** What was not what the program said, or showed as a change and was none, or could not be brought about at all. */
  wrong: string[];
}

/**
 * Plays a story with a stack on a RunPod account. What fails is tried again, as operators do: with what is left of the
 * faults, then with a refresh, then without faults, and that must succeed.
 */
export async function play(story: Story, stack: Stack, runpod: RunpodDouble, say: (line: string) => void) {
  const { account, switches } = runpod;
  const outcome: Outcome = { orphans: [], duplicates: [], wrong: [] };
  const note = (kind: keyof Outcome, what: string[]) => {
    for (const each of what) say(`${kind}: ${each}`);
    outcome[kind].push(...what);
  };

  for (const act of story.acts) {
    say(`up ${JSON.stringify(act.wanted)} with ${describe(act)}`);
    await perform(act);
    note("duplicates", duplicatesIn(account));
    note("wrong", differences(account, act.wanted));
    if (outcome.wrong.length > 0) break;
  }

  const { wanted } = story.acts.at(-1) ?? { wanted: undefined };
  if (wanted && outcome.wrong.length === 0) await lookAtRest(wanted);
  await endIt();
  return outcome;

  /** Until what is wanted is there. */
  async function perform({ wanted, faults, daysBefore, refresh, dies }: Act): Promise<void> {
    if (daysBefore > 0) runpod.skip(daysBefore * DAY_MS);
    switches.faults = structuredClone(faults);
    // What RunPod has changed by itself shows only after a refresh.
    if (daysBefore > 0) await insist("refresh", () => stack.refresh());
    else if (refresh) await attempt("refresh", () => stack.refresh());
    const before = stack.snapshot();
    await attempt("up", () => stack.up(wanted));
    if (dies) {
      say("the state was not written");
      stack.goBack(before);
    }
    await insist("up", () => stack.up(wanted));
  }

  /** Whether it goes well. */
  async function attempt(what: string, work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      say(`${what} failed: ${error instanceof Error ? error.message : error}`);
      return false;
    }
  }

  /** Tries again with what is left of the faults, then without any. */
  async function insist(what: string, work: () => Promise<unknown>): Promise<void> {
    if (await attempt(what, work)) return;
    await attempt("refresh", () => stack.refresh());
    if (await attempt(what, work)) return;
    switches.faults = [];
    const isRefreshed = await attempt("refresh", () => stack.refresh());
    if (!(isRefreshed && (await attempt(what, work)))) note("wrong", [`${what} does not succeed without faults`]);
  }

  /** With nothing going wrong, nothing is to be done, nor does a refresh find anything. */
  async function lookAtRest(wanted: Wanted): Promise<void> {
    switches.faults = [];
    for (const [what, work] of [
      ["another up", () => stack.up(wanted)],
      ["a refresh", () => stack.refresh()],
      ["an up after the refresh", () => stack.up(wanted)],
    ] as const) {
      const steps = await work().catch((error: unknown) => {
        note("wrong", [`${what} fails: ${error instanceof Error ? error.message : error}`]);
        return [];
      });
      const changes = steps.filter(({ op }) => op !== "same");
      note(
        "wrong",
        changes.map(({ op, type, name, changed }) => `${what}: ${op} ${type} ${name} [${changed}]`),
      );
    }
    const unknown = ownIds(account).filter((id) => !stack.ids.includes(id));
    note(
      "orphans",
      unknown.map((id) => `${id} is in no state`),
    );
  }

  /** Destroys the stack. Whatever is left then is an orphan. */
  async function endIt(): Promise<void> {
    switches.faults = structuredClone(story.lastFaults);
    say(`destroy${story.inAnyOrder ? " in any order" : ""} with ${describe({ faults: story.lastFaults })}`);
    if (story.inAnyOrder) stack.forgetDependencies();
    await insist("destroy", () => stack.destroy());
    note(
      "orphans",
      ownIds(account).map((id) => `${id} is left`),
    );
    const foreign = [...account.templates, ...account.endpoints].filter(({ name }) => name === FOREIGN);
    if (foreign.length !== 2) note("wrong", ["somebody else's template and endpoint are not as they were"]);
  }
}

function describe({ faults, dies, daysBefore, refresh }: Partial<Act>): string {
  const parts = (faults ?? []).map(
    ({ on, times, skip, done, answer }) =>
      `${times} × ${answer} on ${on}${skip ? ` after ${skip}` : ""}${done ? ", done" : ""}`,
  );
  if (daysBefore) parts.push(`${daysBefore} days before`);
  if (refresh) parts.push("a refresh");
  if (dies) parts.push("a machine that dies");
  return parts.join("; ") || "nothing going wrong";
}
