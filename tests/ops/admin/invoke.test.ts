import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { connect } from "../../../ops/admin/invoke";

// The operator's command with the real SDK, against a server that answers as Lambda does.
interface Answer {
  status: number;
  headers?: Record<string, string>;
  body: object;
}

let answer: Answer;
let server: Server;
let url: string;
beforeAll(async () => {
  server = createServer((_request, response) => {
    response.writeHead(answer.status, answer.headers).end(JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

/** Environment of an operator with AWS credentials and no AWS files. */
beforeEach(() => {
  const none = { AWS_SHARED_CREDENTIALS_FILE: "/dev/null", AWS_CONFIG_FILE: "/dev/null", AWS_PROFILE: undefined };
  const operator = { AWS_ACCESS_KEY_ID: "operator", AWS_SECRET_ACCESS_KEY: "secret", AWS_REGION: "us-west-2" };
  const all = { ...none, ...operator, AWS_EC2_METADATA_DISABLED: "true", AWS_ENDPOINT_URL_LAMBDA: url };
  for (const [name, value] of Object.entries(all)) vi.stubEnv(name, value);
});
afterEach(() => void vi.unstubAllEnvs());

const events = () => connect({ stack: "dev", dir: "unused" })({ command: "events", limit: 1 });
const refused = (type: string, message: string): Answer => ({
  status: 400,
  headers: { "x-amzn-errortype": type },
  body: { message },
});
const ok = (body: object, headers: Record<string, string> = {}): Answer => ({ status: 200, headers, body });
const NAME = "snack-misaki-dev-admin could not be invoked: ";

it.each([
  [
    "expired credentials",
    refused("ExpiredTokenException", "The security token included in the request is expired"),
    `${NAME}The security token included in the request is expired. Sign in to AWS (aws sso login), or set AWS_PROFILE.`,
  ],
  [
    "no permission",
    refused("AccessDeniedException", "User: arn:x is not authorized to perform: lambda:InvokeFunction on resource: y"),
    "Allow your AWS user lambda:InvokeFunction, then run the command again.",
  ],
  [
    "another account or Region",
    refused("ResourceNotFoundException", "Function not found"),
    // AWS_REGION does not win over the stack's file.
    `${NAME}the account has no such function in ap-northeast-1. Is it the right stack (--stack) and AWS account`,
  ],
  [
    "a function that has crashed",
    ok({ errorMessage: "out of memory" }, { "x-amz-function-error": "Unhandled" }),
    "snack-misaki-dev-admin failed: out of memory. Next: npm run doctor -- --stack dev",
  ],
  [
    "a service that does not answer the function",
    ok({ error: { code: "unavailable", message: "Try again. Cause: user pool: no answer", retryable: true } }),
    "Try again. Cause: user pool: no answer. Next: npm run doctor -- --stack dev",
  ],
  [
    "a bad input",
    ok({ error: { code: "invalid_input", message: "limit: must be at most 100", retryable: false } }),
    "limit: must be at most 100",
  ],
  [
    "a text that is too long",
    ok({ error: { code: "too_long", message: "note: at most 500 characters are allowed", retryable: false } }),
    /^note: at most 500 characters are allowed$/,
  ],
])("admin with %s says what is wrong and what to do next", async (_what, given, message) => {
  answer = given;
  await expect(events()).rejects.toThrow(message);
});

it("admin without a network says what is wrong and what to do next", async () => {
  vi.stubEnv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:9");
  await expect(events()).rejects.toThrow(
    /ECONNREFUSED .*Check aws:region in the stack's file and this machine's network/,
  );
});

it("admin without AWS credentials says how to sign in", async () => {
  vi.stubEnv("AWS_ACCESS_KEY_ID", undefined);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", undefined);
  await expect(events()).rejects.toThrow(/[Cc]redentials.* Sign in to AWS \(aws sso login\), or set AWS_PROFILE/);
});

it("admin for the stack of npm start says that npm start has not run", () => {
  expect(() => connect({ stack: "start", dir: "nowhere" })).toThrow("Run npm start first");
});
