import { describe, expect, it, vi } from "vitest";
import * as z from "zod/mini";
import { ApiError, RateLimited } from "../../contract/errors";
import { jsonHandler, NoBody, parseBody, type Request } from "../../functions/lib/http";

const request = (body?: string, isBase64Encoded = false) =>
  ({ body, isBase64Encoded, headers: {}, requestContext: { requestId: "request-1" } }) as Request;
const bodyError = (body: string, schema: z.ZodMiniType = NoBody) => {
  try {
    parseBody(request(body), schema);
  } catch (error) {
    if (error instanceof ApiError) return `${error.code} ${error.message}`;
  }
  return "accepted";
};

describe("parseBody", () => {
  it("accepts a missing body and a base64 body", () => {
    expect(parseBody(request(), NoBody)).toEqual({});
    expect(parseBody(request(Buffer.from("{}").toString("base64"), true), NoBody)).toEqual({});
  });

  it("rejects an invalid body with the field's name and the allowed values", () => {
    const schema = z.strictObject({ plan: z.enum(["paid", "vip"]) });
    expect(bodyError(JSON.stringify({ x: "y".repeat(8 * 1024) }))).toBe(
      "invalid_input body: must be at most 8192 bytes",
    );
    expect(bodyError("{")).toBe("invalid_input body: must be JSON");
    expect(bodyError("[]")).toBe("invalid_input body: must be object");
    expect(bodyError('{"x":1}')).toBe("invalid_input body: unknown field x");
    expect(bodyError('{"plan":"gold"}', schema)).toBe("invalid_input body.plan: must be one of paid, vip");
  });
});

describe("jsonHandler", () => {
  it("sends Retry-After when a rate limit is exceeded", async () => {
    const limited = jsonHandler(async () => {
      throw new RateLimited(120);
    });
    expect((await limited(request())).headers).toMatchObject({ "retry-after": "120" });
  });

  it("returns the status and body of an ApiError", async () => {
    const result = await jsonHandler(async () => {
      throw new ApiError("rate_limited");
    })(request());
    expect(result.statusCode).toBe(429);
    expect(JSON.parse(result.body ?? "")).toEqual({
      error: { code: "rate_limited", message: "Too many requests. Wait a little and try again.", retryable: true },
    });
  });

  it("returns 500 for any other error and writes the error's text only to the log", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const result = await jsonHandler(async () => {
      throw new Error("connection to 10.0.0.1 lost");
    })(request());
    expect(result.statusCode).toBe(500);
    expect(result.body).not.toContain("10.0.0.1");
    expect(log.mock.calls).toEqual([[expect.objectContaining({ correlation: "request-1", code: "internal" })]]);
    expect(JSON.stringify(log.mock.calls)).toContain("10.0.0.1");
    log.mockRestore();
  });
});
