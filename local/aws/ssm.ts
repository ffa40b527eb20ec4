import { createHash } from "node:crypto";
import { z } from "zod";
import type { Events } from "../support/events";
import type { Listening } from "../support/http";
import type { Access } from "./iam/policy";
import { JsonProtocolError, serveJsonProtocol } from "./jsonProtocol";
import type { AwsAccount, AwsResource } from "./support/account";
import type { ResourceType } from "./support/resource";
import { type Properties, text } from "./support/values";

const TYPE = "aws:ssm/parameter:Parameter";

/** aws:ssm/parameter:Parameter. The account stores the value, so the Pulumi provider and Parameter Store share it. */
export const parameter: ResourceType = {
  type: TYPE,
  isTaggable: true,
  inputs: z
    .looseObject({
      type: z.enum(["String", "StringList", "SecureString"]),
      name: z
        .string()
        .regex(
          /^(?!\/?(?:aws|ssm))[\w./-]{1,1011}$/i,
          "must contain only letters, digits and ._-/, and must not start with aws or ssm",
        )
        .optional(),
      value: z.string().min(1).max(4096).optional(),
      insecureValue: z.string().min(1).max(4096).optional(),
    })
    .refine((inputs) => (inputs.value === undefined) !== (inputs.insecureValue === undefined), {
      path: ["value"],
      error: "give exactly one of value and insecureValue",
    }),
  replaceOn: ["name"],
  autoName: "name",
  id: (inputs) => text(inputs, "name"),
  conflict: "ParameterAlreadyExists",
  defaults: { tier: "Standard", dataType: "text" },
  computed: {
    arn: ({ id, account }) => arnOf(account, id),
    value: ({ inputs }) => inputs.value ?? inputs.insecureValue,
    version: ({ returned }) => returned.version ?? 1,
  },
  recomputed: ["value", "version"],
  secretOutputs: ["value"],
};

/** Increments the version of a parameter at each update. */
export const parameterEffects = {
  async update(_parameter: AwsResource, previous: AwsResource): Promise<Properties> {
    return { version: Number(previous.outputs.version) + 1 };
  },
};

/** Maximum number of parameters in one answer of `GetParametersByPath`. */
const PAGE_SIZE = 10;

/**
 * Parameters directly below a path, by name, as AWS's provider returns them.
 *
 * @param path begins with `/`, without the last part of the parameters' names
 */
export function parametersBelow(account: AwsAccount, path: string): AwsResource[] {
  const prefix = path.endsWith("/") ? path : `${path}/`;
  return account
    .list(TYPE)
    .filter(({ id }) => id.startsWith(prefix) && !id.slice(prefix.length).includes("/"))
    .sort((one, other) => (one.id < other.id ? -1 : 1));
}

const names = z.object({ Names: z.array(z.string()).min(1).max(10), WithDecryption: z.boolean().optional() });
const written = z.object({ Name: z.string(), Value: z.string().min(1).max(4096), Overwrite: z.literal(true) });
const name = z.object({ Name: z.string(), WithDecryption: z.boolean().optional() });
/** Without `Recursive`, because the program does not use it. */
const byPath = z.strictObject({
  Path: z
    .string()
    .regex(/^\/[\w./-]*$/, "The parameter path must begin with / and contain only letters, digits and ._-/"),
  MaxResults: z.int().min(1).max(PAGE_SIZE).default(PAGE_SIZE),
  NextToken: z.string().optional(),
  WithDecryption: z.boolean().optional(),
});

/** Serves Parameter Store's JSON 1.1 protocol on a free loopback port. */
export function startSsm(account: AwsAccount, events: Events): Promise<Listening> {
  const operations: Record<string, (body: unknown) => unknown> = {
    GetParameter(body) {
      const { Name, WithDecryption } = name.parse(body);
      const found = account.get(TYPE, Name);
      if (found === undefined) throw new JsonProtocolError("ParameterNotFound", "");
      return { Parameter: describe(found, WithDecryption) };
    },
    GetParameters(body) {
      const { Names, WithDecryption } = names.parse(body);
      const found = Names.flatMap((one) => account.get(TYPE, one) ?? []);
      return {
        Parameters: found.map((one) => describe(one, WithDecryption)),
        InvalidParameters: Names.filter((one) => account.get(TYPE, one) === undefined),
      };
    },
    GetParametersByPath(body) {
      const { Path, MaxResults, NextToken = "", WithDecryption } = byPath.parse(body);
      const found = parametersBelow(account, Path);
      // The token names the last parameter of the page before.
      const rest = found.filter(({ id }) => id > NextToken);
      const page = rest.slice(0, MaxResults);
      return {
        Parameters: page.map((one) => describe(one, WithDecryption)),
        ...(rest.length > page.length && { NextToken: page.at(-1)?.id }),
      };
    },
    PutParameter: (body) => put(written.parse(body)),
  };

  /** Sets the value of an existing parameter. Never creates a parameter, because only the Pulumi program does that. */
  function put({ Name, Value }: z.infer<typeof written>): Properties {
    const found = account.get(TYPE, Name);
    if (found === undefined) throw new JsonProtocolError("ParameterNotFound", "");
    const version = Number(found.outputs.version) + 1;
    account.put({ ...found, outputs: { ...found.outputs, value: Value, version } });
    return { Version: version, Tier: "Standard" };
  }

  /**
   * A parameter as the API returns it. Unless `decrypt` is true, a SecureString has a hash in place of its encrypted
   * value.
   */
  function describe(resource: AwsResource, decrypt = false): Properties {
    const { type, value, version, dataType } = resource.outputs;
    const sealed = type === "SecureString" && !decrypt;
    return {
      Name: resource.id,
      Type: type,
      Value: sealed ? createHash("sha256").update(`${resource.id}\0${value}`).digest("base64") : value,
      Version: version,
      DataType: dataType,
      ARN: arnOf(account, resource.id),
    };
  }

  /** Decryption with a key of the customer needs a permission for the key. The account's own key needs none. */
  function accesses(operation: string, { Name, Names, Path, WithDecryption }: Properties): Access[] {
    const action = `ssm:${operation}`;
    return [Names ?? Name ?? Path].flat().flatMap((one) => {
      const { keyId } = account.get(TYPE, String(one))?.outputs ?? {};
      const decrypt = { action: "kms:Decrypt", resource: String(keyId) };
      return [{ action, resource: arnOf(account, String(one)) }, ...(keyId && WithDecryption ? [decrypt] : [])];
    });
  }

  return serveJsonProtocol(
    { name: "Parameter Store", source: "ssm", target: "AmazonSSM", operations, summary: namesIn, account, accesses },
    events,
  );
}

function arnOf(account: AwsAccount, name: string): string {
  return account.arn("ssm", `parameter/${name.replace(/^\//, "")}`);
}

function namesIn(body: unknown): string {
  const { Name, Names, Path } = body as { Name?: string; Names?: string[]; Path?: string };
  return Name ?? Names?.join(" ") ?? Path ?? "";
}
