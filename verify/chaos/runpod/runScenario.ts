import type { RunpodDouble } from "../../../local/runpod/server";
import { FOREIGN } from "./accounts";
import type { DeclaredStack } from "./declaredStack";
import { differences, duplicatesIn, ownIds } from "./ownResources";
import type { Scenario, Update } from "./scenario";
import type { Stack } from "./stack";

const DAY_MS = 86_400_000;

/** Errors found in one run, as readable lines. All lists are empty when the run had no error. */
export interface Outcome {
  /** Resources in the account that the stack's state does not contain. */
  orphans: string[];
  /** Resources that the account had more than once at some time. */
  duplicates: string[];
  /**
   * Differences between the account and the program, changes that Pulumi shows without a reason, and operations that
   * never succeeded.
   */
  wrong: string[];
}

/** Runs a scenario with a stack on an empty RunPod account. `log` gets one line for each event. */
export async function runScenario(
  { updates, destroyFaults, ignoresDependencies }: Scenario,
  stack: Stack,
  runpod: RunpodDouble,
  log: (line: string) => void,
): Promise<Outcome> {
  const run = new ScenarioRun(stack, runpod, log);
  let latest: DeclaredStack | undefined;
  for (const update of updates) {
    await run.update(update);
    latest = update.declared;
    if (run.outcome.wrong.length > 0) break;
  }
  if (latest && run.outcome.wrong.length === 0) await run.checkStability(latest);
  await run.destroy(destroyFaults, ignoresDependencies);
  return run.outcome;
}

class ScenarioRun {
  readonly outcome: Outcome = { orphans: [], duplicates: [], wrong: [] };

  constructor(
    private readonly stack: Stack,
    private readonly runpod: RunpodDouble,
    private readonly log: (line: string) => void,
  ) {}

  /** Runs `up` with a declaration while the update's failures occur. Then compares the account with the declaration. */
  async update(update: Update): Promise<void> {
    const { declared, faults, daysBefore, refresh, losesState } = update;
    const { stack, runpod } = this;
    this.log(`up ${JSON.stringify(declared)} with ${describe(update)}`);
    if (daysBefore > 0) runpod.skip(daysBefore * DAY_MS);
    runpod.switches.faults = structuredClone(faults);
    // RunPod changed settings during the idle days. Pulumi sees such changes only after a refresh.
    if (daysBefore > 0) await this.mustSucceed("refresh", () => stack.refresh());
    else if (refresh) await this.attempt("refresh", () => stack.refresh());
    const before = stack.snapshot();
    await this.attempt("up", () => stack.up(declared));
    if (losesState) {
      this.log("the machine crashed before the state was written");
      stack.restore(before);
    }
    await this.mustSucceed("up", () => stack.up(declared));
    this.note("duplicates", duplicatesIn(runpod.account));
    this.note("wrong", differences(runpod.account, declared));
  }

  /**
   * Checks that another `up` and a refresh without failures find no change, and that the state contains every resource.
   */
  async checkStability(declared: DeclaredStack): Promise<void> {
    const { stack, runpod } = this;
    runpod.switches.faults = [];
    for (const [name, work] of [
      ["another up", () => stack.up(declared)],
      ["a refresh", () => stack.refresh()],
      ["an up after the refresh", () => stack.up(declared)],
    ] as const) {
      const steps = await work().catch((error: unknown) => {
        this.note("wrong", [`${name} fails: ${messageOf(error)}`]);
        return [];
      });
      const changes = steps.filter(({ op }) => op !== "same");
      this.note(
        "wrong",
        changes.map(({ op, type, name: resource, changed }) => `${name}: ${op} ${type} ${resource} [${changed}]`),
      );
    }
    const unknown = ownIds(runpod.account).filter((id) => !stack.ids.includes(id));
    this.note(
      "orphans",
      unknown.map((id) => `${id} is not in the state`),
    );
  }

  /** Destroys the stack. Every resource that remains is an orphan. */
  async destroy(faults: Scenario["destroyFaults"], ignoresDependencies: boolean): Promise<void> {
    const { stack, runpod } = this;
    runpod.switches.faults = structuredClone(faults);
    this.log(`destroy${ignoresDependencies ? " in any order" : ""} with ${describe({ faults })}`);
    if (ignoresDependencies) stack.forgetDependencies();
    await this.mustSucceed("destroy", () => stack.destroy());
    this.note(
      "orphans",
      ownIds(runpod.account).map((id) => `${id} remains after destroy`),
    );
    const { templates, endpoints } = runpod.account;
    const foreign = [...templates, ...endpoints].filter(({ name }) => name === FOREIGN);
    if (foreign.length !== 2) this.note("wrong", ["the template or the endpoint of another owner is missing"]);
  }

  /** Retries like an operator: first with the remaining faults, then after a refresh, and finally without faults. */
  private async mustSucceed(name: string, work: () => Promise<unknown>): Promise<void> {
    const refresh = () => this.attempt("refresh", () => this.stack.refresh());
    if (await this.attempt(name, work)) return;
    await refresh();
    if (await this.attempt(name, work)) return;
    this.runpod.switches.faults = [];
    const isRefreshed = await refresh();
    if (!(isRefreshed && (await this.attempt(name, work)))) {
      this.note("wrong", [`${name} fails even without faults`]);
    }
  }

  /** Does the work once and logs its error. Returns whether the work succeeded. */
  private async attempt(name: string, work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.log(`${name} failed: ${messageOf(error)}`);
      return false;
    }
  }

  private note(kind: keyof Outcome, errors: string[]): void {
    for (const error of errors) this.log(`${kind}: ${error}`);
    this.outcome[kind].push(...errors);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function describe({ faults, losesState, daysBefore, refresh }: Partial<Update>): string {
  const parts = (faults ?? []).map(
    ({ on, times, skip, done, answer }) =>
      `${times} × ${answer} on ${on}${skip ? ` after ${skip} calls` : ""}${done ? ", after RunPod has executed the call" : ""}`,
  );
  if (daysBefore) parts.push(`${daysBefore} idle days before`);
  if (refresh) parts.push("a refresh before");
  if (losesState) parts.push("a crash before the state is written");
  return parts.join("; ") || "no failures";
}
