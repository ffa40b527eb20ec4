import { changed, checkFields, type Properties } from "../../../dynamic/fields";
import type { EndpointRecord, TemplateRecord } from "../../../runpod/client";
import { endpointFields } from "../../../runpod/endpointFields";
import { type Check, failed, ok, warning } from "../check";

/** The configured properties of an endpoint and its template. */
interface Declared {
  endpoint: Properties;
  template: Properties;
}

/** Variables that a worker needs. */
const REQUIRED_VARIABLES = ["MODEL", "TICKET_ISSUER", "TICKET_JWKS"];
/** Fields covered by other checks. */
const CHECKED_ELSEWHERE = ["owner", "name", "templateId"];
/** Fields that an API may not return. */
const MAYBE_UNREAD = ["idleTimeoutSeconds", "modelReferences"];

/** Compares RunPod's endpoint and template with the configuration, in the same way as the Pulumi provider. */
export function checkDrift(
  version: string,
  declared: Declared,
  { endpoint, template }: { endpoint: EndpointRecord; template: TemplateRecord | undefined },
): Check {
  const label = `${version} drift`;
  const fields = Object.fromEntries(
    Object.entries(endpointFields).filter(([name]) => !CHECKED_ELSEWHERE.includes(name)),
  );
  const wanted = checkFields(fields, declared.endpoint).inputs;
  const actual = { ...endpoint } as Properties;
  const differing = [
    ...Object.keys(fields)
      .filter((name) => actual[name] !== undefined || !MAYBE_UNREAD.includes(name))
      .filter((name) => changed(wanted, actual, name)),
    ...Object.keys(declared.template).filter((name) => template && changed(declared.template, { ...template }, name)),
  ];
  const missing = template ? REQUIRED_VARIABLES.filter((name) => template.env[name] === undefined) : [];
  if (differing.length === 0 && missing.length === 0) return ok(label, "as configured");

  const before: Properties = { ...wanted, ...declared.template };
  const after: Properties = { ...template, ...actual };
  const seen = [
    ...differing.map((name) => `${name} is ${display(after[name])}, configured ${display(before[name])}`),
    ...missing.map((name) => `the variable ${name} is missing`),
  ].join("; ");
  const todo = `Run "pulumi up --refresh": it restores the configured values.`;
  const isIdle = differing.includes("workersMax") && endpoint.workersMax < Number(wanted.workersMax);
  if (isIdle && endpoint.workersMax === 0) {
    const why = "RunPod sets this after 7 days without a request; no job runs until workersMax is raised";
    return failed(label, `${seen}: ${why}`, todo);
  }
  if (isIdle) return warning(label, `${seen}: RunPod sets this after 3 days without a request`, todo);
  return missing.length > 0 ? failed(label, seen, todo) : warning(label, seen, todo);
}

function display(value: unknown): string {
  if (Array.isArray(value)) return value.join(",") || "none";
  return value === undefined || value === "" ? "none" : String(value);
}
