import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "../../../local/runpod/account/switches";
import type { RunpodDouble } from "../../../local/runpod/server";
import { messageOf } from "../../../runpod/error";
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
  private hasGraphqlEnded = false;
  private longestLandingMs = 0;

  constructor(
    private readonly stack: Stack,
    private readonly runpod: RunpodDouble,
    private readonly log: (line: string) => void,
  ) {}

  /**
   * Runs `up` with a declaration while the failures of `update` occur. Then compares the account with the declaration.
   */
  async update(update: Update): Promise<void> {
    const { declared, faults, daysBefore, refresh, isConcurrent, losesState } = update;
    const { stack, runpod } = this;
    this.log(`up ${JSON.stringify(declared)} with ${describe(update)}`);
    if (daysBefore > 0) runpod.skip(daysBefore * DAY_MS);
    runpod.switches.listLagMs = update.listLagMs;
    this.setFaults(faults, update.graphqlEndsAfter);
    if (refresh) await this.attempt("refresh", () => stack.refresh());
    const before = losesState ? stack.snapshot() : undefined;
    const other = isConcurrent ? stack.fork() : undefined;
    await Promise.all([
      this.attempt("up", () => stack.up(declared)),
      other && this.attempt("the same up by a second operator", () => other.up(declared)),
    ]);
    if (before) {
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
    this.setFaults([]);
    runpod.switches.listLagMs = 0;
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
    this.setFaults(faults);
    this.log(`destroy${ignoresDependencies ? " in any order" : ""} with ${describe({ faults })}`);
    if (ignoresDependencies) stack.forgetDependencies();
    await this.mustSucceed("destroy", () => stack.destroy());
    this.note(
      "orphans",
      ownIds(runpod.account).map((id) => `${id} remains after destroy`),
    );
    const { templates, endpoints } = runpod.account;
    const foreign = [...templates, ...endpoints].filter(({ name }) => name.startsWith(FOREIGN));
    if (foreign.length !== 3) this.note("wrong", ["a template or the endpoint of another owner is missing"]);
  }

  /** Time until the last late call has taken effect and the lists show it. */
  private get settleMs(): number {
    return this.runpod.switches.listLagMs + this.longestLandingMs;
  }

  /** @param graphqlEndsAfter number of GraphQL calls after which RunPod permanently answers 410 Gone */
  private setFaults(faults: Fault[], graphqlEndsAfter?: number): void {
    this.longestLandingMs = Math.max(0, ...faults.map(({ landsAfterMs = 0 }) => landsAfterMs));
    const end = this.hasGraphqlEnded ? 0 : graphqlEndsAfter;
    this.hasGraphqlEnded = end !== undefined;
    const gone = { on: "POST /graphql", times: Number.MAX_SAFE_INTEGER, done: false, delayMs: 0, answer: 410 };
    this.runpod.switches.faults = [...(end === undefined ? [] : [{ ...gone, skip: end }]), ...structuredClone(faults)];
  }

  /** Retries like an operator: first with the remaining faults, then after a refresh, and finally without faults. */
  private async mustSucceed(name: string, work: () => Promise<unknown>): Promise<void> {
    const refresh = () => this.attempt("refresh", () => this.stack.refresh());
    if (await this.attempt(name, work)) return;
    await refresh();
    if (await this.attempt(name, work)) return;
    this.setFaults([]);
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
    } finally {
      // The operator waits until late calls have taken effect.
      await sleep(this.settleMs);
    }
  }

  private note(kind: keyof Outcome, errors: string[]): void {
    for (const error of errors) this.log(`${kind}: ${error}`);
    this.outcome[kind].push(...errors);
  }
}

function describe(update: Partial<Update>): string {
  const { faults, losesState, daysBefore, refresh, isConcurrent, listLagMs, graphqlEndsAfter } = update;
  const parts = (faults ?? []).map(
    ({ on, times, skip, done, answer, landsAfterMs }) =>
      `${times} × ${JSON.stringify(answer)} on ${on}${skip ? ` after ${skip} calls` : ""}` +
      `${done ? `, executed ${landsAfterMs ? `${landsAfterMs} ms later` : "before"}` : ""}`,
  );
  if (listLagMs) parts.push(`lists that lag by ${listLagMs} ms`);
  if (graphqlEndsAfter !== undefined) parts.push(`the end of GraphQL after ${graphqlEndsAfter} calls`);
  if (isConcurrent) parts.push("the same update by a second operator");
  if (daysBefore) parts.push(`${daysBefore} idle days before`);
  if (refresh) parts.push("a refresh before");
  if (losesState) parts.push("a crash before the state is written");
  return parts.join("; ") || "no failures";
}
