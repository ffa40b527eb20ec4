import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { root } from "../../../cli/root";
import type { OpenApi } from "../../../contract/openapi/document";
import { documentFile, findDrift } from "../../../verify/openapi/drift";

const document = () => JSON.parse(readFileSync(documentFile, "utf8")) as OpenApi;

/** Compares the document with a copy of the sources in which `before` is replaced by `after`. */
function driftAfter(file: string, before: string, after: string): Promise<string[]> {
  const source = readFileSync(file, "utf8");
  if (!source.includes(before)) throw new Error(`${file} does not contain ${before}: change this test with it`);
  return findDrift(root, document(), { [file]: source.replace(before, after) });
}

/** Compares a changed copy of the document with the sources. */
function driftOf(change: (copy: OpenApi) => void): Promise<string[]> {
  const copy = document();
  change(copy);
  return findDrift(root, copy);
}

describe("openapi:check", () => {
  it("finds no difference between the handlers and the document", async () => {
    expect(await findDrift(root, document())).toEqual([]);
  });

  it("fails when a handler answers with an undocumented error", async () => {
    const drift = await driftAfter(
      "functions/portal.ts",
      'ApiError("nothing_bought")',
      'ApiError("ticket_wrong_model")',
    );
    expect(drift).toEqual([
      "POST /billing/portal: answers the code ticket_wrong_model, which the document does not have",
    ]);
  });

  it("fails when a handler answers with an undocumented status", async () => {
    const drift = await driftAfter("functions/relay/handler.ts", "sendJson(response, 200,", "sendJson(response, 202,");
    expect(drift).toEqual([
      "POST /chat/{id}/cancel: answers 202, which the document does not have",
      "POST /chat/{id}/cancel: never answers 200, which the document has",
    ]);
  });

  it("fails when a handler answers with an undocumented field", async () => {
    const drift = await driftAfter("functions/session.ts", "return session;", "return { ...session, policy: 1 };");
    expect(drift).toEqual(["POST /auth/session: answers the field policy, which the document does not have"]);
  });

  it("fails when a handler answers with a field of another type", async () => {
    const drift = await driftAfter("functions/checkout.ts", "Promise<RedirectResponse>", "Promise<{ url?: string }>");
    expect(drift).toEqual([
      "POST /billing/checkout: answers { url?: string | undefined; }, which the document's schema does not allow",
    ]);
  });

  it("fails when the document has a status that the handler never answers", async () => {
    const drift = await driftOf(({ paths }) => {
      const responses = paths["/billing/plan"]?.get?.responses ?? {};
      responses[418] = { ...responses[401] };
    });
    expect(drift).toEqual(["GET /billing/plan: never answers 418, which the document has"]);
  });

  it("fails when the document has an error code that the handler never answers", async () => {
    const drift = await driftOf(({ paths }) => {
      const { examples = {} } = paths["/auth/session"]?.post?.responses[400]?.content?.["application/json"] ?? {};
      examples.signature_invalid = { value: {} };
    });
    expect(drift).toEqual(["POST /auth/session: never answers the code signature_invalid, which the document has"]);
  });

  it("fails when the document lacks a field of an answer", async () => {
    const drift = await driftOf(({ components }) => {
      const { properties } = components.schemas.RedirectResponse as { properties: Record<string, object> };
      properties.address = properties.url ?? {};
      delete properties.url;
    });
    expect(drift).toEqual([
      "POST /billing/checkout: answers the field url, which the document does not have",
      "POST /billing/portal: answers the field url, which the document does not have",
    ]);
  });
});
