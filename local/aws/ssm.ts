import { createHash } from "node:crypto";
import { Hono } from "hono";
import { z } from "zod";
import type { Events } from "../events";
import { type Listening, serve } from "../http";
import type { AwsAccount, AwsResource } from "./account";
import type { ResourceType } from "./resource";
import { type Properties, text } from "./values";

const TYPE = "aws:ssm/parameter:Parameter";

/** aws:ssm/parameter:Parameter. The account is the store: what the provider wrote is what the SDK reads. */
export const parameter: ResourceType = {
  type: TYPE,
  inputs: z
    .looseObject({
      type: z.enum(["String", "StringList", "SecureString"]),
      name: z
        .string()
        .regex(/^(?!\/?(?:aws|ssm))[\w./-]{1,1011}$/i, "must be letters, digits and ._-/, not starting with aws or ssm")
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
    arn: ({ id, account }) => account.arn("ssm", `parameter/${id.replace(/^\//, "")}`),
    value: ({ inputs }) => inputs.value ?? inputs.insecureValue,
    version: ({ made }) => made.version ?? 1,
  },
  recomputed: ["value", "version"],
  secretOutputs: ["value"],
};

/** Each write is a new version. */
export const parameterEffects = {
  async update(_parameter: AwsResource, previous: AwsResource): Promise<Properties> {
    return { version: Number(previous.outputs.version) + 1 };
  },
};

const names = z.object({ Names: z.array(z.string()).min(1).max(10), WithDecryption: z.boolean().optional() });
const name = z.object({ Name: z.string(), WithDecryption: z.boolean().optional() });
/** An error the way AWS's JSON protocol says it: the SDK makes it an exception of this name. */
class SsmError extends Error {
  constructor(
    readonly type: string,
    message: string,
  ) {
    super(message);
  }
}

/** Serves Parameter Store's JSON 1.1 protocol on a free loopback port. */
export function startSsm(account: AwsAccount, events: Events): Promise<Listening> {
  const operations: Record<string, (body: unknown) => unknown> = {
    GetParameter(body) {
      const { Name, WithDecryption } = name.parse(body);
      const found = account.get(TYPE, Name);
      if (found === undefined) throw new SsmError("ParameterNotFound", "");
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
  };

  /** SecureString comes back encrypted unless asked for in the clear. */
  function describe(resource: AwsResource, decrypt = false): Properties {
    const { type, value, version, dataType } = resource.outputs;
    const sealed = type === "SecureString" && !decrypt;
    return {
      Name: resource.id,
      Type: type,
      Value: sealed ? createHash("sha256").update(`${resource.id}\0${value}`).digest("base64") : value,
      Version: version,
      DataType: dataType,
      ARN: account.arn("ssm", `parameter/${resource.id.replace(/^\//, "")}`),
    };
  }

  const app = new Hono();
  app.post("/", async (c) => {
    const operation = c.req.header("x-amz-target")?.replace("AmazonSSM.", "") ?? "";
    c.header("content-type", "application/x-amz-json-1.1");
    try {
      const run = operations[operation];
      if (run === undefined)
        throw new SsmError("UnknownOperationException", `${operation} is not part of the local cloud.`);
      const body = await c.req.json();
      events.emit({ source: "ssm", summary: `${operation} ${body.Name ?? body.Names?.join(" ") ?? ""}` });
      return c.body(JSON.stringify(run(body)));
    } catch (error) {
      const { type, message } = described(error);
      c.header("x-amzn-errortype", type);
      return c.body(JSON.stringify({ __type: type, message }), 400);
    }
  });
  return serve("Parameter Store", 0, app.fetch);
}

function described(error: unknown): { type: string; message: string } {
  if (error instanceof SsmError) return error;
  if (error instanceof z.ZodError) return { type: "ValidationException", message: z.prettifyError(error) };
  return { type: "SerializationException", message: "The request is not valid JSON." };
}
