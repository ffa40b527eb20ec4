import { ClientError, GraphQLClient, gql } from "graphql-request";
import { z } from "zod";
import type { ApiOptions, EndpointSettings, RunpodClient } from "./client";
import { isNotFound, RunpodError } from "./error";
import {
  accountRecord,
  ENDPOINT,
  endpointInput,
  endpointRecord,
  listed,
  REGISTRY_AUTH,
  registryAuthRecord,
  TEMPLATE,
  templateInput,
  templateRecord,
} from "./graphqlRecords";
import { splitMark } from "./ownerTag";
import { redact } from "./redact";
import { retrying } from "./retry";
import { retryAfterMs } from "./retryAfter";
import { unansweredReason } from "./unanswered";

// Cloudflare in front of RunPod turns away clients that name themselves like scripts (RunPod's own plugin says so).
const USER_AGENT = "Mozilla/5.0 (compatible; snack-misaki; pulumi)";

// The wordings RunPod's own SDK repeats a call for.
const TRANSIENT =
  /try again later|internal server error|service unavailable|too many requests|temporarily unavailable/i;

/** What a save is asked for: the id alone, so that no odd field of the answer makes a failure of it. */
const made = z.object({ id: z.string() });

/** RunPod's GraphQL control plane, as its official Pulumi provider publishes the schema (RunPod ends it in early 2027). */
export function graphqlClient({ apiKey, url, timeoutMs = 30_000 }: ApiOptions): RunpodClient {
  const http = new GraphQLClient(`${url.replace(/\/+$/, "")}/graphql`, {
    headers: { authorization: `Bearer ${apiKey}`, "user-agent": USER_AGENT },
    // Followed, it would carry a registry's password to wherever it leads.
    redirect: "error",
  });

  /** `secrets`: what was sent that a refusal may not quote. */
  async function send<T>(
    operation: string,
    answer: z.ZodType<T>,
    document: string,
    variables: object = {},
    secrets: string[] = [],
  ): Promise<T> {
    let data: unknown;
    try {
      data = await http.request({ document, variables: { ...variables }, signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
      const { message, ...circumstances } = describe(error, operation, timeoutMs);
      throw new RunpodError(redact(message, [apiKey, ...secrets]), circumstances);
    }
    const parsed = answer.safeParse(data);
    if (!parsed.success) {
      throw new RunpodError(`RunPod answered ${operation} in an unexpected shape: ${z.prettifyError(parsed.error)}`, {
        transient: false,
        maybeDone: true,
      });
    }
    return parsed.data;
  }

  /** Reads through `myself`, the only way to read that the published schema has. */
  async function mine<T extends object>(field: string, fields: string, record: z.ZodType<T>): Promise<T> {
    const answer = z.object({ myself: record.nullable() });
    const { myself } = await retrying(() => send(field, answer, gql`query { myself { ${fields} } }`));
    // RunPod answers a caller it does not know with 200 and nobody: taken as an empty account, all would look deleted.
    if (myself === null)
      throw new RunpodError(`RunPod refused ${field}: the API key is not valid.`, { transient: false });
    return myself;
  }

  /** With an id a save sets a state and may be repeated; without one it makes a new thing each time. */
  function save<T>(id: string | undefined, attempt: () => Promise<T>): Promise<T> {
    return id === undefined ? attempt() : retrying(attempt);
  }

  async function listTemplates() {
    const record = z.object({ podTemplates: listed(templateRecord) });
    return (await mine("podTemplates", `podTemplates { ${TEMPLATE} }`, record)).podTemplates;
  }

  /** An endpoint carries no mark of its own: it is of the stack whose template it runs. */
  async function listEndpoints() {
    const owned = z.object({ endpoints: listed(endpointRecord), podTemplates: listed(templateRecord) });
    const fields = `endpoints { ${ENDPOINT} } podTemplates { ${TEMPLATE} }`;
    const { endpoints, podTemplates } = await mine("endpoints", fields, owned);
    const owners = new Map(podTemplates.map(({ id, env }) => [id, splitMark(env).owner]));
    return endpoints.map((endpoint) => ({ ...endpoint, owner: owners.get(endpoint.templateId) }));
  }

  async function getTemplate(id: string) {
    return (await listTemplates()).find((template) => template.id === id);
  }

  async function saveEndpoint(settings: EndpointSettings, id?: string) {
    const { saveEndpoint: saved } = await save(id, () =>
      send(
        "saveEndpoint",
        z.object({ saveEndpoint: made }),
        gql`mutation ($input: EndpointInput!) { saveEndpoint(input: $input) { id } }`,
        { input: endpointInput(settings, id) },
      ),
    );
    return saved;
  }

  return {
    getAccount: () => mine("clientBalance", "clientBalance currentSpendPerHr", accountRecord),

    async getWorkerQuota() {
      const record = z.object({ maxServerlessConcurrency: z.number().nullish() });
      const field = "maxServerlessConcurrency";
      try {
        return (await mine(field, field, record)).maxServerlessConcurrency ?? undefined;
      } catch {
        // Known from third parties only: where RunPod does not have the field, it refuses the whole question.
        return undefined;
      }
    },

    findTemplateByName: async (name) => (await listTemplates()).find((template) => template.name === name),
    getTemplate,

    async saveTemplate(settings, id) {
      const { saveTemplate } = await save(id, () =>
        send(
          "saveTemplate",
          z.object({ saveTemplate: made }),
          gql`mutation ($input: SaveTemplateInput!) { saveTemplate(input: $input) { id } }`,
          { input: templateInput(settings, id) },
          Object.values(settings.env),
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
          send("deleteTemplate", z.unknown(), gql`mutation ($name: String!) { deleteTemplate(templateName: $name) }`, {
            name: template.name,
          }),
        );
      }),

    listEndpoints,
    getEndpoint: async (id) => (await listEndpoints()).find((endpoint) => endpoint.id === id),

    async getEndpointVersion(id) {
      // RunPod's own tools ask for it, but its published schema does not have it: asked for with the rest, it might cost all.
      const record = z.object({ endpoints: listed(z.object({ id: z.string(), version: z.number().nullish() })) });
      const { endpoints } = await mine("version", "endpoints { id version }", record);
      return endpoints.find((endpoint) => endpoint.id === id)?.version ?? undefined;
    },

    saveEndpoint,

    async scaleToZero({ id, owner: _, ...settings }) {
      // What is left out goes back to its default, so everything is sent.
      await saveEndpoint({ ...settings, workersMin: 0, workersMax: 0 }, id);
    },

    deleteEndpoint: (id) =>
      retrying(() =>
        ignoringNotFound(
          send("deleteEndpoint", z.unknown(), gql`mutation ($id: String!) { deleteEndpoint(id: $id) }`, { id }),
        ),
      ),

    async listRegistryAuths() {
      const record = z.object({ containerRegistryCreds: listed(registryAuthRecord) });
      const fields = `containerRegistryCreds { ${REGISTRY_AUTH} }`;
      return (await mine("containerRegistryCreds", fields, record)).containerRegistryCreds;
    },

    async createRegistryAuth(input) {
      const { saveRegistryAuth } = await send(
        "saveRegistryAuth",
        z.object({ saveRegistryAuth: made }),
        gql`mutation ($input: SaveRegistryAuthInput!) { saveRegistryAuth(input: $input) { id } }`,
        { input },
        [input.password],
      );
      return saveRegistryAuth;
    },

    updateRegistryAuth: async (id, { username, password }) => {
      await retrying(() =>
        send(
          "updateRegistryAuth",
          z.unknown(),
          gql`mutation ($input: UpdateRegistryAuthInput!) { updateRegistryAuth(input: $input) { id } }`,
          { input: { id, username, password } },
          [password],
        ),
      );
    },

    deleteRegistryAuth: (id) =>
      retrying(() =>
        ignoringNotFound(
          send(
            "deleteRegistryAuth",
            z.unknown(),
            gql`mutation ($id: String!) { deleteRegistryAuth(registryAuthId: $id) }`,
            { id },
          ),
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
function describe(error: unknown, operation: string, timeoutMs: number) {
  if (error instanceof ClientError) {
    const { status, errors, headers } = error.response;
    const said = errors?.map((each) => withoutValue(each.message)).join("; ") || `HTTP ${status}`;
    if (status === 401 || /^unauthorized$/i.test(said)) {
      return { message: `RunPod refused ${operation}: the API key is not valid or may not do this.`, transient: false };
    }
    const transient = status === 429 || status >= 500 || TRANSIENT.test(said);
    return {
      message: `RunPod ${transient ? "could not do" : "refused"} ${operation}: ${said}`,
      transient,
      retryAfterMs: headers instanceof Headers ? retryAfterMs(headers) : undefined,
    };
  }
  return { message: `RunPod did not answer ${operation}: ${unansweredReason(error, timeoutMs)}`, transient: true };
}
