import { ApiGatewayV2Client, GetApiCommand } from "@aws-sdk/client-apigatewayv2";
import { GetFunctionUrlConfigCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { stackNames } from "../../../names";
import { type Aws, awsClient } from "../awsClient";
import { type Check, failed, ok } from "../check";
import { createAgain } from "./stackResources";

/** Response to a request of the check. */
export interface Probe {
  /** HTTP status; undefined when nothing answered. */
  status: number | undefined;
  /** Reason why nothing answered. */
  problem?: string;
}

/** Response to the preflight request of one origin. */
export interface Preflight extends Probe {
  origin: string;
  /** Header `access-control-allow-origin`. */
  allowed: string | null;
}

/** One of the two public addresses of a stack. */
interface Address {
  label: "API" | "relay";
  /** Path of a POST route that browsers call. */
  path: string;
  /** Path of a GET request that changes nothing. */
  probePath: string;
  /** Status of a healthy address for `probePath`. */
  healthy: number;
}

/** The two public addresses. Neither probe reaches a customer's data: the API wants a token, the relay has no such path. */
export const addresses = {
  api: { label: "API", path: "/auth/session", probePath: "/billing/plan", healthy: 401 },
  relay: { label: "relay", path: "/chat", probePath: "/", healthy: 404 },
} as const satisfies Record<string, Address>;

/** Checks that an address answers. */
export function judgeAnswer({ label, probePath, healthy }: Address, url: string, { status, problem }: Probe): Check {
  if (status === healthy) return ok(label, `${url} answers`);
  const seen =
    status === undefined
      ? `does not answer: ${problem}`
      : `answers ${status} to GET ${probePath} instead of ${healthy}`;
  return failed(label, `${url} ${seen}`, answerTodo(label, status));
}

function answerTodo(label: Address["label"], status: number | undefined): string {
  if (status === undefined) return "Check this machine's network, and https://health.aws.amazon.com.";
  if (status === 429) return "Too many requests: look at the throttle settings and at Lambda's concurrency.";
  if (status === 403 && label === "relay")
    return 'The permissions of the function URL are missing. Run "pulumi up --refresh".';
  if (status >= 500)
    return `Read the line of the ${label === "API" ? "functions" : "function relay"} in this report and its log.`;
  return 'Somebody changed the routes. Run "pulumi up --refresh".';
}

/** Checks that the browser may call an address from every configured origin. */
export function judgeCors({ label }: Address, preflights: Preflight[]): Check {
  const name = `${label} CORS`;
  const refused = preflights.filter(({ origin, allowed, status }) => allowed !== origin || !isSuccess(status));
  if (refused.length === 0) return ok(name, `allows ${preflights.map(({ origin }) => origin).join(", ")}`);
  const seen = refused.map(({ origin, status, problem, allowed }) => {
    const answer =
      status === undefined ? problem : isSuccess(status) ? `allows ${allowed ?? "no origin"}` : `status ${status}`;
    return `${origin}: ${answer}`;
  });
  return failed(name, `browsers cannot call it from ${seen.join("; ")}`, 'Run "pulumi up --refresh".');
}

function isSuccess(status: number | undefined): boolean {
  return status !== undefined && status >= 200 && status < 300;
}

/**
 * Base URL of the stack's API. Undefined when the stack has none.
 *
 * @param domain `domains.api` of the configuration. With it, AWS's own address answers 404
 */
export async function readApiUrl(apis: string[], domain: string | undefined, aws: Aws): Promise<string | undefined> {
  const [ApiId] = apis;
  if (ApiId === undefined) return undefined;
  const client = new ApiGatewayV2Client(awsClient("inspection", aws));
  return undefinedIfMissing(
    client.send(new GetApiCommand({ ApiId })).then(({ ApiEndpoint }) => (domain ? `https://${domain}` : ApiEndpoint)),
  );
}

/**
 * Base URL of the stack's relay. Undefined when the stack has none.
 *
 * @param domain `domains.relay` of the configuration: browsers call this name and not the function URL
 */
export async function readRelayUrl(stack: string, domain: string | undefined, aws: Aws): Promise<string | undefined> {
  const client = new LambdaClient(awsClient("lambda", aws));
  const FunctionName = stackNames(stack).functions.relay;
  const found = client.send(new GetFunctionUrlConfigCommand({ FunctionName }));
  return undefinedIfMissing(
    found.then(({ FunctionUrl }) => (domain ? `https://${domain}` : FunctionUrl?.replace(/\/$/, ""))),
  );
}

/** Calls an address: one harmless GET request, and one preflight request from each origin. */
export async function checkAddress(
  address: Address,
  url: string | undefined,
  origins: string[],
  timeoutMs: number,
): Promise<Check[]> {
  if (url === undefined) return [failed(address.label, "AWS does not have it", createAgain)];
  const [answer, ...preflights] = await Promise.all([
    probe(`${url}${address.probePath}`, {}, timeoutMs),
    ...origins.map((origin) => preflight(`${url}${address.path}`, origin, timeoutMs)),
  ]);
  return [judgeAnswer(address, url, answer), judgeCors(address, preflights)];
}

async function preflight(url: string, origin: string, timeoutMs: number): Promise<Preflight> {
  const headers = {
    origin,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
  };
  const answer = await probe(url, { method: "OPTIONS", headers }, timeoutMs);
  return { ...answer, origin, allowed: answer.headers?.get("access-control-allow-origin") ?? null };
}

async function probe(url: string, init: RequestInit, timeoutMs: number): Promise<Probe & { headers?: Headers }> {
  try {
    const response = await fetch(url, { ...init, redirect: "manual", signal: AbortSignal.timeout(timeoutMs) });
    await response.body?.cancel();
    return { status: response.status, headers: response.headers };
  } catch (error) {
    const { message, cause } = error as Error;
    return { status: undefined, problem: cause instanceof Error ? cause.message : message };
  }
}

async function undefinedIfMissing<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof Error && /NotFound/.test(error.name)) return undefined;
    throw error;
  }
}
