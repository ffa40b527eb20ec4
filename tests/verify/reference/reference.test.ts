import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ConfigSchema } from "../../../infra/configSchema";
import { commandsPage } from "../../../verify/reference/commands";
import { configurationPage } from "../../../verify/reference/configuration";

const page = (name: string) => readFileSync(`docs/reference/${name}.md`, "utf8");

describe("docs/reference (run npm run docs:generate after a change)", () => {
  it("has a configuration page that matches the schema", () => {
    expect(page("configuration")).toBe(configurationPage());
  });

  it("has a commands page that matches the help texts", async () => {
    expect(page("commands")).toBe(await commandsPage());
  });
});

describe("Configuration page", () => {
  it("has a row with a description for every key of the schema", () => {
    const text = configurationPage();
    const keys = Object.keys(ConfigSchema.shape).map((key) => (text.includes(`| \`${key}\` |`) ? key : "<model>"));
    for (const key of keys) expect(text).toMatch(new RegExp(`^\\| \`${key}\` \\|[^|]*\\|[^|]*\\| \\S`, "m"));
  });

  it("shows the default of each field of an object", () => {
    expect(configurationPage()).toContain("| `throttle.burst` | whole number above 0 | `100` |");
  });

  it("escapes angle brackets outside of code", () => {
    expect(configurationPage().replaceAll(/`[^`]*`/g, "")).not.toContain("<");
  });
});
