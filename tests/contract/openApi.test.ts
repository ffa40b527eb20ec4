import { readFileSync } from "node:fs";
import { join } from "node:path";
import openapiTS, { astToString, type OpenAPI3 } from "openapi-typescript";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { root } from "../../cli/root";
import { type OpenApi, openApi } from "../../contract/openapi/document";
import { breakingChanges } from "../../verify/openapi/breaking";
import { createProgram } from "../../verify/openapi/handlers";

const current = (): OpenApi => structuredClone(openApi());

describe("The OpenAPI document", () => {
  const released = JSON.parse(readFileSync("tests/contract/released/openapi-0.1.0.json", "utf8")) as OpenApi;

  it("has no breaking change since the newest release", () => {
    expect(breakingChanges(released, current())).toEqual([]);
  });

  it.each<[string, (document: OpenApi) => void, string]>([
    ["an operation is removed", ({ paths }) => delete paths["/billing/plan"], "GET /billing/plan: is removed"],
    [
      "a response field is removed",
      ({ components }) => Object.assign(schemaOf(components, "RedirectResponse"), { properties: {}, required: [] }),
      "POST /billing/portal: 200: body.url may be missing",
    ],
    [
      "a response field becomes optional",
      ({ components }) => schemaOf(components, "SessionResponse").required?.splice(0, 1),
      "POST /auth/guest: 200: body.user_id may be missing",
    ],
    [
      "a response field gets another type",
      ({ components }) =>
        Object.assign(schemaOf(components, "ChatReply").properties?.attempts ?? {}, { type: "string" }),
      "POST /chat: 200: body.attempts is string instead of integer",
    ],
    [
      "the error code becomes optional",
      ({ components }) => schemaOf(components, "Error").required?.pop(),
      "Error: body.error may be missing",
    ],
    [
      "a request field loses an allowed value",
      ({ components }) => schemaOf(components, "CheckoutRequest").properties?.plan?.enum?.pop(),
      "POST /billing/checkout: body.plan refuses vip",
    ],
    [
      "a request field becomes required",
      ({ components }) => Object.assign(schemaOf(components, "WorkerInput"), { required: ["ticket"] }),
      "POST /run: body.input.ticket may be missing",
    ],
  ])("has a breaking change when %s", (_, change, found) => {
    const changed = current();
    change(changed);
    expect(breakingChanges(current(), changed)).toContain(found);
  });
});

interface Editable {
  required?: string[];
  properties?: Record<string, { enum?: string[] }>;
}

function schemaOf({ schemas }: OpenApi["components"], name: string): Editable {
  return schemas[name] as Editable;
}

describe("The types that openapi-typescript generates from the document", () => {
  const client = `
    import type { ChatDone, ChatInput, ChatItem, PaidPlan, PlanInfo, Redirect, Session } from "../client/types";
    import type { paths } from "./generatedTypes";

    type Answer<Path extends keyof paths, Method extends keyof paths[Path]> = paths[Path][Method] extends {
      responses: { 200: { content: { "application/json": infer Body } } };
    } ? Body : never;
    type Request<Path extends keyof paths> = paths[Path] extends {
      post: { requestBody?: { content: { "application/json": infer Body } } };
    } ? Body : never;
    type Event = paths["/chat"]["post"]["responses"][200]["content"]["text/event-stream"];
    declare function read<T>(): T;

    export const answers: [Session, Session, PlanInfo, PlanInfo, Redirect, Redirect] = [
      read<Answer<"/auth/session", "post">>(),
      read<Answer<"/auth/guest", "post">>(),
      read<Answer<"/billing/plan", "get">>(),
      read<Answer<"/billing/sync", "post">>(),
      read<Answer<"/billing/checkout", "post">>(),
      read<Answer<"/billing/portal", "post">>(),
    ];
    export const item: ChatItem = read<Exclude<Event, { error: unknown }>>();
    export const polled: ChatItem | undefined = read<Answer<"/stream/{id}", "get">>().stream[0]?.output;
    export const chat: Request<"/chat"> = { ...read<ChatInput>(), id: "chat-0001" };
    export const job: Request<"/run"> = { input: { ...read<ChatInput>(), ticket: "" } };
    export const checkout: Request<"/billing/checkout"> = { plan: read<PaidPlan>() };
    export const portal: Request<"/billing/portal"> = { plan: read<PaidPlan | undefined>() };
    export type Done = ChatDone;
  `;

  /** Compiles the client's types together with the types generated from a document. Returns the compile errors. */
  async function errorsWith(document: OpenApi): Promise<string[]> {
    const types = astToString(await openapiTS(document as unknown as OpenAPI3));
    const program = createProgram(root, ["contract/use.ts"], {
      "contract/use.ts": client,
      "contract/generatedTypes.ts": types,
    });
    const errors = ts.getPreEmitDiagnostics(program, program.getSourceFile(join(root, "contract/use.ts")));
    return errors.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, " "));
  }

  it("accept client/types.ts", async () => {
    expect(await errorsWith(current())).toEqual([]);
  });

  it("reject client/types.ts when the document loses a field", async () => {
    const changed = current();
    schemaOf(changed.components, "SessionResponse").required?.splice(0, 1);
    expect(await errorsWith(changed)).toHaveLength(2);
  });
});
