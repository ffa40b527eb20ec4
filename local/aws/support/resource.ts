import { randomInt } from "node:crypto";
import type { z } from "zod";
import type { AwsAccount, AwsResource } from "./account";
import type { Properties } from "./values";

/** What a computed output may be made from. */
interface Origin {
  id: string;
  /** Inputs over the type's defaults. */
  inputs: Properties;
  account: AwsAccount;
  /** What the running body gave back: a port, a digest. */
  made: Properties;
}

/** What is known of a resource type without anything running: enough for check, diff and preview. */
export interface ResourceType {
  /** Pulumi type token. */
  readonly type: string;
  /** The inputs that matter here; others pass unseen. An issue becomes a CheckFailure at its path. */
  readonly inputs: z.ZodType;
  /** Inputs that may come as an object and are kept as its JSON text. */
  readonly jsonText?: readonly string[];
  /** Inputs whose change makes a new resource, as in the real provider. Paths; what lies below counts too. */
  readonly replaceOn: readonly string[];
  /** Names of lists, at any depth, that are sets in the real provider: a mere change of their order is no change. */
  readonly sets?: readonly string[];
  /** The input that gets `<logical name>-<7 hex>`, or `<namePrefix><7 hex>`, when the program leaves it out. */
  readonly autoName?: string;
  /** What the id is unique within, where that is not the account. */
  readonly scope?: (inputs: Properties) => string;
  /** The id of a resource to be created. */
  readonly id: (inputs: Properties, account: AwsAccount) => string;
  /** What AWS calls "already there". */
  readonly conflict?: string;
  /** Outputs of inputs the program left out. */
  readonly defaults?: Properties;
  /** Outputs that are not inputs. Unknown in a preview of a create. */
  readonly computed: Readonly<Record<string, (origin: Origin) => unknown>>;
  /** The computed outputs that an update makes anew; the others stay. */
  readonly recomputed?: readonly string[];
  /** Outputs that are secret whatever the inputs were. */
  readonly secretOutputs?: readonly string[];
}

/** What happens when a resource of a type is created, updated or deleted. Each throws an Error with AWS's own words. */
export interface Effects {
  /** `resource.outputs` holds inputs over defaults. May give values for computed outputs. */
  create?(resource: AwsResource): Promise<Properties | undefined>;
  update?(resource: AwsResource, previous: AwsResource): Promise<Properties | undefined>;
  delete?(resource: AwsResource): Promise<void>;
}

/** The running side of the local cloud: effects by type token. A type that is absent is only recorded. */
export type Bodies = Readonly<Record<string, Effects>>;

/** A random name over `alphabet`, such as AWS gives where it chooses. */
export function randomId(length: number, alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join("");
}
