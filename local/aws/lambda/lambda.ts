import { randomUUID } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Events } from "../../support/events";
import { hashOf } from "../../support/protocol/assets";
import { isObject } from "../../support/protocol/value";
import type { AwsAccount, AwsResource } from "../support/account";
import { materialize } from "../support/archive";
import type { Effects, ResourceType } from "../support/resource";
import { type Properties, text } from "../support/values";
import { LambdaSandbox } from "./sandbox";

const FUNCTION = "aws:lambda/function:Function";
/** How many workers one function may have; further invocations wait. */
const MAX_WORKERS = 4;

/** aws:lambda/function:Function. */
export const lambdaFunction: ResourceType = {
  type: FUNCTION,
  inputs: z.looseObject({
    name: z
      .string()
      .regex(/^[\w-]{1,64}$/, "must be 1 to 64 of letters, digits, _ and -")
      .optional(),
    role: z.string().startsWith("arn:", "must be the ARN of a role"),
    code: z.unknown().refine((code) => code !== undefined, "is required: an archive"),
    handler: z.string().regex(/^[^\s.][^\s]*\.[^\s.]+$/, "must be <file>.<export>"),
    runtime: z.enum(["nodejs20.x", "nodejs22.x", "nodejs24.x"]),
    packageType: z.literal("Zip").optional(),
    architectures: z.tuple([z.enum(["x86_64", "arm64"])]).optional(),
    memorySize: z.number().int().min(128).max(10_240).optional(),
    timeout: z.number().int().min(1).max(900).optional(),
    environment: z.looseObject({ variables: z.record(z.string(), z.string()).optional() }).optional(),
    reservedConcurrentExecutions: z.number().int().min(-1).optional(),
  }),
  replaceOn: ["name", "packageType"],
  autoName: "name",
  id: (inputs) => text(inputs, "name"),
  conflict: "ResourceConflictException: Function already exist",
  defaults: {
    memorySize: 128,
    timeout: 3,
    architectures: ["x86_64"],
    packageType: "Zip",
    publish: false,
    reservedConcurrentExecutions: -1,
    ephemeralStorage: { size: 512 },
    tracingConfig: { mode: "PassThrough" },
  },
  computed: {
    arn: ({ id, account }) => account.arn("lambda", `function:${id}`),
    invokeArn: ({ id, account }) => invokeArn(account, id, "2015-03-31/functions", "invocations"),
    qualifiedArn: ({ id, account }) => account.arn("lambda", `function:${id}:$LATEST`),
    qualifiedInvokeArn: ({ id, account }) => invokeArn(account, `${id}:$LATEST`, "2015-03-31/functions", "invocations"),
    responseStreamingInvokeArn: ({ id, account }) =>
      invokeArn(account, id, "2021-11-15/functions", "response-streaming-invocations"),
    version: () => "$LATEST",
    lastModified: () => new Date().toISOString(),
    sourceCodeHash: ({ made }) => made.sourceCodeHash ?? "",
    signingJobArn: () => "",
    signingProfileVersionArn: () => "",
  },
  recomputed: ["lastModified", "sourceCodeHash"],
};

/** aws:lambda/permission:Permission. */
export const permission: ResourceType = {
  type: "aws:lambda/permission:Permission",
  inputs: z.looseObject({
    action: z.string().startsWith("lambda:", "must be a Lambda action, such as lambda:InvokeFunction"),
    function: z.string(),
    principal: z.string(),
    sourceArn: z.string().startsWith("arn:", "must be an ARN").optional(),
  }),
  replaceOn: [
    "action",
    "function",
    "principal",
    "sourceArn",
    "sourceAccount",
    "statementId",
    "qualifier",
    "principalOrgId",
  ],
  autoName: "statementId",
  scope: (inputs) => functionName(text(inputs, "function")),
  id: (inputs) => text(inputs, "statementId"),
  conflict: "ResourceConflictException",
  computed: {},
};

/** A function answered with an error, or died, or ran out of time. `payload` is what Lambda's Invoke returns then. */
export class FunctionError extends Error {
  override readonly name = "FunctionError";
  constructor(readonly payload: { errorType: string; errorMessage: string; trace?: string[] }) {
    super(`${payload.errorType}: ${payload.errorMessage}`);
  }
}

/** The function's name in an ARN, an invoke ARN, a `name:qualifier`, or a plain name. */
export function functionName(reference: string): string {
  return /(?:^|:)function:([\w-]+)/.exec(reference)?.[1] ?? reference.split(":", 1)[0] ?? reference;
}

/** What every function is given from outside its own configuration. */
export interface LambdaOptions {
  account: AwsAccount;
  events: Events;
  /** Where the packages are unpacked. */
  dir: string;
  /** What relative paths in archives are relative to. */
  programDir: string;
  /** Environment of all functions, such as the endpoints of the other services. Read at each invocation. */
  extraEnv: () => Record<string, string>;
}

/** Lambda on this machine: packages unpacked to folders, each run in worker threads that stay warm. */
export class Lambda {
  readonly effects: Effects = {
    create: (resource) => this.unpack(resource),
    update: async (resource, previous) => {
      const hash = await hashOf(resource.outputs.code, this.options.programDir);
      return hash === previous.outputs.sourceCodeHash ? { sourceCodeHash: hash } : this.unpack(resource);
    },
    delete: async (resource) => {
      await this.sandboxes.get(resource.id)?.close();
      this.sandboxes.delete(resource.id);
      await rm(this.folder(resource.id), { recursive: true, force: true });
    },
  };
  private readonly sandboxes = new Map<string, LambdaSandbox>();

  constructor(private readonly options: LambdaOptions) {}

  /** Removes the packages of earlier code. To be called before anything runs: a worker keeps reading its own. */
  async tidy(): Promise<void> {
    for (const { id, outputs } of this.options.account.list(FUNCTION)) {
      const unpacked = await readdir(this.folder(id)).catch(() => []);
      const earlier = unpacked.filter((hash) => hash !== outputs.sourceCodeHash);
      await Promise.all(earlier.map((hash) => rm(join(this.folder(id), hash), { recursive: true, force: true })));
    }
  }

  /**
   * Runs a function and gives its result, as JSON would carry it.
   *
   * @param reference a function's name or ARN
   * @param requestId what the function finds as its context's `awsRequestId`
   * @throws FunctionError, or an Error when there is no such function
   */
  async invoke(reference: string, event: unknown, requestId: string = randomUUID()): Promise<unknown> {
    const name = functionName(reference);
    const resource = this.options.account.get(FUNCTION, name);
    if (resource === undefined) throw new Error(`ResourceNotFoundException: Function not found: ${name}`);
    const started = performance.now();
    const { timeout, memorySize, handler } = resource.outputs;
    const outcome = await this.sandbox(resource).run({
      event: JSON.stringify(event),
      timeoutMs: Number(timeout) * 1000,
      context: {
        awsRequestId: requestId,
        functionName: name,
        functionVersion: "$LATEST",
        invokedFunctionArn: this.options.account.arn("lambda", `function:${name}`),
        memoryLimitInMB: String(memorySize),
        logGroupName: `/aws/lambda/${name}`,
        logStreamName: "local",
      },
      handler: String(handler),
    });
    const durationMs = performance.now() - started;
    const failed = "error" in outcome;
    this.options.events.emit({
      source: "lambda",
      summary: `${name} → ${failed ? outcome.error.errorType : "ok"}`,
      durationMs,
    });
    if (failed) throw new FunctionError(outcome.error);
    return JSON.parse(outcome.result);
  }

  /** Ends every worker. */
  async close(): Promise<void> {
    await Promise.all([...this.sandboxes.values()].map((sandbox) => sandbox.close()));
    this.sandboxes.clear();
  }

  private async unpack(resource: AwsResource): Promise<Properties> {
    const { code } = resource.outputs;
    const sourceCodeHash = await hashOf(code, this.options.programDir);
    // A folder per code: a worker still answering keeps the files it was started with.
    await materialize(code, join(this.folder(resource.id), sourceCodeHash), this.options.programDir);
    return { sourceCodeHash };
  }

  private folder(id: string): string {
    return join(this.options.dir, id);
  }

  /** The sandbox for the function as it is configured now; a change of code or configuration starts a new one. */
  private sandbox(resource: AwsResource): LambdaSandbox {
    const taskRoot = join(this.folder(resource.id), String(resource.outputs.sourceCodeHash));
    const settings = {
      taskRoot,
      env: this.environment(resource, taskRoot),
      memoryMb: Number(resource.outputs.memorySize),
    };
    const current = this.sandboxes.get(resource.id);
    if (current?.isFor(settings)) return current;
    void current?.retire();
    const log = (line: string) => this.options.events.emit({ source: "lambda", summary: `${resource.id} ${line}` });
    const next = new LambdaSandbox(settings, MAX_WORKERS, log);
    this.sandboxes.set(resource.id, next);
    return next;
  }

  /** The variables Lambda sets, ours for local endpoints, and the function's own; nothing of this process's. */
  private environment(resource: AwsResource, taskRoot: string): Record<string, string> {
    const { region } = this.options.account;
    const { environment } = resource.outputs;
    const own = isObject(environment) && isObject(environment.variables) ? environment.variables : {};
    return {
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
      AWS_ACCESS_KEY_ID: "local",
      AWS_SECRET_ACCESS_KEY: "local",
      AWS_LAMBDA_FUNCTION_NAME: resource.id,
      AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(resource.outputs.memorySize),
      AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${resource.id}`,
      AWS_LAMBDA_LOG_STREAM_NAME: "local",
      AWS_EXECUTION_ENV: `AWS_Lambda_${resource.outputs.runtime}`,
      LAMBDA_TASK_ROOT: taskRoot,
      _HANDLER: String(resource.outputs.handler),
      TZ: ":UTC",
      LANG: "en_US.UTF-8",
      NODE_PATH: `${taskRoot}/node_modules`,
      ...this.options.extraEnv(),
      ...Object.fromEntries(Object.entries(own).map(([name, value]) => [name, String(value)])),
    };
  }
}

function invokeArn(account: AwsAccount, id: string, path: string, verb: string): string {
  const target = account.arn("lambda", `function:${id}`);
  return `arn:${account.partition}:apigateway:${account.region}:lambda:path/${path}/${target}/${verb}`;
}
