import { reasonOf } from "../support/protocol/grpc";
import { mapValues, type Properties, secret, UNKNOWN } from "../support/protocol/value";
import { hashAssets } from "./assets";
import { removeInOrder } from "./deletion";
import { EngineError } from "./error";
import type { Goal } from "./goal";
import type { EngineOptions } from "./options";
import { ignoreChanges } from "./propertyPath";
import { type Live, NotReadyError, type Provider } from "./provider";
import type { Providers } from "./providers";
import type { ResourceState, StackState } from "./state";
import { creation, type Decision, decide, type StepEvent } from "./step";
import { nameOf, packageOf, typeOf } from "./urn";

/** What a deployment works with. */
export interface DeploymentContext {
  options: EngineOptions;
  state: StackState;
  providers: Providers;
  /** True for a preview: providers are asked, nothing is changed. */
  dryRun: boolean;
}

/** One run over a stack: takes the steps that bring the state to what the program registers. */
export class Deployment {
  /** The steps taken so far, in the order they ended. */
  readonly steps: StepEvent[] = [];
  /** Rejects with the first failure. Never resolves. */
  readonly failed: Promise<never>;
  private failure: unknown;
  private readonly running = new Set<Promise<unknown>>();
  private readonly registered = new Set<string>();
  /** Deleted already, because something they need had to be deleted before its replacement. */
  private readonly madeWay = new Set<string>();
  private rejectFailed: (error: unknown) => void = () => {};

  constructor(private readonly context: DeploymentContext) {
    this.failed = new Promise((_, reject) => {
      this.rejectFailed = reject;
    });
    this.failed.catch(() => {});
  }

  /** Brings one resource about. After a failure nothing more is begun. */
  register(goal: Goal): Promise<ResourceState> {
    return this.attempt(goal, () => this.bringAbout(goal));
  }

  /** Looks up a resource that the program does not own. */
  read(goal: Goal, id: string): Promise<ResourceState> {
    return this.attempt(goal, async () => {
      const provider = await this.providerOf(goal.type);
      const known = { urn: goal.urn, id, inputs: goal.inputs, outputs: {} };
      const live = id === UNKNOWN ? { id: "", outputs: {} } : await provider.read(known);
      if (live === undefined) throw new EngineError(`there is none with id ${id}`);
      this.registered.add(goal.urn);
      const resource = { ...this.stateOf(goal, goal.inputs, live), external: true };
      this.context.state.put(resource);
      this.took("read", resource);
      return resource;
    });
  }

  /** Keeps the outputs of a component. */
  registerOutputs(urn: string, outputs: Properties): void {
    const resource = this.context.state.get(urn);
    if (resource === undefined) throw new EngineError(`outputs of a resource that is not registered: ${urn}`);
    this.context.state.put({ ...resource, outputs });
  }

  /** Resolves when no step is under way. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.running);
  }

  /** Deletes what has been replaced and what the program no longer registers. */
  async prune(): Promise<void> {
    const superfluous = this.context.state.all.filter(({ urn, replaced }) => replaced || !this.registered.has(urn));
    await removeInOrder(superfluous, (resource) => named(resource, this.remove(resource)));
  }

  /** Reads every resource: drops what is gone, keeps what has changed. */
  async refresh(): Promise<void> {
    const owned = this.context.state.all.filter(({ custom, external, replaced }) => custom && !external && !replaced);
    await Promise.all(owned.map((resource) => named(resource, this.look(resource))));
  }

  private async look(resource: ResourceState): Promise<void> {
    const provider = await this.providerOf(resource.type);
    const live = await provider.read(resource);
    if (live === undefined) {
      this.context.state.remove(resource);
      this.took("delete", resource);
      return;
    }
    const inputs = live.inputs ?? resource.inputs;
    const outputs = secretOutputs(live.outputs, resource.additionalSecretOutputs);
    const { changed } = decide({ ...resource, inputs: resource.outputs, initErrors: [] }, outputs, {}, noOptions);
    this.context.state.put({ ...resource, id: live.id, inputs, outputs, initErrors: [] });
    this.took(changed.length > 0 ? "update" : "same", resource, { ...creation, changed });
  }

  private async bringAbout(goal: Goal): Promise<ResourceState> {
    const { state, options } = this.context;
    if (this.registered.has(goal.urn))
      throw new EngineError("registered twice; names are unique within a type and parent");
    if (goal.type.startsWith("pulumi:providers:")) throw new EngineError("explicit providers are not supported here");
    this.registered.add(goal.urn);
    const old = this.oldOf(goal);
    const given = await hashAssets(goal.inputs, options.programDir);
    const wanted = old ? ignoreChanges(given, old.inputs, goal.ignoreChanges) : given;
    const provider = goal.custom ? await this.providerOf(goal.type) : undefined;
    const checked = provider ? await provider.check(goal.urn, old?.inputs ?? {}, wanted) : wanted;
    const decision = await this.decisionFor(goal, old, checked, provider);
    // A replacement is another resource: it gets its own automatic name.
    const inputs = provider && decision.op === "replace" ? await provider.check(goal.urn, {}, wanted) : checked;

    const { live, initErrors } = await this.carryOut(goal, old, inputs, decision, provider);
    const resource = { ...this.stateOf(goal, live.inputs ?? inputs, live), initErrors };
    state.put(resource);
    if (initErrors.length > 0) throw new EngineError(`exists (${live.id}) but is not ready: ${initErrors.join("; ")}`);
    this.took(decision.op, resource, decision);
    return resource;
  }

  /** The resource as it was, also under an alias, its own or one that it has by its parent's. */
  private oldOf(goal: Goal): ResourceState | undefined {
    const { state } = this.context;
    const isFree = (urn: string) => !this.registered.has(urn) && state.get(urn) !== undefined;
    const alias = goal.aliases.find(isFree) ?? this.takenAlong(goal).find(isFree);
    if (alias !== undefined && state.get(goal.urn) === undefined) state.rename(alias, goal.urn);
    const old = state.get(goal.urn);
    return old && !old.external && old.custom === goal.custom ? old : undefined;
  }

  /** The URNs under which a parent that has another URN now had this child. */
  private takenAlong({ urn, parent, type, name }: Goal): string[] {
    if (parent === undefined) return [];
    return this.context.state.all
      .filter((other) => other.parent === parent && other.urn !== urn)
      .map((other) => other.urn)
      .filter((other) => typeOf(other) === type && nameOf(other) === name);
  }

  private async decisionFor(
    goal: Goal,
    old: ResourceState | undefined,
    inputs: Properties,
    provider: Provider | undefined,
  ): Promise<Decision> {
    if (old === undefined) return this.madeWay.has(goal.urn) ? { ...creation, op: "replace" } : creation;
    if (provider === undefined) return decide(old, inputs, {}, noOptions);
    return decide(old, inputs, await provider.diff(old, inputs, goal.ignoreChanges), goal);
  }

  private async carryOut(
    goal: Goal,
    old: ResourceState | undefined,
    inputs: Properties,
    decision: Decision,
    provider: Provider | undefined,
  ): Promise<{ live: Live; initErrors: string[] }> {
    const { dryRun, state } = this.context;
    if (provider === undefined) return { live: { id: "", outputs: old?.outputs ?? {} }, initErrors: [] };
    if (old !== undefined && decision.op === "same")
      return { live: { id: old.id, outputs: old.outputs }, initErrors: [] };
    if (old !== undefined && decision.op === "replace") {
      if (old.protect) throw new EngineError(`is protected, and a change of ${decision.replaceKeys} would replace it`);
      if (decision.deleteBeforeReplace && !dryRun) await this.makeWay(old);
    }
    const made = await orNotReady(
      old !== undefined && decision.op === "update"
        ? provider.update(old, inputs, goal.ignoreChanges, dryRun)
        : provider.create(goal.urn, inputs, dryRun),
    );
    if (old !== undefined && decision.op === "replace" && state.all.includes(old)) state.replace(old);
    return made;
  }

  /** Deletes a resource before its replacement, and before it those that cannot do without it. */
  private async makeWay(old: ResourceState): Promise<void> {
    const leaving = new Set([old]);
    for (const resource of leaving) {
      for (const dependent of await this.replacedWith(resource)) leaving.add(dependent);
    }
    await removeInOrder([...leaving], async (resource) => {
      if (resource.protect) throw new EngineError(`${resource.type} "${nameOf(resource.urn)}" is protected`);
      await this.erase(resource);
      this.madeWay.add(resource.urn);
    });
  }

  /** The resources that a replacement of `resource` would have replaced too. */
  private async replacedWith(resource: ResourceState): Promise<ResourceState[]> {
    const affected = this.context.state.all.filter((other) => touchedBy(resource, other).length > 0 && other.custom);
    const replaced = affected.map(async (other) => {
      const touched = touchedBy(resource, other);
      const news = mapValues(other.inputs, (value, name) => (touched.includes(name) ? UNKNOWN : value));
      const { replaces } = await (await this.providerOf(other.type)).diff(other, news, []);
      return replaces.length > 0 ? [other] : [];
    });
    return (await Promise.all(replaced)).flat();
  }

  private async remove(resource: ResourceState): Promise<void> {
    if (resource.protect && !resource.replaced) {
      throw new EngineError("is protected; set protect to false before it is deleted");
    }
    if (!this.context.dryRun) await this.erase(resource);
    if (!resource.replaced) this.took("delete", resource);
  }

  private async erase(resource: ResourceState): Promise<void> {
    if (resource.custom && !resource.external && !resource.retainOnDelete) {
      await (await this.providerOf(resource.type)).delete(resource);
    }
    this.context.state.remove(resource);
  }

  private stateOf(goal: Goal, inputs: Properties, live: Live): ResourceState {
    const parent = goal.parent === undefined ? undefined : this.context.state.get(goal.parent);
    return {
      urn: goal.urn,
      type: goal.type,
      custom: goal.custom,
      external: false,
      id: live.id,
      inputs,
      outputs: secretOutputs(live.outputs, goal.additionalSecretOutputs),
      parent: goal.parent,
      dependencies: goal.dependencies,
      propertyDependencies: goal.propertyDependencies,
      protect: goal.protect ?? parent?.protect ?? false,
      retainOnDelete: goal.retainOnDelete ?? parent?.retainOnDelete ?? false,
      additionalSecretOutputs: goal.additionalSecretOutputs,
      initErrors: [],
    };
  }

  private providerOf(type: string): Promise<Provider> {
    return this.context.providers.get(packageOf(type));
  }

  private took(op: StepEvent["op"], resource: ResourceState, decision: Decision = creation): void {
    const { urn, type, custom, parent, retainOnDelete } = resource;
    const { changed, replaceKeys } = decision;
    const retained = op === "delete" && retainOnDelete;
    const step = { op, urn, parent, type, name: nameOf(urn), custom, changed, replaceKeys, retained };
    this.steps.push(step);
    this.context.options.onStep?.(step);
  }

  private async attempt<T>(goal: Goal, work: () => Promise<T>): Promise<T> {
    if (this.failure) throw this.failure;
    const running = named(goal, work());
    this.running.add(running);
    try {
      return await running;
    } catch (error) {
      this.failure ??= error;
      this.rejectFailed(error);
      throw error;
    } finally {
      this.running.delete(running);
    }
  }
}

/** Puts type and name before whatever goes wrong with a resource. */
async function named<T>({ type, urn }: { type: string; urn: string }, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new EngineError(`${type} "${nameOf(urn)}": ${reasonOf(cause)}`, { cause });
  }
}

const noOptions = { replaceOnChanges: [], deleteBeforeReplace: undefined };

async function orNotReady(made: Promise<Live>): Promise<{ live: Live; initErrors: string[] }> {
  try {
    return { live: await made, initErrors: [] };
  } catch (error) {
    if (error instanceof NotReadyError) return { live: error.live, initErrors: error.reasons };
    throw error;
  }
}

function secretOutputs(outputs: Properties, names: string[]): Properties {
  return mapValues(outputs, (value, name) => (names.includes(name) ? secret(value) : value));
}

/** The properties of `other` that come from `resource`. */
function touchedBy(resource: ResourceState, other: ResourceState): string[] {
  const entries = Object.entries(other.propertyDependencies);
  return entries.filter(([, urns]) => urns.includes(resource.urn)).map(([property]) => property);
}
