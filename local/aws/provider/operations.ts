import { createHash, randomBytes } from "node:crypto";
import type { z } from "zod";
import { hashOf } from "../../support/protocol/assets";
import { isArchive, isAsset, isObject, secret, UNKNOWN } from "../../support/protocol/value";
import type { AwsAccount, AwsResource } from "../support/account";
import type { Bodies, ResourceType } from "../support/resource";
import {
  holdsSecret,
  holdsUnknown,
  keepSecrets,
  type Properties,
  plain,
  plainProperties,
  stableJson,
  withoutUndefined,
} from "../support/values";
import { type Change, changes, isWithin, topLevel } from "./diff";
import { resourceType } from "./types";

/** The input in which the names of automatically named inputs are kept, as Pulumi's bridged providers do. */
const DEFAULTS = "__defaults";

/** What is wrong with one property. */
export interface Failure {
  /** Property path. */
  property: string;
  reason: string;
}

/** How a resource would change. */
export interface Difference {
  changes: Change[];
  /** Paths of changes that need a new resource. */
  replaces: string[];
  /** The old resource must go first, because the new one has its name. */
  deleteBeforeReplace: boolean;
}

/** A resource as the engine remembers it. */
interface Old {
  inputs: Properties;
  outputs: Properties;
}

/** Which resource, as every request names it. */
export interface Target {
  type: string;
  /** Logical name. */
  name: string;
}

/** What happens to a resource: the provider's methods, free of the wire. Property bags are as the protocol carries them. */
export class Operations {
  /**
   * @param bodies what create, update and delete set in motion
   * @param programDir what relative asset paths are relative to
   */
  constructor(
    private readonly account: AwsAccount,
    private readonly bodies: Bodies,
    private readonly programDir: string,
  ) {}

  /** Fills in the automatic name, asset hashes and JSON text, and judges the inputs. */
  async check(
    { type, name }: Target,
    olds: Properties,
    news: Properties,
    randomSeed: Uint8Array,
  ): Promise<{ inputs: Properties; failures: Failure[] }> {
    const description = resourceType(type);
    const inputs: Properties = { ...news };
    const failures: Failure[] = [];
    for (const [property, value] of Object.entries(news)) {
      try {
        inputs[property] = await this.hashed(value);
      } catch (error) {
        failures.push({ property, reason: error instanceof Error ? error.message : String(error) });
      }
    }
    for (const property of description.jsonText ?? []) inputs[property] = asJsonText(inputs[property]);
    const { autoName } = description;
    if (autoName !== undefined && inputs[autoName] === undefined) {
      const prefix = plain(news.namePrefix);
      const kept = isAutoNamed(olds, autoName) && String(olds[autoName]).startsWith(String(prefix ?? ""));
      inputs[autoName] = kept ? olds[autoName] : `${prefix ?? `${name}-`}${hex7(randomSeed)}`;
      inputs[DEFAULTS] = [autoName];
    }
    failures.push(...judge(description.inputs, plainProperties(inputs)));
    return { inputs, failures };
  }

  /**
   * Compares old and new inputs; secrets by their content, unknowns as different. An output that has changed without
   * the engine's doing, such as the endpoint of an API that had to move, counts too: an update brings it to the engine.
   */
  diff({ type }: Target, id: string, old: Old, news: Properties, ignored: string[]): Difference {
    const description = resourceType(type);
    const olds = old.inputs;
    const found = changes(withoutDefaults(olds), withoutDefaults(news), description.sets).filter(
      ({ path }) => !ignored.some((one) => isWithin(path, one)),
    );
    const replaces = found
      .map(({ path }) => path)
      .filter((path) => description.replaceOn.some((one) => isWithin(path, one)));
    return {
      changes: [...found, ...this.moved(description, id, old, ignored)],
      replaces,
      deleteBeforeReplace: replaces.length > 0 && this.collides(description, olds, news),
    };
  }

  /** @returns the id (empty in a preview) and all outputs */
  async create({ type }: Target, news: Properties, preview: boolean): Promise<{ id: string; outputs: Properties }> {
    const description = resourceType(type);
    const inputs = settle(news);
    const settings = { ...this.settingsOf(description, inputs) };
    if (preview) {
      const unknown = Object.fromEntries(Object.keys(description.computed).map((name) => [name, UNKNOWN]));
      return { id: "", outputs: keepSecrets({ ...settings, ...unknown }, description.secretOutputs ?? [], news) };
    }
    const id = description.id(settings, this.account);
    const scope = description.scope?.(settings);
    if (description.conflict !== undefined && this.account.get(type, id, scope) !== undefined) {
      throw new Error(`${type} ${id}: ${description.conflict} (${id} already exists)`);
    }
    const resource: AwsResource = { type, id, ...(scope === undefined ? {} : { scope }), inputs, outputs: settings };
    const made = (await this.bodies[type]?.create?.(resource)) ?? {};
    const computed = this.compute(description, id, settings, made, Object.keys(description.computed));
    resource.outputs = withoutUndefined({ ...settings, ...computed });
    this.account.put(resource);
    return { id, outputs: this.present(description, resource, news) };
  }

  /** @returns all outputs */
  async update(
    { type }: Target,
    id: string,
    olds: Properties,
    news: Properties,
    preview: boolean,
  ): Promise<Properties> {
    const description = resourceType(type);
    const inputs = settle(news);
    const settings = this.settingsOf(description, inputs);
    const recomputed = description.recomputed ?? [];
    const kept = (outputs: Properties) =>
      Object.fromEntries(
        Object.keys(description.computed)
          .filter((name) => !recomputed.includes(name))
          .map((name) => [name, outputs[name]]),
      );
    const previous = this.find(description, id, settings);
    if (previous === undefined)
      throw new Error(`${type} ${id} is not in the local cloud any more. Run pulumi refresh.`);
    if (preview) {
      const unknown = Object.fromEntries(recomputed.map((name) => [name, UNKNOWN]));
      const outputs = withoutUndefined({ ...settings, ...kept(previous.outputs), ...unknown });
      return keepSecrets(outputs, description.secretOutputs ?? [], olds, news);
    }
    const made = (await this.bodies[type]?.update?.({ ...previous, inputs, outputs: settings }, previous)) ?? {};
    const computed = this.compute(description, id, settings, made, recomputed);
    const outputs = withoutUndefined({ ...settings, ...kept(previous.outputs), ...computed });
    const resource = { ...previous, inputs, outputs };
    this.account.put(resource);
    return this.present(description, resource, news);
  }

  /** Removes a resource; one that is gone already is no error. */
  async delete({ type }: Target, id: string, olds: Properties): Promise<void> {
    const description = resourceType(type);
    const resource = this.find(description, id, plainProperties(olds));
    if (resource === undefined) return;
    await this.bodies[type]?.delete?.(resource);
    this.account.delete(type, resource.id, resource.scope);
  }

  /** The resource as it is now, for refresh and import; undefined when it is gone. */
  read(
    { type }: Target,
    id: string,
    properties: Properties,
    inputs: Properties,
  ): { id: string; outputs: Properties; inputs: Properties } | undefined {
    const description = resourceType(type);
    const resource = this.find(description, id, plainProperties({ ...properties, ...inputs }));
    if (resource === undefined) return undefined;
    const named = inputs[DEFAULTS] === undefined ? {} : { [DEFAULTS]: inputs[DEFAULTS] };
    const secretInputs = (description.secretOutputs ?? []).filter((name) => name in resource.inputs);
    return {
      id: resource.id,
      outputs: this.present(description, resource, properties, inputs),
      inputs: { ...keepSecrets(resource.inputs, secretInputs, inputs), ...named },
    };
  }

  /** Inputs over defaults, with what every AWS resource has. */
  private settingsOf(description: ResourceType, inputs: Properties): Properties {
    const regional = description.type.startsWith("aws:") && !description.type.startsWith("aws:iam/");
    return {
      ...description.defaults,
      ...(regional ? { region: this.account.region } : {}),
      ...inputs,
      ...("tags" in inputs ? { tagsAll: inputs.tags } : {}),
    };
  }

  private compute(
    description: ResourceType,
    id: string,
    inputs: Properties,
    made: Properties,
    names: readonly string[],
  ) {
    return Object.fromEntries(
      names.map((name) => [name, description.computed[name]?.({ id, inputs, made, account: this.account })]),
    );
  }

  private present(description: ResourceType, resource: AwsResource, ...origins: Properties[]): Properties {
    return keepSecrets(resource.outputs, description.secretOutputs ?? [], ...origins);
  }

  /** An import gives nothing but `<scope>/<id>`, which is how the account keeps it. */
  private find(description: ResourceType, id: string, known: Properties): AwsResource | undefined {
    const imported = this.account.get(description.type, id);
    if (imported !== undefined || description.scope === undefined || Object.keys(known).length === 0) return imported;
    return this.account.get(description.type, id, description.scope(known));
  }

  /**
   * The computed outputs that are not what the engine remembers. Where the program leaves an input to others, they move it
   * and what follows from it.
   */
  private moved(description: ResourceType, id: string, { inputs, outputs }: Old, ignored: string[]): Change[] {
    const live = this.find(description, id, plainProperties({ ...outputs, ...inputs }));
    if (live === undefined) return [];
    const computed = (properties: Properties) =>
      Object.fromEntries(
        Object.keys(description.computed)
          .filter((name) => ignored.length === 0 || !description.recomputed?.includes(name))
          .map((name) => [name, properties[name]]),
      );
    return changes(computed(plainProperties(outputs)), computed(live.outputs));
  }

  /** Whether both would be the same thing in AWS, because the program fixed the name. */
  private collides(description: ResourceType, olds: Properties, news: Properties): boolean {
    const { autoName, conflict } = description;
    if (conflict === undefined || (autoName !== undefined && isAutoNamed(news, autoName))) return false;
    const [before, after] = [olds, news].map((bag) => {
      const inputs = plainProperties(bag);
      return `${description.scope?.(inputs)}/${description.id(inputs, this.account)}`;
    });
    return before === after;
  }

  /** Real engines hash assets; where nobody has, a changed file would go unseen. */
  private async hashed(value: unknown): Promise<unknown> {
    const file = plain(value);
    if (!isAsset(file) && !isArchive(file)) return value;
    if ((typeof file.hash === "string" && file.hash !== "") || holdsUnknown(file)) return value;
    const complete = { ...file, hash: await hashOf(file, this.programDir) };
    return holdsSecret(value) ? secret(complete) : complete;
  }
}

/** As the real provider does it: an object becomes its JSON text, and one that holds an unknown is unknown as a whole. */
function asJsonText(value: unknown): unknown {
  const document = plain(value);
  if (!isObject(document)) return value;
  const json = holdsUnknown(document) ? UNKNOWN : stableJson(document);
  return holdsSecret(value) ? secret(json) : json;
}

/** Zod's issues as check failures; what is not known yet cannot be wrong. */
function judge(schema: z.ZodType, inputs: Properties): Failure[] {
  const result = schema.safeParse(inputs);
  if (result.success) return [];
  return result.error.issues
    .filter((issue) => !unknownAt(inputs, issue.path))
    .map((issue) => ({ property: pathText(issue.path), reason: issue.message }));
}

/** Whether the value at a path, anything around it, or the object a rule spans holds an unknown. */
function unknownAt(inputs: Properties, path: PropertyKey[]): boolean {
  let value: unknown = inputs;
  for (const key of path) {
    if (value === UNKNOWN) return true;
    if (typeof value !== "object" || value === null) return false;
    value = Reflect.get(value, key);
  }
  return holdsUnknown(value);
}

function pathText(path: PropertyKey[]): string {
  return path
    .map((key, index) => (typeof key === "number" ? `[${key}]` : `${index === 0 ? "" : "."}${String(key)}`))
    .join("");
}

/** Inputs in the clear, without the names kept for check. */
function settle(inputs: Properties): Properties {
  return withoutUndefined(withoutDefaults(inputs));
}

function withoutDefaults(inputs: Properties): Properties {
  const { [DEFAULTS]: _, ...rest } = plainProperties(inputs);
  return rest;
}

function isAutoNamed(inputs: Properties, name: string): boolean {
  const defaults = plain(inputs[DEFAULTS]);
  return Array.isArray(defaults) && defaults.includes(name);
}

/** The engine's seed makes the same name in preview and update. */
function hex7(seed: Uint8Array): string {
  const bytes = seed.length > 0 ? createHash("sha256").update(seed).digest() : randomBytes(4);
  return bytes.toString("hex").slice(0, 7);
}

/** The properties, by first path segment, that a list of paths touches. */
export function properties(paths: string[]): string[] {
  return [...new Set(paths.map(topLevel))];
}
