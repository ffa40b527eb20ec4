import * as z from "zod";
import type { RestRoute } from "./route";

/** OpenAPI 3.1 document of the routes with the schemas of their bodies. */
export function openApiDocument(routes: readonly RestRoute[]) {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = `/v2${route.path}`;
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    openapi: "3.1.0",
    info: { title: "RunPod REST v2 of the local double", version: "2.0.0" },
    security: [{ bearerAuth: [] }],
    components: { securitySchemes: { bearerAuth: { type: "http", scheme: "bearer" } } },
    paths,
  };
}

function operation({ path, summary, body, status }: RestRoute) {
  const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const problem = { description: "Problem", content: { "application/problem+json": {} } };
  return {
    summary,
    parameters,
    ...(body && { requestBody: { required: true, content: { "application/json": { schema: schemaOf(body) } } } }),
    responses: { [status]: { description: status === 204 ? "No content" : "Done" }, default: problem },
  };
}

function schemaOf(body: z.ZodType): object {
  const { $schema, ...schema } = z.toJSONSchema(body, { io: "input" });
  return schema;
}
