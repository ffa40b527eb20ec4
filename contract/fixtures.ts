import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import type { ErrorCode } from "./errors";
import { type Limits, type Model, models } from "./plan";

/**
 * Every shape that was ever shipped, by version: a version's folder is never changed once it is shipped, and every later
 * worker must pass all of them. `native/` and `openai/` hold a request and what must come of it, `shapes/` what its
 * readers rely on, `errors.json` what its codes mean. What is added later gets a folder of its own.
 */
const fixturesFolder = join(process.cwd(), "contract/fixtures");

const Expectation = z.union([
  z.strictObject({
    /** `streamed` in pieces, `whole` without them, `models` and `model` of the OpenAI route. */
    reply: z.enum(["streamed", "whole", "models", "model"]),
    finish_reason: z.string().optional(),
  }),
  z.strictObject({
    error: z.string(),
    /** The field that the error must name. */
    names: z.string().optional(),
  }),
]);

const About = { about: z.string(), expect: Expectation };

const FixtureFile = z.union([
  /** Of our own route: a job's `input`. */
  z.strictObject({ ...About, input: z.record(z.string(), z.unknown()) }),
  /** Of the OpenAI route: `GET` without a body. */
  z.strictObject({ ...About, route: z.string(), body: z.record(z.string(), z.unknown()).optional() }),
]);

/** One request, and what must come of it. */
export type Fixture = z.infer<typeof FixtureFile> & { version: string; name: string };

/** The versions there are, oldest first. */
export function versions(): string[] {
  return readdirSync(fixturesFolder).sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)));
}

/** The fixtures of every version. @throws ZodError for a file that is not a fixture */
export function readFixtures(): Fixture[] {
  return versions().flatMap((version) =>
    ["native", "openai"].flatMap((kind) =>
      readdirSync(join(fixturesFolder, version, kind)).map((file) => ({
        ...FixtureFile.parse(readJson(version, kind, file)),
        version,
        name: `${kind}/${file.replace(".json", "")}`,
      })),
    ),
  );
}

/** A version's shapes by name, such as `stream-item`: JSON Schemas. */
export function readShapes(version: string): Record<string, z.core.JSONSchema.JSONSchema> {
  const files = readdirSync(join(fixturesFolder, version, "shapes"));
  return Object.fromEntries(
    files.map((file) => [
      file.replace(".schema.json", ""),
      JSON.parse(readText(version, "shapes", file), withEveryModel) as z.core.JSONSchema.JSONSchema,
    ]),
  );
}

/** What a version's error codes mean. */
export function readCodes(version: string): Record<string, { status: number; retryable: boolean }> {
  return readJson(version, "errors.json") as Record<ErrorCode, { status: number; retryable: boolean }>;
}

function readJson(...path: string[]): unknown {
  return JSON.parse(readText(...path));
}

function readText(...path: string[]): string {
  return readFileSync(join(fixturesFolder, ...path), "utf8");
}

/** JSON reviver for shapes: a model that is newer than the version is allowed wherever the version lists the models. */
function withEveryModel(key: string, value: unknown): unknown {
  const listsModels = key === "enum" && models.some((model) => (value as unknown[]).includes(model));
  return listsModels ? models : value;
}

/** What stands for the placeholders of fixtures; a ticket that cannot be had is left out. */
export interface Values {
  model: Model;
  limits: Limits;
  ticket: string;
  expiredTicket?: string | undefined;
  otherModelsTicket?: string | undefined;
}

/**
 * A fixture with its placeholders (`$TICKET`, …) replaced.
 *
 * @returns or the placeholder that there is nothing for
 */
export function filled(fixture: Fixture, values: Values): { fixture: Fixture } | { missing: string } {
  const { model, limits } = values;
  const replacements: Record<string, unknown> = {
    $TICKET: values.ticket,
    $EXPIRED_TICKET: values.expiredTicket,
    $OTHER_MODELS_TICKET: values.otherModelsTicket,
    $MODEL: model,
    $OTHER_MODEL: models.find((other) => other !== model),
    // Of few tokens: a model on a CPU is to read it in time.
    $TEXT_AT_LIMIT: "a".repeat(limits.max_input_chars),
    $TEXT_OVER_LIMIT: "あ".repeat(limits.max_input_chars + 1),
    $MESSAGES_AT_LIMIT: turns(limits.max_messages),
    $MESSAGES_OVER_LIMIT: turns(limits.max_messages + 1),
  };
  let missing: string | undefined;
  const replaced = JSON.stringify(fixture, (_, value) => {
    if (typeof value !== "string" || !value.includes("$")) return value;
    if (!(value in replacements)) return value.replace("$MODEL", model);
    if (replacements[value] === undefined) missing = value;
    return replacements[value];
  });
  return missing === undefined ? { fixture: JSON.parse(replaced) as Fixture } : { missing };
}

const turns = (length: number) => Array.from({ length }, () => ({ role: "user", content: "やあ" }));
