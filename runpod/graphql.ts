import { ClientError, GraphQLClient, gql } from "graphql-request";
import { z } from "zod";
import type { RunpodClient } from "./client";
import { isNotFound, RunpodError } from "./error";
import {
  ENDPOINT,
  endpointInput,
  endpointRecord,
  listed,
  TEMPLATE,
  templateInput,
  templateRecord,
} from "./graphqlRecords";
import { retrying } from "./patience";

/** Where RunPod's GraphQL API is and who calls it. */
interface GraphqlOptions {
  apiKey: string;
  /** Without `/graphql`. */
  url: string;
  /** Milliseconds one call may take, 30000 unless told. */
  timeoutMs?: number;
}

// Cloudflare in front of RunPod turns away clients that name themselves like scripts (RunPod's own plugin says so).
const USER_AGENT = "Mozilla/5.0 (compatible; snack-misaki; pulumi)";

// The wordings RunPod's own SDK repeats a call for.
const TRANSIENT =
  /try again later|internal server error|service unavailable|too many requests|temporarily unavailable/i;

/** RunPod's GraphQL control plane, as its official Pulumi provider publishes the schema (RunPod ends it in early 2027). */
export function graphqlClient({ apiKey, url, timeoutMs = 30_000 }: GraphqlOptions): RunpodClient {
  const http = new GraphQLClient(`${url.replace(/\/+$/, "")}/graphql`, {
    headers: { authorization: `Bearer ${apiKey}`, "user-agent": USER_AGENT },
  });

  async function send<T>(
    operation: string,
    answer: z.ZodType<T>,
    document: string,
    variables: object = {},
  ): Promise<T> {
    let data: unknown;
    try {
      data = await http.request({ document, variables: { ...variables }, signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
      const failure = describe(error, operation, timeoutMs);
      throw new RunpodError(failure.message.replaceAll(apiKey, "***"), failure.transient);
    }
    const parsed = answer.safeParse(data);
    if (!parsed.success) {
      throw new RunpodError(
        `RunPod answered ${operation} in an unexpected shape: ${z.prettifyError(parsed.error)}`,
        false,
      );
    }
    return parsed.data;
  }

  /** Lists through `myself`, the only way to read that the published schema has. */
  async function list<T>(field: "podTemplates" | "endpoints", fields: string, record: z.ZodType<T>): Promise<T[]> {
    const answer = z.object({ myself: z.object({ [field]: listed(record) }).nullable() });
    const { myself } = await retrying(() => send(field, answer, gql`query { myself { ${field} { ${fields} } } }`));
    // RunPod answers a caller it does not know with 200 and nobody: taken as an empty account, all would look deleted.
    if (myself === null) throw new RunpodError(`RunPod refused ${field}: the API key is not valid.`, false);
    return myself[field] ?? [];
  }

  const templates = () => list("podTemplates", TEMPLATE, templateRecord);
  const endpoints = () => list("endpoints", ENDPOINT, endpointRecord);

  /** With an id a save sets a state and may be repeated; without one it makes a new thing each time. */
  function save<T>(id: string | undefined, attempt: () => Promise<T>): Promise<T> {
    return id === undefined ? attempt() : retrying(attempt);
  }

  async function getTemplate(id: string) {
    return (await templates()).find((template) => template.id === id);
  }

  return {
    findTemplateByName: async (name) => (await templates()).find((template) => template.name === name),
    getTemplate,

    async saveTemplate(settings, id) {
      const { saveTemplate } = await save(id, () =>
        send(
          "saveTemplate",
          z.object({ saveTemplate: templateRecord }),
          gql`mutation ($input: SaveTemplateInput) { saveTemplate(input: $input) { ${TEMPLATE} } }`,
          { input: templateInput(settings, id) },
        ),
      );
      return saveTemplate;
    },

    deleteTemplate: (id) =>
      retrying(async () => {
        // RunPod deletes templates by name, and a name may have changed since we last looked.
        const template = await getTemplate(id);
        if (template === undefined) return;
        await ignoringNotFound(
          send("deleteTemplate", z.unknown(), gql`mutation ($name: String) { deleteTemplate(templateName: $name) }`, {
            name: template.name,
          }),
        );
      }),

    findEndpointsByName: async (name) => (await endpoints()).filter((endpoint) => endpoint.name === name),
    getEndpoint: async (id) => (await endpoints()).find((endpoint) => endpoint.id === id),

    async saveEndpoint(settings, id) {
      const { saveEndpoint } = await save(id, () =>
        send(
          "saveEndpoint",
          z.object({ saveEndpoint: endpointRecord }),
          gql`mutation ($input: EndpointInput!) { saveEndpoint(input: $input) { ${ENDPOINT} } }`,
          { input: endpointInput(settings, id) },
        ),
      );
      return saveEndpoint;
    },

    deleteEndpoint: (id) =>
      retrying(() =>
        ignoringNotFound(
          send("deleteEndpoint", z.unknown(), gql`mutation ($id: String!) { deleteEndpoint(id: $id) }`, { id }),
        ),
      ),
  };
}

async function ignoringNotFound(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** GraphQL's own message about a variable quotes the whole value, and after it the part that is wrong. */
function withoutValue(message: string): string {
  return message.replace(/(got invalid value).*/s, "$1");
}

/** What went wrong, without what was sent: the library's own message repeats every variable. */
function describe(error: unknown, operation: string, timeoutMs: number): { message: string; transient: boolean } {
  if (error instanceof ClientError) {
    const { status, errors } = error.response;
    const said = errors?.map((each) => withoutValue(each.message)).join("; ") || `HTTP ${status}`;
    if (status === 401 || /^unauthorized$/i.test(said)) {
      return { message: `RunPod refused ${operation}: the API key is not valid or may not do this.`, transient: false };
    }
    const transient = status === 429 || status >= 500 || TRANSIENT.test(said);
    return { message: `RunPod ${transient ? "could not do" : "refused"} ${operation}: ${said}`, transient };
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason =
    error instanceof Error && error.name === "TimeoutError"
      ? `no answer within ${timeoutMs / 1000} s`
      : cause instanceof Error
        ? cause.message
        : String(cause);
  return { message: `RunPod did not answer ${operation}: ${reason}`, transient: true };
}
