import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type Model, models } from "../../../contract/plan";
import { Deployment } from "../../../local/pulumi/deployment";
import type { Goal } from "../../../local/pulumi/goal";
import type { EngineOptions } from "../../../local/pulumi/options";
import type { ResourceProvider } from "../../../local/pulumi/provider";
import { type ResourceState, StackState } from "../../../local/pulumi/state";
import type { StepEvent } from "../../../local/pulumi/step";
import { createUrn } from "../../../local/pulumi/urn";
import { type Properties, secret, type Value } from "../../../local/support/protocol/value";
import { type DeclaredModel, type DeclaredStack, environmentOf, owner } from "./declaredStack";

/** Properties that a resource class adds to its declared inputs. */
interface Registration {
  kind: "registryAuth" | "secret" | "template" | "endpoint";
  type: string;
  /** Text of the provider, which Pulumi stores in the state. */
  provider: string;
  deleteBeforeReplace: boolean;
  additionalSecretOutputs: string[];
}
export type Registrations = Record<Registration["kind"], Registration>;

let registrations: Promise<Registrations> | undefined;

/** Reads the properties from the resource classes in a separate process. Reads them only once. */
export function readRegistrations(): Promise<Registrations> {
  registrations ??= askResourceClasses();
  return registrations;
}

async function askResourceClasses(): Promise<Registrations> {
  const { stdout } = await promisify(execFile)(process.execPath, ["verify/chaos/runpod/registrations.cjs"]);
  const all: Registration[] = JSON.parse(stdout);
  return Object.fromEntries(all.map((registration) => [registration.kind, registration])) as unknown as Registrations;
}

/** A stack of RunPod resources, run by the local Pulumi engine. Its state is in memory only. */
export class Stack {
  private readonly state: StackState;

  /** @param connect called at the start of each operation. Returns the configured provider */
  constructor(
    private readonly options: EngineOptions,
    private readonly connect: () => Promise<ResourceProvider>,
    private readonly registrations: Registrations,
  ) {
    this.state = new StackState(options.statePath, false);
  }

  /** Returns a copy of the stack with a separate state, like the checkout of a second operator. */
  fork(): Stack {
    const copy = new Stack(this.options, this.connect, this.registrations);
    copy.restore(this.snapshot());
    return copy;
  }

  /** Ids of all resources in the state. */
  get ids(): string[] {
    return this.state.all.map(({ id }) => id);
  }

  /** Copy of the current state, for `restore`. */
  snapshot(): readonly ResourceState[] {
    return structuredClone(this.state.all);
  }

  /** Replaces the current state by an earlier snapshot. */
  restore(resources: readonly ResourceState[]): void {
    for (const resource of [...this.state.all]) this.state.remove(resource);
    for (const resource of resources) this.state.put(structuredClone(resource));
  }

  /** Removes all dependencies from the state, so that `destroy` deletes all resources at the same time. */
  forgetDependencies(): void {
    for (const resource of this.snapshot()) {
      this.state.put({ ...resource, dependencies: [], propertyDependencies: {} });
    }
  }

  /**
   * Runs `pulumi up`.
   *
   * @throws EngineError for the first failure. Throws after all other operations have ended
   */
  async up(declared: DeclaredStack): Promise<StepEvent[]> {
    const deployment = this.deployment();
    try {
      const auth = await deployment.register(this.registryAuth(declared));
      const token = declared.secret && (await deployment.register(this.secret(declared.secret)));
      const registering = models.map(async (model) => {
        const each = declared.models[model];
        if (!each) return;
        const template = await deployment.register(this.template(model, declared, auth, token));
        await deployment.register(this.endpoint(model, each, template));
      });
      for (const outcome of await Promise.allSettled(registering))
        if (outcome.status === "rejected") throw outcome.reason;
    } finally {
      await deployment.idle();
    }
    await deployment.prune();
    return deployment.steps;
  }

  /** Runs `pulumi refresh`. */
  async refresh(): Promise<StepEvent[]> {
    const deployment = this.deployment();
    await deployment.refresh();
    return deployment.steps;
  }

  /** Runs `pulumi destroy`. */
  async destroy(): Promise<void> {
    await this.deployment().prune();
  }

  private deployment(): Deployment {
    const provider = this.connect();
    return new Deployment({
      options: this.options,
      state: this.state,
      providers: { get: () => provider },
      dryRun: false,
    });
  }

  private registryAuth({ registry }: DeclaredStack): Goal {
    const { name, password } = registry;
    return this.goal("registryAuth", "registry", { name, username: "robot", password: secret(password) }, {});
  }

  private secret({ name, value }: { name: string; value: string }): Goal {
    return this.goal("secret", "token", { name, value: secret(value) }, {});
  }

  /** @param token secret to which the template's environment refers */
  private template(model: Model, declared: DeclaredStack, auth: ResourceState, token?: ResourceState): Goal {
    const each = declared.models[model];
    if (!each) throw new Error(`The stack declares no template for ${model}`);
    const { name, imageName } = each;
    const inputs = { name, imageName, env: environmentOf(each, declared), containerDiskInGb: 60 };
    const goal = this.goal("template", model, inputs, { containerRegistryAuthId: auth });
    if (!token) return goal;
    return {
      ...goal,
      dependencies: [...goal.dependencies, token.urn],
      propertyDependencies: { ...goal.propertyDependencies, env: [token.urn] },
    };
  }

  private endpoint(model: string, declared: DeclaredModel, template: ResourceState): Goal {
    const { name, gpuIds, workersMax, idleTimeoutSeconds } = declared;
    const inputs = {
      name,
      gpuIds,
      workersMin: 0,
      workersMax,
      idleTimeoutSeconds,
      scalerType: "QUEUE_DELAY",
      scalerValue: 4,
      executionTimeoutMs: 120_000,
      flashBootType: "FLASHBOOT",
    };
    return this.goal("endpoint", model, inputs, { templateId: template });
  }

  /** @param references names of inputs whose value is the id of another resource */
  private goal(
    kind: Registration["kind"],
    name: string,
    inputs: Record<string, Value>,
    references: Record<string, ResourceState>,
  ): Goal {
    const { type, provider, deleteBeforeReplace, additionalSecretOutputs } = this.registrations[kind];
    const { project, stack } = this.options;
    const ids: Properties = Object.fromEntries(Object.entries(references).map(([key, { id }]) => [key, id]));
    return {
      urn: createUrn({ project, stack, type, name, parent: undefined }),
      type,
      name,
      custom: true,
      parent: undefined,
      inputs: { __provider: provider, owner, ...inputs, ...ids },
      dependencies: Object.values(references).map(({ urn }) => urn),
      propertyDependencies: Object.fromEntries(Object.entries(references).map(([key, { urn }]) => [key, [urn]])),
      protect: undefined,
      retainOnDelete: undefined,
      deleteBeforeReplace: deleteBeforeReplace || undefined,
      ignoreChanges: [],
      replaceOnChanges: [],
      additionalSecretOutputs,
      aliases: [],
    };
  }
}
