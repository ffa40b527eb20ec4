import { randomUUID } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Events } from "../../support/events";
import { hashOf } from "../../support/protocol/assets";
import { isObject } from "../../support/protocol/value";
import type { CloudWatch } from "../cloudwatch/cloudwatch";
import { accessKeyOf, refusal } from "../iam/callers";
import type { AwsAccount, AwsResource } from "../support/account";
import { materialize } from "../support/archive";
import type { Effects } from "../support/resource";
import type { Properties } from "../support/values";
import { CollectedResponse } from "./collectedResponse";
import { functionName, lambdaFunction } from "./resources";
import { LambdaSandbox, type ResponseSink, type RunOptions } from "./sandbox";

/**
 * Maximum number of workers of one function for `invoke`. Further invocations wait, because all functions share one
 * machine. AWS would start more workers.
 */
const MAX_WORKERS = 4;
/**
 * Concurrency limit of each function. AWS's default limit is 1,000 for all functions together, which is too many
 * threads for one machine.
 */
const ACCOUNT_CONCURRENCY = 64;

/** Thrown when a function must not run because of its reserved concurrency or the account's limit. */
export class ThrottledError extends Error {
  override readonly name = "ThrottledError";
  /** @param reason member `Reason` of AWS's response */
  constructor(readonly reason: string) {
    super(`TooManyRequestsException: Rate Exceeded. (${reason})`);
  }

  /** Body of AWS's response, with status 429. */
  get payload() {
    return { Reason: this.reason, Type: "User", message: "Rate Exceeded." };
  }
}

/** Thrown when a function fails, exits or times out. `payload` is the response of Lambda's Invoke. */
export class FunctionError extends Error {
  override readonly name = "FunctionError";
  constructor(readonly payload: { errorType: string; errorMessage: string; trace?: string[] }) {
    super(`${payload.errorType}: ${payload.errorMessage}`);
  }
}

/** Dependencies of Lambda. */
export interface LambdaOptions {
  account: AwsAccount;
  events: Events;
  /** Folder for the unpacked packages. */
  dir: string;
  /** Base folder of relative paths in archives. */
  programDir: string;
  /** Environment variables for all functions, such as the endpoints of the other services. Read at each invocation. */
  extraEnv: () => Record<string, string>;
  /** Receives the metrics and the log lines of the functions. Default: nobody. */
  cloudwatch?: Pick<CloudWatch, "put" | "log">;
}

/** The local Lambda. It unpacks each package to a folder and runs it in worker threads that stay warm. */
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
  /** Invokes the function of an `aws.lambda.Invocation`. The resource fails when the function fails. */
  readonly invocationEffects: Effects = {
    create: async ({ outputs }) => {
      const { functionName, input } = outputs;
      return { result: JSON.stringify(await this.invoke(String(functionName), JSON.parse(String(input)))) };
    },
  };
  private readonly sandboxes = new Map<string, LambdaSandbox>();
  /** Number of running and waiting invocations, by function. */
  private readonly concurrency = new Map<string, number>();

  constructor(private readonly options: LambdaOptions) {}

  /**
   * Removes the unpacked packages of earlier code. Call this method before the first invocation. Later, a worker may
   * use such a package.
   */
  async removeOldPackages(): Promise<void> {
    for (const { id, outputs } of this.options.account.list(lambdaFunction.type)) {
      const unpacked = await readdir(this.folder(id)).catch(() => []);
      const old = unpacked.filter((hash) => hash !== outputs.sourceCodeHash);
      await Promise.all(old.map((hash) => rm(join(this.folder(id), hash), { recursive: true, force: true })));
    }
  }

  /**
   * Runs a function and returns its result, converted to JSON and back. The result of a streaming handler is the text
   * of its stream.
   *
   * @param reference name or ARN of the function
   * @param requestId `awsRequestId` in the context of the function
   * @throws FunctionError when the function fails; ThrottledError when the function reserves 0 executions; Error when
   * the function does not exist
   */
  async invoke(reference: string, event: unknown, requestId: string = randomUUID()): Promise<unknown> {
    const resource = this.existing(reference);
    if (resource.outputs.reservedConcurrentExecutions === 0) throw this.throttled(resource);
    const collected = new CollectedResponse();
    const json = await this.run(resource, JSON.stringify(event), {
      requestId,
      sink: collected,
      maxWorkers: MAX_WORKERS,
    });
    return json === undefined ? collected.result : JSON.parse(json);
  }

  /**
   * Runs a function at once or rejects, as a function URL does.
   *
   * @param event as JSON
   * @param sink receives the response of a streaming handler
   * @returns the result as JSON, or undefined when the handler has streamed its response
   * @throws ThrottledError above the reserved concurrency or the account's limit; FunctionError when the function
   *   fails; Error when the function does not exist
   */
  async respond(reference: string, event: string, requestId: string, sink: ResponseSink): Promise<string | undefined> {
    const resource = this.existing(reference);
    if ((this.concurrency.get(resource.id) ?? 0) >= concurrencyOf(resource)) throw this.throttled(resource);
    return this.run(resource, event, { requestId, sink, maxWorkers: Number.POSITIVE_INFINITY });
  }

  /** Whether no invocation is running or waiting. */
  get isIdle(): boolean {
    return [...this.concurrency.values()].every((count) => count === 0);
  }

  /** Ends every worker. */
  async close(): Promise<void> {
    await Promise.all([...this.sandboxes.values()].map((sandbox) => sandbox.close()));
    this.sandboxes.clear();
  }

  private existing(reference: string): AwsResource {
    const name = functionName(reference);
    const resource = this.options.account.get(lambdaFunction.type, name);
    if (resource === undefined) throw new Error(`ResourceNotFoundException: Function not found: ${name}`);
    return resource;
  }

  private async run(
    resource: AwsResource,
    event: string,
    { requestId, ...options }: RunOptions & { requestId: string },
  ): Promise<string | undefined> {
    const { id: name } = resource;
    const started = performance.now();
    const { timeout, memorySize, handler } = resource.outputs;
    this.count(name, 1);
    // Lambda itself logs the start and the end of each invocation, with the permission of the function's role.
    mayLog(this.options.account, resource);
    const outcome = await this.sandbox(resource).run(
      {
        event,
        timeoutMs: Number(timeout) * 1000,
        context: {
          awsRequestId: requestId,
          functionName: name,
          functionVersion: "$LATEST",
          invokedFunctionArn: this.options.account.arn("lambda", `function:${name}`),
          memoryLimitInMB: String(memorySize),
          logGroupName: logGroupOf(name, resource.outputs),
          logStreamName: "local",
        },
        handler: String(handler),
      },
      options,
    );
    this.count(name, -1);
    const durationMs = performance.now() - started;
    const result = "error" in outcome ? outcome.error.errorType : "ok";
    this.measure(name, { Invocations: 1, Errors: Number("error" in outcome), Duration: durationMs });
    this.options.events.emit({ source: "lambda", summary: `${name} → ${result}`, durationMs });
    if ("error" in outcome) throw new FunctionError(outcome.error);
    return "result" in outcome ? outcome.result : undefined;
  }

  private throttled(resource: AwsResource): ThrottledError {
    this.measure(resource.id, { Throttles: 1 });
    return throttled(resource);
  }

  /** Publishes metrics of a function, as Lambda does. */
  private measure(FunctionName: string, values: Record<string, number>): void {
    for (const [name, value] of Object.entries(values)) {
      this.options.cloudwatch?.put({ namespace: "AWS/Lambda", name, dimensions: { FunctionName } }, value);
    }
  }

  /**
   * Logs a line of a function. A line with metrics emits no event. As at AWS, the lines reach CloudWatch only when the
   * role has the permission.
   */
  private log(resource: AwsResource, line: string): void {
    const { id, outputs } = resource;
    if (mayLog(this.options.account, resource)) this.options.cloudwatch?.log(logGroupOf(id, outputs), line);
    if (!line.startsWith('{"_aws":')) this.options.events.emit({ source: "lambda", summary: `${id} ${line}` });
  }

  private count(name: string, change: 1 | -1): void {
    this.concurrency.set(name, (this.concurrency.get(name) ?? 0) + change);
  }

  private async unpack(resource: AwsResource): Promise<Properties> {
    const { code } = resource.outputs;
    const sourceCodeHash = await hashOf(code, this.options.programDir);
    // Each code version has a separate folder, so that a busy worker keeps its files.
    await materialize(code, join(this.folder(resource.id), sourceCodeHash), this.options.programDir);
    return { sourceCodeHash };
  }

  private folder(id: string): string {
    return join(this.options.dir, id);
  }

  /**
   * Returns the sandbox for the current code and configuration of a function. A change of either creates a new sandbox.
   */
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
    const next = new LambdaSandbox(settings, (line) => this.log(resource, line));
    this.sandboxes.set(resource.id, next);
    return next;
  }

  /**
   * Variables of a function: the variables of Lambda, of `extraEnv` and of the function's configuration. Inherits
   * nothing from this process.
   */
  private environment(resource: AwsResource, taskRoot: string): Record<string, string> {
    const { region } = this.options.account;
    const { environment, role } = resource.outputs;
    const configured = isObject(environment) && isObject(environment.variables) ? environment.variables : {};
    return {
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
      AWS_ACCESS_KEY_ID: accessKeyOf(String(role)),
      AWS_SECRET_ACCESS_KEY: "local",
      AWS_LAMBDA_FUNCTION_NAME: resource.id,
      AWS_LAMBDA_FUNCTION_VERSION: "$LATEST",
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(resource.outputs.memorySize),
      AWS_LAMBDA_LOG_GROUP_NAME: logGroupOf(resource.id, resource.outputs),
      AWS_LAMBDA_LOG_FORMAT: loggingOf(resource.outputs).logFormat,
      AWS_LAMBDA_LOG_STREAM_NAME: "local",
      AWS_EXECUTION_ENV: `AWS_Lambda_${resource.outputs.runtime}`,
      LAMBDA_TASK_ROOT: taskRoot,
      _HANDLER: String(resource.outputs.handler),
      TZ: ":UTC",
      LANG: "en_US.UTF-8",
      NODE_PATH: `${taskRoot}/node_modules`,
      ...this.options.extraEnv(),
      ...Object.fromEntries(Object.entries(configured).map(([name, value]) => [name, String(value)])),
    };
  }
}

const Logging = z.object({ logFormat: z.enum(["JSON", "Text"]).default("Text"), logGroup: z.string().optional() });

function loggingOf({ loggingConfig }: Properties): z.infer<typeof Logging> {
  return Logging.parse(loggingConfig ?? {});
}

/** Log group of a function: the configured one, or `/aws/lambda/<function>`. */
export function logGroupOf(name: string, outputs: Properties): string {
  return loggingOf(outputs).logGroup ?? `/aws/lambda/${name}`;
}

/** Whether a function's role may write into the function's log group. */
function mayLog(account: AwsAccount, { id, outputs }: AwsResource): boolean {
  const resource = account.arn("logs", `log-group:${logGroupOf(id, outputs)}:log-stream:local`);
  const accesses = ["logs:CreateLogStream", "logs:PutLogEvents"].map((action) => ({ action, resource }));
  return refusal(account, String(outputs.role), accesses) === undefined;
}

/** Number of executions of a function that may run at once. */
function concurrencyOf({ outputs }: AwsResource): number {
  const reserved = Number(outputs.reservedConcurrentExecutions);
  return reserved < 0 ? ACCOUNT_CONCURRENCY : Math.min(reserved, ACCOUNT_CONCURRENCY);
}

function throttled({ outputs }: AwsResource): ThrottledError {
  const isReserved = Number(outputs.reservedConcurrentExecutions) >= 0;
  return new ThrottledError(`${isReserved ? "ReservedFunction" : ""}ConcurrentInvocationLimitExceeded`);
}
