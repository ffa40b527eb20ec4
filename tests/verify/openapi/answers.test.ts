import { describe, expect, it } from "vitest";
import { ApiError } from "../../../contract/errors";
import { openApi } from "../../../contract/openapi/document";
import { chatReply, planWithUsage } from "../../../contract/openapi/examples";
import { createAnswerCheck, type SeenAnswer } from "../../../verify/openapi/answers";

const check = createAnswerCheck(openApi({ strict: true }));
const answer: SeenAnswer = {
  server: "api",
  method: "GET",
  path: "/billing/plan",
  status: 200,
  contentType: "application/json; charset=utf-8",
  body: JSON.stringify(planWithUsage),
};
const refusal = (code: "unauthorized" | "conflict", status: number) => ({
  ...answer,
  status,
  body: JSON.stringify(new ApiError(code).body),
});

describe("The check of answers against the OpenAPI document", () => {
  it("accepts a documented answer", () => {
    expect(check(answer)).toEqual([]);
    expect(check(refusal("unauthorized", 401))).toEqual([]);
  });

  it("accepts an error of API Gateway in API Gateway's format", () => {
    expect(check({ ...answer, status: 401, body: '{"message":"Unauthorized"}' })).toEqual([]);
    expect(check({ ...answer, path: "/nothing", status: 404, body: '{"message":"Not Found"}' })).toEqual([]);
  });

  it.each<[string, Partial<SeenAnswer>, string]>([
    ["an undocumented status", { status: 418 }, "the document has no such status"],
    ["an undocumented path", { path: "/nothing" }, "the document has no such operation"],
    [
      "an undocumented content type",
      { contentType: "text/plain" },
      "the document has no content type text/plain for this answer",
    ],
    ["a body that is not JSON", { body: "{" }, "the body must be object"],
    [
      "an undocumented field",
      { body: JSON.stringify({ ...planWithUsage, secret: 1 }) },
      "the body must NOT have additional properties secret",
    ],
    [
      "a field that is missing",
      { body: JSON.stringify({ ...planWithUsage, reason: undefined }) },
      "the body must have required property 'reason'",
    ],
    [
      "a field of another type",
      { body: JSON.stringify({ ...planWithUsage, plan: "gold" }) },
      "/plan must be equal to one of the allowed values free,paid,vip",
    ],
    [
      "an undocumented error code",
      refusal("conflict", 401),
      "the document does not list the code conflict for this answer",
    ],
  ])("refuses %s", (_, change, problem) => {
    expect(check({ ...answer, ...change }).map(({ text }) => text.replace(/^.* → \d+: /, ""))).toEqual([problem]);
  });

  it("compares every event of a stream", () => {
    const stream = {
      ...answer,
      server: "relay",
      method: "POST",
      path: "/chat",
      contentType: "text/event-stream",
    } as const;
    const body = (last: object) => `data: {"delta":"あ"}\n\n:\n\ndata: ${JSON.stringify(last)}\n\n`;
    expect(check({ ...stream, body: body({ ...chatReply, done: true }) })).toEqual([]);
    expect(check({ ...stream, body: body({ ...chatReply, done: "yes" }) })).toHaveLength(1);
  });
});
