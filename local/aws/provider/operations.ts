import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";
import { hashOf } from "../../support/protocol/assets";
import { isArchive, isAsset, isObject, secret, UNKNOWN } from "../../support/protocol/value";
import { repository } from "../ecr/resources";
import type { AwsAccount, AwsResource } from "../support/account";
import type { EffectsByType, ResourceType } from "../support/resource";
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

/**
 * Name of an additional input: the list of all inputs that have an automatic name. Pulumi's bridged providers have the
 * same input.
 */
const DEFAULTS = "__defaults";

/** An error in one property. */
export interface Failure {
  property: string;
  reason: string;
}

/** Difference between a resource and its new inputs. */
export interface Difference {
  changes: Change[];
  /** Paths of changes that need a replacement. */
  replaces: string[];
  /** Whether the old resource must be deleted first, because the new resource has the same name. */
  deleteBeforeReplace: boolean;
}

/** A resource in the state of the Pulumi engine. */
interface Old {
  inputs: Properties;
  outputs: Properties;
}

/** Called with each new resource, before the create returns. */
export type OnCreate = (resource: AwsResource) => Promise<void>;

/** The resource of a request. */
export interface Target {
  type: string;
  /** Logical name. */
  name: string;
}

/** Data from the Pulumi engine for an automatic name. */
interface Naming {
  /** Seed of the random suffix. */
  seed: Uint8Array;
  /** Name that the engine has made from the pattern of `pulumi:autonaming`. Undefined when the stack has no pattern. */
  proposed: string | undefined;
}

/** Configuration of the AWS provider. Pulumi transmits lists and objects as JSON text. */
const ProviderConfig = z.looseObject({
  allowedAccountIds: json(z.array(z.string())).optional(),
  defaultTags: json(z.looseObject({ tags: z.record(z.string(), z.string()).optional() })).optional(),
});

/** The provider's methods, independent of gRPC. Properties keep the encoding of the Pulumi protocol. */
export class Operations {
  private defaultTags: Record<string, string> = {};

  /**
   * @param effects actions at create, update and delete
   * @param programDir base folder of relative asset paths
   * @param onCreate called after each create
   */
  constructor(
    private readonly account: AwsAccount,
    private readonly effects: EffectsByType,
    private readonly programDir: string,
    private readonly onCreate: OnCreate = async () => {},
  ) {}

  /**
   * Stores the default tags. Ignores a configuration without a region, such as that of the package `docker-build`.
   *
   * @throws Error when `allowedAccountIds` does not contain the account
   */
  configure(config: Properties): void {
    if (!("region" in config)) return;
    const { allowedAccountIds, defaultTags } = ProviderConfig.parse(config);
    const { accountId } = this.account;
    if (allowedAccountIds && !allowedAccountIds.includes(accountId))
      throw new Error(`AWS account ID not allowed: ${accountId}`);
    this.defaultTags = defaultTags?.tags ?? {};
  }

  /**
   * Validates the inputs. Adds the automatic name and the asset hashes, and converts objects to JSON text where AWS
   * expects text.
   */
  async check(
    { type, name }: Target,
    olds: Properties,
    news: Properties,
    naming: Naming,
  ): Promise<{ inputs: Properties; failures: Failure[] }> {
    const description = resourceType(type);
    const inputs: Properties = { ...news };
    const failures: Failure[] = [];
    for (const [property, value] of Object.entries(news)) {
      try {
        inputs[property] = await this.withHash(value);
      } catch (error) {
        failures.push({ property, reason: error instanceof Error ? error.message : String(error) });
      }
    }
    for (const property of description.jsonText ?? []) inputs[property] = asJsonText(inputs[property]);
    const { autoName } = description;
    if (autoName !== undefined && inputs[autoName] === undefined) {
      const prefix = plain(news.namePrefix);
      const kept = isAutoNamed(olds, autoName) && String(olds[autoName]).startsWith(String(prefix ?? ""));
      inputs[autoName] = kept ? olds[autoName] : automaticName(description, name, prefix, naming);
      inputs[DEFAULTS] = [autoName];
    }
    failures.push(...validate(description.inputs, plainProperties(inputs)));
    return { inputs, failures };
  }

  /**
   * Compares old and new inputs. Compares secrets by content and treats unknowns as different. Also reports outputs
   * that were changed outside the Pulumi engine, so that the next update stores them in the state. An example is the
   * endpoint of an API that has moved to another port.
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
      changes: [...found, ...this.tagChanges(description, old, news), ...this.drift(description, id, old, ignored)],
      replaces,
      deleteBeforeReplace: replaces.length > 0 && this.collides(description, olds, news),
    };
  }

  /**
   * Creates a resource.
   *
   * @returns the id (empty in a preview) and all outputs
   */
  async create({ type }: Target, news: Properties, preview: boolean): Promise<{ id: string; outputs: Properties }> {
    const description = resourceType(type);
    const inputs = storedInputs(news);
    const settings = this.settingsOf(description, inputs);
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
    const returned = (await this.effects[type]?.create?.(resource)) ?? {};
    const computed = this.compute(description, id, settings, returned, Object.keys(description.computed));
    resource.outputs = withoutUndefined({ ...settings, ...computed });
    this.account.put(resource);
    await this.onCreate(resource);
    return { id, outputs: this.present(description, resource, news) };
  }

  /**
   * Updates a resource in place.
   *
   * @returns all outputs
   */
  async update(
    { type }: Target,
    id: string,
    olds: Properties,
    news: Properties,
    preview: boolean,
  ): Promise<Properties> {
    const description = resourceType(type);
    const inputs = storedInputs(news);
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
      throw new Error(`${type} ${id} no longer exists in the local cloud. Run pulumi refresh.`);
    if (preview) {
      const unknown = Object.fromEntries(recomputed.map((name) => [name, UNKNOWN]));
      const outputs = withoutUndefined({ ...settings, ...kept(previous.outputs), ...unknown });
      return keepSecrets(outputs, description.secretOutputs ?? [], olds, news);
    }
    const returned = (await this.effects[type]?.update?.({ ...previous, inputs, outputs: settings }, previous)) ?? {};
    const computed = this.compute(description, id, settings, returned, recomputed);
    const outputs = withoutUndefined({ ...settings, ...kept(previous.outputs), ...computed });
    const resource = { ...previous, inputs, outputs };
    this.account.put(resource);
    return this.present(description, resource, news);
  }

  /** Deletes a resource if it exists. */
  async delete({ type }: Target, id: string, olds: Properties): Promise<void> {
    const description = resourceType(type);
    const resource = this.find(description, id, plainProperties(olds));
    if (resource === undefined) return;
    await this.effects[type]?.delete?.(resource);
    this.account.delete(type, resource.id, resource.scope);
  }

  /** Reads the current resource, for refresh and import. Returns undefined when it does not exist. */
  read(
    { type }: Target,
    id: string,
    properties: Properties,
    inputs: Properties,
  ): { id: string; outputs: Properties; inputs: Properties } | undefined {
    const description = resourceType(type);
    const resource = this.find(description, id, plainProperties({ ...properties, ...inputs }));
    if (resource === undefined) return undefined;
    const autoNamed = inputs[DEFAULTS] === undefined ? {} : { [DEFAULTS]: inputs[DEFAULTS] };
    const secretInputs = (description.secretOutputs ?? []).filter((name) => name in resource.inputs);
    return {
      id: resource.id,
      outputs: this.present(description, resource, properties, inputs),
      inputs: { ...keepSecrets(resource.inputs, secretInputs, inputs), ...autoNamed },
    };
  }

  /** The type's defaults, overridden by the inputs, and the outputs that every AWS resource has. */
  private settingsOf(description: ResourceType, inputs: Properties): Properties {
    const regional = description.type.startsWith("aws:") && !description.type.startsWith("aws:iam/");
    return {
      ...description.defaults,
      ...(regional ? { region: this.account.region } : {}),
      ...inputs,
      ...this.tagsOf(description, inputs),
    };
  }

  /** Output `tagsAll`: the provider's default tags, overridden by the tags of the resource. */
  private tagsOf({ isTaggable }: ResourceType, { tags }: Properties): Properties {
    return isTaggable ? { tagsAll: { ...this.defaultTags, ...(isObject(tags) && tags) } } : {};
  }

  /** A change of the provider's default tags also changes every resource that has tags. */
  private tagChanges(description: ResourceType, old: Old, news: Properties): Change[] {
    if (!description.isTaggable) return [];
    const { tagsAll } = plainProperties(old.outputs);
    return changes({ tagsAll }, this.tagsOf(description, withoutDefaults(news)));
  }

  private compute(
    description: ResourceType,
    id: string,
    inputs: Properties,
    returned: Properties,
    names: readonly string[],
  ) {
    return Object.fromEntries(
      names.map((name) => [name, description.computed[name]?.({ id, inputs, returned, account: this.account })]),
    );
  }

  private present(description: ResourceType, resource: AwsResource, ...origins: Properties[]): Properties {
    return keepSecrets(resource.outputs, description.secretOutputs ?? [], ...origins);
  }

  /** Finds a resource by id. In an import, the id already contains the scope: `<scope>/<id>`. */
  private find(description: ResourceType, id: string, known: Properties): AwsResource | undefined {
    const imported = this.account.get(description.type, id);
    if (imported !== undefined || description.scope === undefined || Object.keys(known).length === 0) return imported;
    return this.account.get(description.type, id, description.scope(known));
  }

  /**
   * Returns the computed outputs that differ from the state of the Pulumi engine. With `ignoreChanges`, the result
   * omits the outputs that every update computes again, because a change of an ignored input would change them too.
   */
  private drift(description: ResourceType, id: string, { inputs, outputs }: Old, ignored: string[]): Change[] {
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

  /** Whether a replacement would have the same id in AWS as the old resource, because the program sets the name. */
  private collides(description: ResourceType, olds: Properties, news: Properties): boolean {
    const { autoName, conflict } = description;
    if (conflict === undefined || (autoName !== undefined && isAutoNamed(news, autoName))) return false;
    const [before, after] = [olds, news].map((properties) => {
      const inputs = plainProperties(properties);
      return `${description.scope?.(inputs)}/${description.id(inputs, this.account)}`;
    });
    return before === after;
  }

  /**
   * Adds a hash to an asset or archive that has none, so that a changed file shows as a change. The real Pulumi engine
   * sends this hash itself.
   */
  private async withHash(value: unknown): Promise<unknown> {
    const file = plain(value);
    if (!isAsset(file) && !isArchive(file)) return value;
    if ((typeof file.hash === "string" && file.hash !== "") || holdsUnknown(file)) return value;
    const hashed = { ...file, hash: await hashOf(file, this.programDir) };
    return holdsSecret(value) ? secret(hashed) : hashed;
  }
}

/**
 * Converts an object to JSON text, as the real provider does. When an object contains an unknown, the whole text is
 * unknown.
 */
function asJsonText(value: unknown): unknown {
  const document = plain(value);
  if (!isObject(document)) return value;
  const json = holdsUnknown(document) ? UNKNOWN : stableJson(document);
  return holdsSecret(value) ? secret(json) : json;
}

/** Converts issues of Zod to check failures. Skips issues about values that are still unknown. */
function validate(schema: z.ZodType, inputs: Properties): Failure[] {
  const result = schema.safeParse(inputs);
  if (result.success) return [];
  return result.error.issues
    .filter((issue) => !unknownAt(inputs, issue.path))
    .map((issue) => ({ property: pathText(issue.path), reason: issue.message }));
}

/** Whether the value at a path contains an unknown or lies inside one. */
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

/** Inputs as the account stores them: in plain text and without `DEFAULTS`. */
function storedInputs(inputs: Properties): Properties {
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

/**
 * Returns the name that the engine proposed, in lower case where AWS requires lower case. Without a proposed name,
 * returns a name in Pulumi's default format.
 */
function automaticName({ type }: ResourceType, name: string, prefix: unknown, { seed, proposed }: Naming): string {
  if (prefix === undefined && proposed !== undefined)
    return type === repository.type ? proposed.toLowerCase() : proposed;
  return `${prefix ?? `${name}-`}${hex7(seed)}`;
}

/** A value that may be JSON text. */
function json<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => (typeof value === "string" ? JSON.parse(value) : value), schema);
}

/**
 * Suffix of an automatic name. The Pulumi engine sends the same seed in preview and update, so the suffix is the same.
 */
function hex7(seed: Uint8Array): string {
  const bytes = seed.length > 0 ? createHash("sha256").update(seed).digest() : randomBytes(4);
  return bytes.toString("hex").slice(0, 7);
}

/** Top-level properties of a list of paths, without duplicates. */
export function topLevelProperties(paths: string[]): string[] {
  return [...new Set(paths.map(topLevel))];
}
