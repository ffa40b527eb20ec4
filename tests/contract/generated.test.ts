import { existsSync, readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import { generatedFiles } from "../../contract/generated";
import { openApi } from "../../contract/openapi";

describe("the generated half of the contract", () => {
  it.each(Object.entries(generatedFiles()))("%s is what `npm run contract:generate` writes today", (path, text) => {
    expect(existsSync(path) && readFileSync(path, "utf8")).toBe(text);
  });
});

describe("the OpenAPI document", () => {
  const document = openApi() as { openapi: string; paths: Record<string, Record<string, unknown>> };

  it("is one", async () => {
    const { errors, valid } = await new Validator().validate(structuredClone(document));
    expect([errors, valid]).toEqual([undefined, true]);
  });

  it("has the routes that the program has", () => {
    const own = Object.entries(document.paths).filter(([, item]) => !("servers" in item));
    const written = own.flatMap(([path, item]) => Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`));
    const deployed = readFileSync("index.ts", "utf8").matchAll(/key: "([A-Z]+ \/\S+)", lambda/g);
    expect(written.sort()).toEqual(Array.from(deployed, ([, key]) => key).sort());
  });
});
