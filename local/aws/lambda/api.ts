import { randomUUID } from "node:crypto";
import { type Context, Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Events } from "../../support/events";
import { type Listening, serve } from "../../support/http";
import type { AwsAccount } from "../support/account";
import { readBody } from "../support/readBody";
import { FunctionError, functionName, lambdaFunction } from "./lambda";

/** How many bytes an event may have, by the way of invoking. */
const MAX_EVENT_BYTES = { RequestResponse: 6 * 1024 * 1024, Event: 1024 * 1024, DryRun: 6 * 1024 * 1024 } as const;
type InvocationType = keyof typeof MAX_EVENT_BYTES;

/** What a signed request says of itself (SigV4). */
const SIGNATURE =
  /^AWS4-HMAC-SHA256 Credential=[^/,\s]+\/\d{8}\/([^/,]+)\/([^/,]+)\/aws4_request,\s*SignedHeaders=[^,\s]+,\s*Signature=[0-9a-f]{64}$/;

/** What Lambda's API needs of the rest of the local cloud. */
export interface LambdaApiOptions {
  account: AwsAccount;
  events: Events;
  /** 0 takes a free one. */
  port: number;
  /** Runs a Lambda and gives its result; rejects with FunctionError when it fails. */
  invoke: (name: string, event: unknown, requestId: string) => Promise<unknown>;
  /** Hands an event to Lambda for asynchronous invocation. */
  accept: (name: string, event: unknown, requestId: string) => Promise<void>;
}

/** An error the way Lambda's API says it: the SDK makes it an exception of this name. */
class Refusal extends Error {
  constructor(
    readonly status: ContentfulStatusCode,
    readonly type: string,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Serves Lambda's Invoke API, and nothing else of Lambda's. Signatures must be there and of this region and service; there
 * are no users here whose keys they could be checked with. Payloads are never logged.
 *
 * @throws PortInUseError
 */
export function startLambdaApi(options: LambdaApiOptions): Promise<Listening> {
  const { account, events } = options;

  async function answer(c: Context, reference: string, requestId: string): Promise<Response> {
    authenticate(c.req.header("authorization"), account.region);
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
  app.notFound((c) => refused(c, new Refusal(404, "UnknownOperationException", "The local cloud has Invoke only.")));
  app.onError((error, c) =>
    refused(c, error instanceof Refusal ? error : new Refusal(500, "ServiceException", "Internal error.")),
  );
  return serve("Lambda", options.port, app.fetch);
}

function refused(c: Context, { status, type, message }: Refusal): Response {
  c.header("x-amzn-errortype", type);
  const isOlder = type === "ResourceNotFoundException";
  return c.json({ Type: "User", [isOlder ? "Message" : "message"]: message }, status);
}

/** @throws Refusal */
function authenticate(authorization: string | undefined, region: string): void {
  if (authorization === undefined)
    throw new Refusal(403, "MissingAuthenticationTokenException", "Missing Authentication Token");
  const [signed, signedRegion, service] = SIGNATURE.exec(authorization) ?? [];
  if (signed === undefined)
    throw new Refusal(403, "IncompleteSignatureException", "Authorization header is not an AWS Signature Version 4.");
  if (service !== "lambda")
    throw new Refusal(403, "InvalidSignatureException", "Credential should be scoped to correct service: 'lambda'.");
  if (signedRegion !== region)
    throw new Refusal(403, "InvalidSignatureException", `Credential should be scoped to a valid region: '${region}'.`);
}

/** @throws Refusal */
function invocationType(type: string): InvocationType {
  if (Object.hasOwn(MAX_EVENT_BYTES, type)) return type as InvocationType;
  const allowed = Object.keys(MAX_EVENT_BYTES).join(", ");
  throw new Refusal(
    400,
    "ValidationException",
    `1 validation error detected: Value at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [${allowed}]`,
  );
}

/**
 * The name behind a name, an ARN or a part of one. There is no version but `$LATEST`, and there are no aliases.
 *
 * @throws Refusal when there is no such function
 */
function knownFunction(account: AwsAccount, reference: string, asked: string | undefined): string {
  const name = functionName(reference);
  const qualifier = asked ?? /^(?:.*:function:)?[^:]+:([^:]+)$/.exec(reference)?.[1];
  const exists = account.get(lambdaFunction.type, name) !== undefined;
  if (exists && (qualifier === undefined || qualifier === "$LATEST")) return name;
  const arn = account.arn("lambda", `function:${name}${qualifier === undefined ? "" : `:${qualifier}`}`);
  throw new Refusal(404, "ResourceNotFoundException", `Function not found: ${arn}`);
}

/** @throws Refusal */
async function readEvent(request: Request, type: InvocationType): Promise<unknown> {
  const limit = MAX_EVENT_BYTES[type];
  const body = await readBody(request, limit);
  if (body === undefined)
    throw new Refusal(
      413,
      "RequestTooLargeException",
      `Request must be smaller than ${limit} bytes for the InvokeFunction operation`,
    );
  try {
    return body.length === 0 ? {} : JSON.parse(body.toString());
  } catch {
    // The parser's own words quote the payload.
    throw new Refusal(400, "InvalidRequestContentException", "Could not parse request body into json");
  }
}
