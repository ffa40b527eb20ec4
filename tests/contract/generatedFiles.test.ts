import { existsSync, readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import { generatedFiles } from "../../contract/generatedFiles";
import { openApi } from "../../contract/openapi/document";

describe("The files generated from the contract", () => {
  it.each(Object.entries(generatedFiles()))(
    "contain the current output of `npm run contract:generate`: %s",
    (path, text) => {
      expect(existsSync(path) && readFileSync(path, "utf8")).toBe(text);
    },
  );
});

describe("The OpenAPI document", () => {
  const document = openApi() as { openapi: string; paths: Record<string, Record<string, unknown>> };

  it("is valid OpenAPI", async () => {
    const { errors, valid } = await new Validator().validate(structuredClone(document));
    expect([errors, valid]).toEqual([undefined, true]);
  });

  it("contains exactly the routes that index.ts deploys", () => {
    const apiPaths = Object.entries(document.paths).filter(([, item]) => !("servers" in item));
    const listed = apiPaths.flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const deployed = readFileSync("index.ts", "utf8").matchAll(/key: "([A-Z]+ \/\S+)", lambda/g);
    expect(listed.sort()).toEqual(Array.from(deployed, ([, key]) => key).sort());
  });
});
