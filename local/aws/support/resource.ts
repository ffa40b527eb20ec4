import { randomInt } from "node:crypto";
import type { z } from "zod";
import type { AwsAccount, AwsResource } from "./account";
import type { Properties } from "./values";

/** Values from which an output is computed. */
interface ComputeContext {
  id: string;
  /** The type's defaults, overridden by the inputs. */
  inputs: Properties;
  account: AwsAccount;
  /** Values that the effect returned, such as a port or a digest. */
  returned: Properties;
}

/** Static description of a resource type, with all data for check, diff and preview. */
export interface ResourceType {
  /** Pulumi type token. */
  readonly type: string;
  /** Schema of the inputs that the local cloud reads. Other inputs are not checked. An issue becomes a CheckFailure. */
  readonly inputs: z.ZodType;
  /** Inputs that accept an object and store its JSON text. */
  readonly jsonText?: readonly string[];
  /**
   * Paths of inputs that replace the resource when they change, as in the real provider. A path includes everything
   * below it.
   */
  readonly replaceOn: readonly string[];
  /** Names of lists, at any depth, that are sets in the real provider. Their order does not matter. */
  readonly sets?: readonly string[];
  /** The input that defaults to `<logical name>-<7 hex>` or `<namePrefix><7 hex>`. */
  readonly autoName?: string;
  /** Whether AWS stores tags for the type. If true, the provider's default tags apply. */
  readonly isTaggable?: true;
  /** The resource within which the id is unique. Undefined when the id is unique within the account. */
  readonly scope?: (inputs: Properties) => string;
  /** The id of a new resource. */
  readonly id: (inputs: Properties, account: AwsAccount) => string;
  /** Name of AWS's error for a resource that already exists. */
  readonly conflict?: string;
  /** Output values for inputs that the program omits. */
  readonly defaults?: Properties;
  /** Outputs that are not inputs. They are unknown in the preview of a create. */
  readonly computed: Readonly<Record<string, (context: ComputeContext) => unknown>>;
  /** Computed outputs that an update computes again. All other computed outputs keep their values. */
  readonly recomputed?: readonly string[];
  /** Outputs that are always secret. */
  readonly secretOutputs?: readonly string[];
}

/**
 * Actions of a service when a resource is created, updated or deleted. An action that fails throws an Error with AWS's
 * error text.
 */
export interface Effects {
  /**
   * `resource.outputs` contains the type's defaults, overridden by the inputs. May return values for computed outputs.
   */
  create?(resource: AwsResource): Promise<Properties | undefined>;
  update?(resource: AwsResource, previous: AwsResource): Promise<Properties | undefined>;
  delete?(resource: AwsResource): Promise<void>;
}

/** Effects by type token. A resource whose type has no effects is only stored in the account. */
export type EffectsByType = Readonly<Record<string, Effects>>;

/** A random id with characters of `alphabet`, like the ids that AWS generates. */
export function randomId(length: number, alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join("");
}
