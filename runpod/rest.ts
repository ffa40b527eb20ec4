import { z } from "zod";
import type { ApiOptions, EndpointRecord, RunpodClient, TemplateRecord } from "./client";
import { isNotFound, RunpodError } from "./error";
import { type Answer, callJson } from "./http";
import { splitMark } from "./ownerTag";
import { redact } from "./redact";
import {
  endpointBody,
  endpointSettings,
  followingBody,
  follows,
  type RestEndpoint,
  restEndpoint,
  restRegistryAuth,
  restTemplate,
  runsTemplate,
  templateBody,
} from "./restRecords";
import { retrying } from "./retry";

/** What the API says of a request it refuses: `application/problem+json`. */
const problem = z.object({ title: z.string().optional(), detail: z.string().optional(), errors: z.array(z.unknown()) });

const made = z.object({ id: z.string() });

interface Request {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  path: string;
  body?: object;
  /** What was sent that a refusal may not quote. */
  secrets?: string[];
}

/**
 * RunPod's REST API v2, GA since August 2026. Its endpoints copy a template once and forget it; this client makes them
 * follow: it marks each with its template's id, and changes them with the template.
 */
export function restClient({ apiKey, url, timeoutMs = 30_000 }: ApiOptions): RunpodClient {
  const base = `${url.replace(/\/+$/, "")}/v2`;

  async function send<T>(operation: string, answer: z.ZodType<T>, request: Request): Promise<T> {
    const { method, path, body, secrets = [] } = request;
    const received = await callJson({ operation, method, url: base + path, apiKey, timeoutMs, ...(body && { body }) });
    if (received.status >= 300) throw refusal(operation, received, [apiKey, ...secrets]);
    const parsed = answer.safeParse(received.body);
    if (parsed.success) return parsed.data;
    const reason = z.prettifyError(parsed.error);
    throw new RunpodError(`RunPod answered ${operation} in an unexpected shape: ${reason}`, {
      transient: false,
      maybeDone: true,
    });
  }

  async function list<T>(field: "templates" | "serverless" | "registries", record: z.ZodType<T>, key: string) {
    const answer = z.object({ [key]: z.array(record) });
    const listed = await retrying(() => send(`list ${field}`, answer, { method: "GET", path: `/${field}` }));
    return listed[key] ?? [];
  }

  /** One thing, or undefined when it is not there. */
  async function get<T>(operation: string, record: z.ZodType<T>, path: string): Promise<T | undefined> {
    try {
      return await retrying(() => send(operation, record, { method: "GET", path }));
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  function remove(operation: string, path: string): Promise<void> {
    return retrying(async () => {
      try {
        await send(operation, z.unknown(), { method: "DELETE", path });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    });
  }

  const listTemplates = () => list("templates", restTemplate, "templates");
  const listRaw = () => list("serverless", restEndpoint, "endpoints");
  const getTemplate = (id: string) => get("getTemplate", restTemplate, `/templates/${encodeURIComponent(id)}`);

  /** One that no longer runs what its template says follows none: the difference is to be seen, and mended. */
  function record(endpoint: RestEndpoint, templates: TemplateRecord[]): EndpointRecord {
    const template = templates.find((each) => follows(endpoint, each) && runsTemplate(endpoint, each));
    const { owner } = splitMark(endpoint.env);
    return { ...endpointSettings(endpoint, template?.id ?? ""), id: endpoint.id, owner };
  }

  return {
    getAccount: async () => undefined,
    getWorkerQuota: async () => undefined,

    findTemplateByName: async (name) => (await listTemplates()).find((template) => template.name === name),
    getTemplate,

    async saveTemplate(settings, id) {
      const secrets = Object.values(settings.env);
      const body = templateBody(settings);
      if (id === undefined) return send("createTemplate", made, { method: "POST", path: "/templates", body, secrets });
      const before = await getTemplate(id);
      const endpoints = await listRaw();
      const path = `/templates/${encodeURIComponent(id)}`;
      await retrying(() => send("updateTemplate", made, { method: "PATCH", path, body, secrets }));
      const template = { ...settings, id };
      const followers = endpoints.filter((each) => follows(each, before ?? template));
      for (const follower of followers) await roll(follower, template, secrets);
      return { id };
    },

    deleteTemplate: (id) => remove("deleteTemplate", `/templates/${encodeURIComponent(id)}`),

    async listEndpoints() {
      const [endpoints, templates] = await Promise.all([listRaw(), listTemplates()]);
      return endpoints.map((endpoint) => record(endpoint, templates));
    },

    async getEndpoint(id) {
      const path = `/serverless/${encodeURIComponent(id)}`;
      const [endpoint, templates] = await Promise.all([get("getEndpoint", restEndpoint, path), listTemplates()]);
      return endpoint && record(endpoint, templates);
    },

    getEndpointVersion: async () => undefined,

    async saveEndpoint(settings, id) {
      const template = await getTemplate(settings.templateId);
      if (template === undefined) {
        throw new RunpodError(`RunPod has no template ${settings.templateId} for the endpoint "${settings.name}".`, {
          transient: false,
        });
      }
      const secrets = Object.values(template.env);
      const body = endpointBody(settings, template, id === undefined);
      if (id === undefined) return send("createEndpoint", made, { method: "POST", path: "/serverless", body, secrets });
      const path = `/serverless/${encodeURIComponent(id)}`;
      return retrying(() => send("updateEndpoint", made, { method: "PATCH", path, body, secrets }));
    },

    async scaleToZero({ id }) {
      const path = `/serverless/${encodeURIComponent(id)}`;
      const body = { workers: { min: 0, max: 0 } };
      try {
        await retrying(() => send("updateEndpoint", made, { method: "PATCH", path, body }));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },

    deleteEndpoint: (id) => remove("deleteEndpoint", `/serverless/${encodeURIComponent(id)}`),

    listRegistryAuths: () => list("registries", restRegistryAuth, "registries"),

    createRegistryAuth: (body) =>
      send("createRegistry", made, { method: "POST", path: "/registries", body, secrets: [body.password] }),

    async updateRegistryAuth() {
      throw new RunpodError("RunPod's REST API cannot change registry credentials.", { transient: false });
    },

    deleteRegistryAuth: (id) => remove("deleteRegistry", `/registries/${encodeURIComponent(id)}`),
  };

  /** Gives an endpoint what its template says now. The template is changed already, so a refusal leaves half a change. */
  async function roll(endpoint: RestEndpoint, template: TemplateRecord, secrets: string[]): Promise<void> {
    const path = `/serverless/${encodeURIComponent(endpoint.id)}`;
    const body = followingBody(template);
    try {
      await retrying(() => send("updateEndpoint", made, { method: "PATCH", path, body, secrets }));
    } catch (error) {
      if (!(error instanceof RunpodError)) throw error;
      const message = `The template is changed, but not its endpoint "${endpoint.name}" (${endpoint.id}): ${error.message}`;
      throw new RunpodError(message, { transient: false, maybeDone: true });
    }
  }
}

function refusal(operation: string, { status, body, retryAfterMs }: Answer, secrets: string[]): RunpodError {
  if (status === 401)
    return new RunpodError(`RunPod refused ${operation}: the API key is not valid.`, { transient: false });
  if (status === 403)
    return new RunpodError(`RunPod refused ${operation}: the API key may not do this.`, { transient: false });
  const { title, detail, errors } = problem.partial().safeParse(body).data ?? {};
  const said = [detail ?? title ?? (status === 404 ? "not found" : `HTTP ${status}`), ...(errors ?? []).map(inWords)];
  const transient = status === 429 || status >= 500;
  const verb = transient ? "could not do" : "refused";
  // What the status means, where the words may not say it: `isNotFound` and `isInUse` read the words.
  const meaning = status === 404 ? "not found" : status === 409 ? "conflict" : "";
  const suffix = said.join().toLowerCase().includes(meaning) ? "" : ` (${meaning})`;
  const message = `RunPod ${verb} ${operation}: ${said.join("; ")}${suffix}`;
  return new RunpodError(redact(message, secrets), { transient, retryAfterMs });
}

function inWords(error: unknown): string {
  return typeof error === "string" ? error : JSON.stringify(error);
}
