import { randomUUID } from "node:crypto";
import { type Context, Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { z } from "zod";
import type { Events } from "../../support/events";
import { type Listening, readBody, serve } from "../../support/http";
import { isObject } from "../../support/protocol/value";
import { denial } from "../iam/callers";
import type { AwsAccount } from "../support/account";
import { signatureScope } from "../support/signature";
import { FunctionError, logGroupOf, ThrottledError } from "./lambda";
import { functionName, lambdaFunction } from "./resources";

/** Maximum size of an event by invocation type. */
const MAX_EVENT_BYTES = { RequestResponse: 6 * 1024 * 1024, Event: 1024 * 1024, DryRun: 6 * 1024 * 1024 } as const;
/** Usual quota of an AWS account. New accounts have 10. */
const DEFAULT_CONCURRENCY_LIMIT = 1_000;
/** Type token of a function URL. Repeated here, because an import of its definition would be circular. */
const FUNCTION_URL = "aws:lambda/functionUrl:FunctionUrl";
type InvocationType = keyof typeof MAX_EVENT_BYTES;

/** Dependencies of Lambda's API. */
export interface LambdaApiOptions {
  account: AwsAccount;
  events: Events;
  /** 0 uses a free port. */
  port: number;
  /** Concurrent executions of the account, as GetAccountSettings returns them. Default 1,000. */
  concurrencyLimit?: number;
  /**
   * Runs a Lambda and returns its result. Rejects with a FunctionError when the function fails, and with a
   * ThrottledError when it is throttled.
   */
  invoke: (name: string, event: unknown, requestId: string) => Promise<unknown>;
  /** Invokes a Lambda asynchronously. */
  accept: (name: string, event: unknown, requestId: string) => Promise<void>;
}

/** An error response of Lambda's API. The SDK throws it as an exception named `type`. */
class LambdaApiError extends Error {
  constructor(
    readonly status: ContentfulStatusCode,
    readonly type: string,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Serves seven operations of Lambda's API: Invoke, GetAccountSettings, GetFunctionConfiguration,
 * UpdateFunctionConfiguration, GetFunctionUrlConfig, PutFunctionConcurrency and DeleteFunctionConcurrency. A request
 * needs a signature for this region and service. The signature is not verified, because the local cloud has no users.
 * Payloads are never logged.
 *
 * @throws PortInUseError
 */
export function startLambdaApi(options: LambdaApiOptions): Promise<Listening> {
  const { account, events, concurrencyLimit = DEFAULT_CONCURRENCY_LIMIT } = options;

  async function answer(c: Context, reference: string, requestId: string): Promise<Response> {
    authorize(c, account, "InvokeFunction", reference);
    const type = invocationType(c.req.header("x-amz-invocation-type") ?? "RequestResponse");
    const name = knownFunction(account, reference, c.req.query("Qualifier"));
    const event = await readEvent(c.req.raw, type);
    if (type === "DryRun") return c.body(null, 204);
    if (type === "Event") {
      void options.accept(name, event, requestId);
      return c.body("", 202);
    }
    c.header("x-amz-executed-version", "$LATEST");
    try {
      return c.json(await options.invoke(name, event, requestId));
    } catch (error) {
      if (!(error instanceof FunctionError)) throw error;
      c.header("x-amz-function-error", "Unhandled");
      return c.json(error.payload);
    }
  }

  const app = new Hono();
  const path = "/2015-03-31/functions/:name/invocations";
  app.use(path, async (c, next) => {
    const started = performance.now();
    await next();
    const summary = `Invoke ${functionName(c.req.param("name"))} → ${c.res.status}`;
    events.emit({ source: "lambda", summary, durationMs: performance.now() - started });
  });
  app.post(path, (c) => {
    const requestId = randomUUID();
    c.header("x-amzn-requestid", requestId);
    return answer(c, c.req.param("name"), requestId);
  });
  const configurationPath = "/2015-03-31/functions/:name/configuration";
  app.on(["GET", "PUT"], configurationPath, async (c) => {
    c.header("x-amzn-requestid", randomUUID());
    const isChange = c.req.method === "PUT";
    const action = isChange ? "UpdateFunctionConfiguration" : "GetFunctionConfiguration";
    authorize(c, account, action, c.req.param("name"));
    const name = knownFunction(account, c.req.param("name"), c.req.query("Qualifier"));
    if (isChange) {
      setEnvironment(account, name, await c.req.json());
      events.emit({ source: "lambda", summary: `UpdateFunctionConfiguration ${name}` });
    }
    return c.json(configurationOf(account, name));
  });
  app.on(["PUT", "DELETE"], "/2017-10-31/functions/:name/concurrency", async (c) => {
    c.header("x-amzn-requestid", randomUUID());
    const isPut = c.req.method === "PUT";
    const operation = `${isPut ? "Put" : "Delete"}FunctionConcurrency`;
    const name = knownFunction(account, c.req.param("name"), undefined);
    authorize(c, account, operation, name);
    const reserved = isPut ? reservedOf(await c.req.json()) : NONE_RESERVED;
    reserveConcurrency(account, name, reserved);
    events.emit({ source: "lambda", summary: `${operation} ${name}` });
    return isPut ? c.json({ ReservedConcurrentExecutions: reserved }) : c.body(null, 204);
  });
  app.get("/2021-10-31/functions/:name/url", (c) => {
    c.header("x-amzn-requestid", randomUUID());
    authenticate(c.req.header("authorization"), account.region);
    const name = knownFunction(account, c.req.param("name"), c.req.query("Qualifier"));
    const found = account.get(FUNCTION_URL, name);
    if (!found)
      throw new LambdaApiError(404, "ResourceNotFoundException", "The resource you requested does not exist.");
    const { functionUrl: FunctionUrl, functionArn: FunctionArn, authorizationType: AuthType } = found.outputs;
    return c.json({ FunctionUrl, FunctionArn, AuthType });
  });
  app.get("/2016-08-19/account-settings", (c) => {
    c.header("x-amzn-requestid", randomUUID());
    authorize(c, account, "GetAccountSettings");
    const functions = account.list(lambdaFunction.type);
    const reserved = functions.reduce(
      (sum, { outputs }) => sum + Math.max(0, Number(outputs.reservedConcurrentExecutions)),
      0,
    );
    return c.json({
      AccountLimit: {
        ConcurrentExecutions: concurrencyLimit,
        UnreservedConcurrentExecutions: concurrencyLimit - reserved,
      },
      AccountUsage: { FunctionCount: functions.length },
    });
  });
  app.notFound((c) => {
    const message =
      "The local cloud supports only Invoke, GetAccountSettings, GetFunctionConfiguration, UpdateFunctionConfiguration, " +
      "GetFunctionUrlConfig, PutFunctionConcurrency and DeleteFunctionConcurrency.";
    return errorResponse(c, new LambdaApiError(404, "UnknownOperationException", message));
  });
  app.onError((error, c) => {
    if (error instanceof ThrottledError) {
      c.header("x-amzn-errortype", "TooManyRequestsException");
      return c.json(error.payload, 429);
    }
    const known = error instanceof LambdaApiError;
    return errorResponse(c, known ? error : new LambdaApiError(500, "ServiceException", "Internal error."));
  });
  return serve("Lambda", options.port, app.fetch);
}

function errorResponse(c: Context, { status, type, message }: LambdaApiError): Response {
  c.header("x-amzn-errortype", type);
  // Older exceptions of Lambda, such as ResourceNotFoundException, write `Message` with a capital letter.
  const member = type === "ResourceNotFoundException" ? "Message" : "message";
  return c.json({ Type: "User", [member]: message }, status);
}

/**
 * Checks the signature, and the policies of the role that signed the request.
 *
 * @param reference name or ARN of the function; absent when the action concerns the whole account
 * @throws LambdaApiError when the signature is not valid or the role's policies do not allow the action
 */
function authorize(c: Context, account: AwsAccount, action: string, reference?: string): void {
  const authorization = c.req.header("authorization");
  authenticate(authorization, account.region);
  const resource = reference === undefined ? "*" : account.arn("lambda", `function:${functionName(reference)}`);
  const reason = denial(account, authorization, () => [{ action: `lambda:${action}`, resource }]);
  if (reason !== undefined) throw new LambdaApiError(403, "AccessDeniedException", reason);
}

/** @throws LambdaApiError when the signature is missing, malformed, or for another region or service */
function authenticate(authorization: string | undefined, region: string): void {
  if (authorization === undefined)
    throw new LambdaApiError(403, "MissingAuthenticationTokenException", "Missing Authentication Token");
  const scope = signatureScope(authorization);
  if (scope === undefined)
    throw new LambdaApiError(
      403,
      "IncompleteSignatureException",
      "Authorization header is not an AWS Signature Version 4.",
    );
  if (scope.service !== "lambda")
    throw new LambdaApiError(
      403,
      "InvalidSignatureException",
      "Credential should be scoped to correct service: 'lambda'.",
    );
  if (scope.region !== region)
    throw new LambdaApiError(
      403,
      "InvalidSignatureException",
      `Credential should be scoped to a valid region: '${region}'.`,
    );
}

const UpdateConfiguration = z.strictObject({
  Environment: z.strictObject({ Variables: z.record(z.string().regex(/^[a-zA-Z]\w+$/), z.string()) }),
});

/**
 * Replaces the environment variables of a function. Its next invocation starts in a new worker.
 *
 * @throws LambdaApiError for any other change, which the local cloud does not support
 */
function setEnvironment(account: AwsAccount, name: string, body: unknown): void {
  const { data } = UpdateConfiguration.safeParse(body);
  if (!data)
    throw new LambdaApiError(
      400,
      "InvalidParameterValueException",
      "The local cloud changes only Environment.Variables.",
    );
  const resource = account.get(lambdaFunction.type, name);
  if (!resource) return;
  const environment = { variables: data.Environment.Variables };
  account.put({ ...resource, outputs: { ...resource.outputs, environment } });
}

/** The provider's state has this value when a function has no reserved concurrency. */
const NONE_RESERVED = -1;
const Concurrency = z.strictObject({ ReservedConcurrentExecutions: z.int().min(0) });

/** @throws LambdaApiError for a body without the number of executions */
function reservedOf(body: unknown): number {
  const { data } = Concurrency.safeParse(body);
  if (data) return data.ReservedConcurrentExecutions;
  throw new LambdaApiError(
    400,
    "InvalidParameterValueException",
    "ReservedConcurrentExecutions must be a whole number of at least 0.",
  );
}

/** Sets how many executions of a function may run at the same time. With 0, all executions are throttled. */
function reserveConcurrency(account: AwsAccount, name: string, reserved: number): void {
  const resource = account.get(lambdaFunction.type, name);
  if (!resource) return;
  account.put({ ...resource, outputs: { ...resource.outputs, reservedConcurrentExecutions: reserved } });
}

function configurationOf(account: AwsAccount, name: string) {
  const outputs = account.get(lambdaFunction.type, name)?.outputs ?? {};
  const { arn, runtime, handler, memorySize, timeout, environment } = outputs;
  const variables = isObject(environment) && isObject(environment.variables) ? environment.variables : {};
  return {
    FunctionName: name,
    FunctionArn: arn,
    Runtime: runtime,
    Handler: handler,
    MemorySize: memorySize,
    Timeout: timeout,
    Environment: { Variables: variables },
    LoggingConfig: { LogGroup: logGroupOf(name, outputs) },
    State: "Active",
    LastUpdateStatus: "Successful",
  };
}

/** @throws LambdaApiError for an unknown type */
function invocationType(type: string): InvocationType {
  if (Object.hasOwn(MAX_EVENT_BYTES, type)) return type as InvocationType;
  const allowed = Object.keys(MAX_EVENT_BYTES).join(", ");
  throw new LambdaApiError(
    400,
    "ValidationException",
    `1 validation error detected: Value at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [${allowed}]`,
  );
}

/**
 * Returns the name of the function that `reference` refers to. The local Lambda has no aliases, and its only version is
 * `$LATEST`.
 *
 * @param reference a name, an ARN or a partial ARN
 * @throws LambdaApiError when the function, the version or the alias does not exist
 */
function knownFunction(account: AwsAccount, reference: string, requested: string | undefined): string {
  const name = functionName(reference);
  const qualifier = requested ?? /^(?:.*:function:)?[^:]+:([^:]+)$/.exec(reference)?.[1];
  const exists = account.get(lambdaFunction.type, name) !== undefined;
  if (exists && (qualifier === undefined || qualifier === "$LATEST")) return name;
  const arn = account.arn("lambda", `function:${name}${qualifier === undefined ? "" : `:${qualifier}`}`);
  throw new LambdaApiError(404, "ResourceNotFoundException", `Function not found: ${arn}`);
}

/** @throws LambdaApiError when the event is too large or not JSON */
async function readEvent(request: Request, type: InvocationType): Promise<unknown> {
  const limit = MAX_EVENT_BYTES[type];
  const body = await readBody(request, limit);
  if (body === undefined)
    throw new LambdaApiError(
      413,
      "RequestTooLargeException",
      `Request must be smaller than ${limit} bytes for the InvokeFunction operation`,
    );
  try {
    return body.length === 0 ? {} : JSON.parse(body.toString());
  } catch {
    // The parser's own message would quote the payload.
    throw new LambdaApiError(400, "InvalidRequestContentException", "Could not parse request body into json");
  }
}
