import { reasonOf } from "../support/protocol/grpc";
import { isObject, isSecret, mapValues, type Properties, secret, UNKNOWN } from "../support/protocol/value";
import { proposeName } from "./autonaming";
import { removeInOrder } from "./deletion";
import { EngineError } from "./error";
import type { Goal } from "./goal";
import type { EngineOptions } from "./options";
import { ignoreChanges } from "./propertyPath";
import { type Live, NotReadyError, type ResourceProvider } from "./provider";
import type { Providers } from "./providers";
import type { ResourceState, StackState } from "./state";
import { creation, type Decision, decide, type StepEvent } from "./step";
import { nameOf, packageOf, typeOf } from "./urn";
import { hashAssets } from "./value";

/** Dependencies of a deployment. */
export interface DeploymentContext {
  options: EngineOptions;
  state: StackState;
  providers: Providers;
  /** True for a preview, which changes nothing. */
  dryRun: boolean;
}

/** Source of the providers of a deployment, by package. */
interface ResourceProviders {
  get(name: string): Promise<ResourceProvider>;
}

/**
 * One run of the Pulumi engine over a stack: changes the resources of the saved state so that they match the resources
 * that the program registers.
 */
export class Deployment {
  /** The completed steps, in the order of completion. */
  readonly steps: StepEvent[] = [];
  /** Rejects with the first failure. Never resolves. */
  readonly failed: Promise<never>;
  private failure: unknown;
  private readonly running = new Set<Promise<unknown>>();
  private readonly registered = new Set<string>();
  /**
   * URNs of resources that are deleted before their replacements are created: a replaced resource and its dependents.
   */
  private readonly deletedEarly = new Set<string>();
  private rejectFailed: (error: unknown) => void = () => {};

  constructor(private readonly context: Omit<DeploymentContext, "providers"> & { providers: ResourceProviders }) {
    this.failed = new Promise((_, reject) => {
      this.rejectFailed = reject;
    });
    this.failed.catch(() => {});
  }

  /** Creates, updates or replaces one resource to match the goal. Rejects at once after an earlier failure. */
  register(goal: Goal): Promise<ResourceState> {
    return this.attempt(goal, () => this.apply(goal));
  }

  /** Reads a resource that the program does not manage. */
  read(goal: Goal, id: string): Promise<ResourceState> {
    return this.attempt(goal, async () => {
      const provider = await this.providerOf(goal.type);
      const known = { urn: goal.urn, id, inputs: goal.inputs, outputs: {} };
      const live = id === UNKNOWN ? { id: "", outputs: {} } : await provider.read(known);
      if (live === undefined) throw new EngineError(`id ${id} does not exist`);
      this.registered.add(goal.urn);
      const resource = { ...this.stateOf(goal, goal.inputs, live), external: true };
      this.context.state.put(resource);
      this.recordStep("read", resource);
      return resource;
    });
  }

  /** Stores the outputs of a component. */
  registerOutputs(urn: string, outputs: Properties): void {
    const resource = this.context.state.get(urn);
    if (resource === undefined) throw new EngineError(`cannot store outputs: ${urn} is not registered`);
    this.context.state.put({ ...resource, outputs });
  }

  /** Resolves when no step is running. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.running);
  }

  /**
   * Deletes replaced resources and resources that the program did not register. If one of them is protected, deletes
   * nothing, because Pulumi's preview before `up` and `destroy` would fail too.
   *
   * @throws EngineError that names the protected resources
   */
  async prune(): Promise<void> {
    const obsolete = this.context.state.all.filter(({ urn, replaced }) => replaced || !this.registered.has(urn));
    const isProtected = obsolete.filter(({ protect, replaced }) => protect && !replaced);
    if (isProtected.length > 0) {
      const list = isProtected.map(({ type, urn }) => `${type} "${nameOf(urn)}"`).join(", ");
      throw new EngineError(
        `cannot delete protected resources: ${list}. Nothing was deleted. Set protect to false first.`,
      );
    }
    await removeInOrder(obsolete, (resource) => withName(resource, this.remove(resource)));
  }

  /**
   * Reads every resource. Removes missing resources from the state and stores changed resources.
   *
   * @throws EngineError of the first failed read, after all reads have ended. A read that continues after the error
   *   would overwrite the results of the next operation
   */
  async refresh(): Promise<void> {
    const managed = this.context.state.all.filter(({ custom, external, replaced }) => custom && !external && !replaced);
    const reads = managed.map((resource) => withName(resource, this.refreshResource(resource)));
    for (const outcome of await Promise.allSettled(reads)) if (outcome.status === "rejected") throw outcome.reason;
  }

  private async refreshResource(resource: ResourceState): Promise<void> {
    const provider = await this.providerOf(resource.type);
    const live = await provider.read(resource);
    if (live === undefined) {
      this.context.state.remove(resource);
      this.recordStep("delete", resource);
      return;
    }
    const inputs = live.inputs ?? resource.inputs;
    const outputs = markSecrets(live.outputs, resource.additionalSecretOutputs);
    // `decide` compares inputs, but a refresh must compare outputs. So pass the outputs as inputs.
    const { changed } = decide({ ...resource, inputs: resource.outputs, initErrors: [] }, outputs, {}, noOptions);
    this.context.state.put({ ...resource, id: live.id, inputs, outputs, initErrors: [] });
    this.recordStep(changed.length > 0 ? "update" : "same", resource, { ...creation, changed });
  }

  private async apply(goal: Goal): Promise<ResourceState> {
    const { state, options } = this.context;
    if (this.registered.has(goal.urn))
      throw new EngineError("is registered twice: a name must be unique within its type and parent");
    if (goal.type.startsWith("pulumi:providers:"))
      throw new EngineError("the local engine does not support explicit providers");
    this.registered.add(goal.urn);
    const old = this.oldOf(goal);
    const hashed = await hashAssets(goal.inputs, options.programDir);
    const desired = old ? ignoreChanges(hashed, old.inputs, goal.ignoreChanges) : hashed;
    const provider = goal.custom ? await this.providerOf(goal.type) : undefined;
    const proposed = options.autonaming && proposeName(options.autonaming, { ...options, name: goal.name });
    const checked = provider ? await provider.check(goal.urn, old?.inputs ?? {}, desired, proposed) : desired;
    const decision = await this.decisionFor(goal, old, checked, provider);
    // A replacement needs a new automatic name. The provider generates a new name when `check` gets no old inputs.
    const inputs =
      provider && decision.op === "replace" ? await provider.check(goal.urn, {}, desired, proposed) : checked;

    const { live, initErrors } = await this.execute(goal, old, inputs, decision, provider);
    const resource = { ...this.stateOf(goal, live.inputs ?? inputs, live), initErrors };
    state.put(resource);
    if (initErrors.length > 0) throw new EngineError(`exists (${live.id}) but is not ready: ${initErrors.join("; ")}`);
    this.recordStep(decision.op, resource, decision);
    return resource;
  }

  /** Finds the resource in the state by its URN, by an alias, or by its URN before a rename of its parent. */
  private oldOf(goal: Goal): ResourceState | undefined {
    const { state } = this.context;
    const isFree = (urn: string) => !this.registered.has(urn) && state.get(urn) !== undefined;
    const alias = goal.aliases.find(isFree) ?? this.urnsBeforeParentRename(goal).find(isFree);
    if (alias !== undefined && state.get(goal.urn) === undefined) state.rename(alias, goal.urn);
    const old = state.get(goal.urn);
    return old && !old.external && old.custom === goal.custom ? old : undefined;
  }

  /** URNs that this child may have had before its parent was renamed. */
  private urnsBeforeParentRename({ urn, parent, type, name }: Goal): string[] {
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
    provider: ResourceProvider | undefined,
  ): Promise<Decision> {
    if (old === undefined) return this.deletedEarly.has(goal.urn) ? { ...creation, op: "replace" } : creation;
    if (provider === undefined) return decide(old, inputs, {}, noOptions);
    return decide(old, inputs, await provider.diff(old, inputs, goal.ignoreChanges), goal);
  }

  private async execute(
    goal: Goal,
    old: ResourceState | undefined,
    inputs: Properties,
    decision: Decision,
    provider: ResourceProvider | undefined,
  ): Promise<{ live: Live; initErrors: string[] }> {
    const { dryRun, state } = this.context;
    if (provider === undefined) return { live: { id: "", outputs: old?.outputs ?? {} }, initErrors: [] };
    if (old !== undefined && decision.op === "same")
      return { live: { id: old.id, outputs: old.outputs }, initErrors: [] };
    if (old !== undefined && decision.op === "replace") {
      // As in Pulumi, one update may both unprotect and replace a resource.
      if (old.protect && goal.protect !== false)
        throw new EngineError(`is protected, and a change of ${decision.replaceKeys} would replace it`);
      if (decision.deleteBeforeReplace && !dryRun) await this.deleteEarly(old);
    }
    const result = await catchNotReady(
      old !== undefined && decision.op === "update"
        ? provider.update(old, inputs, goal.ignoreChanges, dryRun)
        : provider.create(goal.urn, inputs, dryRun),
    );
    if (old !== undefined && decision.op === "replace" && state.all.includes(old)) state.replace(old);
    return result;
  }

  /**
   * Deletes a resource before its replacement is created. Before that, deletes the dependents that must also be
   * replaced.
   */
  private async deleteEarly(old: ResourceState): Promise<void> {
    const deleted = new Set([old]);
    for (const resource of deleted) {
      for (const dependent of await this.replacedWith(resource)) deleted.add(dependent);
    }
    await removeInOrder([...deleted], async (resource) => {
      if (resource.protect)
        throw new EngineError(`cannot be replaced: ${resource.type} "${nameOf(resource.urn)}" is protected`);
      await this.delete(resource);
      this.deletedEarly.add(resource.urn);
    });
  }

  /** The direct dependents that must be replaced when `resource` is replaced. */
  private async replacedWith(resource: ResourceState): Promise<ResourceState[]> {
    const dependents = this.context.state.all.filter(
      (other) => dependentProperties(other, resource).length > 0 && other.custom,
    );
    const replaced = dependents.map(async (other) => {
      const dependent = dependentProperties(other, resource);
      const news = mapValues(other.inputs, (value, name) => (dependent.includes(name) ? UNKNOWN : value));
      const { replaces } = await (await this.providerOf(other.type)).diff(other, news, []);
      return replaces.length > 0 ? [other] : [];
    });
    return (await Promise.all(replaced)).flat();
  }

  private async remove(resource: ResourceState): Promise<void> {
    if (!this.context.dryRun) await this.delete(resource);
    if (!resource.replaced) this.recordStep("delete", resource);
  }

  private async delete(resource: ResourceState): Promise<void> {
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
      outputs: markSecrets(live.outputs, goal.additionalSecretOutputs),
      parent: goal.parent,
      dependencies: goal.dependencies,
      propertyDependencies: goal.propertyDependencies,
      protect: goal.protect ?? parent?.protect ?? false,
      retainOnDelete: goal.retainOnDelete ?? parent?.retainOnDelete ?? false,
      additionalSecretOutputs: goal.additionalSecretOutputs,
      initErrors: [],
    };
  }

  private providerOf(type: string): Promise<ResourceProvider> {
    return this.context.providers.get(packageOf(type));
  }

  private recordStep(op: StepEvent["op"], resource: ResourceState, decision: Decision = creation): void {
    const { urn, type, custom, parent, retainOnDelete, outputs } = resource;
    const { changed, replaceKeys } = decision;
    const retained = op === "delete" && retainOnDelete;
    const shown = { physicalName: nameIn(outputs), tags: tagsIn(outputs) };
    const step = { op, urn, parent, type, name: nameOf(urn), custom, changed, replaceKeys, retained, ...shown };
    this.steps.push(step);
    this.context.options.onStep?.(step);
  }

  private async attempt<T>(goal: Goal, work: () => Promise<T>): Promise<T> {
    if (this.failure) throw this.failure;
    const running = withName(goal, work());
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

/** Prefixes an error with the type and name of the resource. */
async function withName<T>({ type, urn }: { type: string; urn: string }, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new EngineError(`${type} "${nameOf(urn)}": ${reasonOf(cause)}`, { cause });
  }
}

function nameIn({ name }: Properties): string | undefined {
  return typeof name === "string" && name !== UNKNOWN ? name : undefined;
}

function tagsIn({ tagsAll }: Properties): Record<string, string> {
  const tags = isObject(tagsAll) && !isSecret(tagsAll) ? Object.entries(tagsAll) : [];
  return Object.fromEntries(tags.map(([name, value]) => [name, String(value)]));
}

const noOptions = { replaceOnChanges: [], deleteBeforeReplace: undefined };

async function catchNotReady(result: Promise<Live>): Promise<{ live: Live; initErrors: string[] }> {
  try {
    return { live: await result, initErrors: [] };
  } catch (error) {
    if (error instanceof NotReadyError) return { live: error.live, initErrors: error.reasons };
    throw error;
  }
}

function markSecrets(outputs: Properties, names: string[]): Properties {
  return mapValues(outputs, (value, name) => (names.includes(name) ? secret(value) : value));
}

/** Names of the properties of `resource` whose values come from outputs of `source`. */
function dependentProperties(resource: ResourceState, source: ResourceState): string[] {
  const entries = Object.entries(resource.propertyDependencies);
  return entries.filter(([, urns]) => urns.includes(source.urn)).map(([property]) => property);
}
