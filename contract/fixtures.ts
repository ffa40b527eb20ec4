import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { type Limits, type Model, models } from "./plan";

/**
 * Folder of the compatibility fixtures, with one subfolder per shipped version. A shipped subfolder never changes:
 * every later worker must pass its fixtures. Additions go into a new subfolder. `native/` and `openai/` contain
 * requests with the expected results. `shapes/` contains the JSON Schemas of the answers. `errors.json` contains the
 * status and the retryable flag of each error code.
 */
const fixturesFolder = join(process.cwd(), "contract/fixtures");

type JsonSchema = z.core.JSONSchema.JSONSchema;

const Expectation = z.union([
  z.strictObject({
    /**
     * Kind of the reply. `streamed` has deltas, and `whole` has no deltas. `models` and `model` are answers of the
     * OpenAI route.
     */
    reply: z.enum(["streamed", "whole", "models", "model"]),
    finish_reason: z.string().optional(),
  }),
  z.strictObject({
    error: z.string(),
    /** Field that the error must name. */
    names: z.string().optional(),
  }),
]);

const common = { about: z.string(), expect: Expectation };

const FixtureFile = z.union([
  /** A native request: the `input` of a job. */
  z.strictObject({ ...common, input: z.record(z.string(), z.unknown()) }),
  /** A request of the OpenAI route. Without a body it is a GET. */
  z.strictObject({ ...common, route: z.string(), body: z.record(z.string(), z.unknown()).optional() }),
]);

/** One request with its expected result. */
export type Fixture = z.infer<typeof FixtureFile> & { version: string; name: string };

/** Lists the shipped versions, oldest first. */
export function versions(): string[] {
  return readdirSync(fixturesFolder).sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)));
}

/** Reads the fixtures of every version. @throws ZodError for an invalid fixture file */
export function readFixtures(): Fixture[] {
  return versions().flatMap((version) =>
    ["native", "openai"].flatMap((kind) =>
      filesIn(version, kind).map((file) => ({
        ...FixtureFile.parse(readJson(version, kind, file)),
        version,
        name: `${kind}/${file.replace(".json", "")}`,
      })),
    ),
  );
}

/** Names of a version's fixture files. A version without new fixtures of a kind has no folder for that kind. */
function filesIn(version: string, kind: string): string[] {
  const folder = join(fixturesFolder, version, kind);
  return existsSync(folder) ? readdirSync(folder) : [];
}

/**
 * Reads the JSON Schemas of a version. The key is the schema's name, such as `stream-item`. An enum of model names
 * accepts all current models, because adding a model breaks no client.
 */
export function readShapes(version: string): Record<string, JsonSchema> {
  const files = readdirSync(join(fixturesFolder, version, "shapes"));
  return Object.fromEntries(
    files.map((file) => [
      file.replace(".schema.json", ""),
      JSON.parse(readText(version, "shapes", file), withCurrentModels) as JsonSchema,
    ]),
  );
}

function withCurrentModels(key: string, value: unknown): unknown {
  const isModelEnum = key === "enum" && Array.isArray(value) && models.some((model) => value.includes(model));
  return isModelEnum ? models : value;
}

/** Reads the error codes of a version. */
export function readCodes(version: string): Record<string, { status: number; retryable: boolean }> {
  return readJson(version, "errors.json") as Record<string, { status: number; retryable: boolean }>;
}

function readJson(...path: string[]): unknown {
  return JSON.parse(readText(...path));
}

function readText(...path: string[]): string {
  return readFileSync(join(fixturesFolder, ...path), "utf8");
}

/** Values for the placeholders in fixtures. */
export interface FixtureValues {
  /** Model of the endpoint. */
  model: Model;
  /** Limits of the ticket. */
  limits: Limits;
  ticket: string;
  /** Undefined when the caller cannot obtain an expired ticket. */
  expiredTicket?: string | undefined;
  /** Ticket for another model. Undefined when the caller cannot obtain such a ticket. */
  otherModelsTicket?: string | undefined;
  /** Ticket that only this endpoint accepts. Undefined when the caller cannot obtain one. */
  ownEndpointsTicket?: string | undefined;
  /** Ticket for another endpoint of the same model. Undefined when the caller cannot obtain one. */
  otherEndpointsTicket?: string | undefined;
}

/**
 * Replaces the placeholders (`$TICKET`, …) of a fixture.
 *
 * @returns the filled fixture, or the placeholder that has no value
 */
export function fillFixture(fixture: Fixture, values: FixtureValues): { fixture: Fixture } | { missing: string } {
  const { model, limits } = values;
  const replacements: Record<string, unknown> = {
    $TICKET: values.ticket,
    $EXPIRED_TICKET: values.expiredTicket,
    $OTHER_MODELS_TICKET: values.otherModelsTicket,
    $OWN_ENDPOINTS_TICKET: values.ownEndpointsTicket,
    $OTHER_ENDPOINTS_TICKET: values.otherEndpointsTicket,
    $MODEL: model,
    $OTHER_MODEL: models.find((other) => other !== model),
    // A text of Latin letters has few tokens, so a model on a CPU can read it in time.
    $TEXT_AT_LIMIT: "a".repeat(limits.max_input_chars),
    $TEXT_OVER_LIMIT: "あ".repeat(limits.max_input_chars + 1),
    $MESSAGES_AT_LIMIT: userMessages(limits.max_messages),
    $MESSAGES_OVER_LIMIT: userMessages(limits.max_messages + 1),
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

const userMessages = (length: number) => Array.from({ length }, () => ({ role: "user", content: "やあ" }));
