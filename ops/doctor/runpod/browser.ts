import { type Model, models } from "../../../contract/plan";
import { apis } from "../../../runpod/apis";
import { messageOf } from "../../../runpod/error";
import { getHealth } from "../../../runpod/health";
import { type Check, failed, ok, unknown, warning } from "../check";
import type { Target } from "../target";

/** Inputs of the checks that call an endpoint. */
interface BrowserCheckInputs {
  target: Target;
  /** Secret. RunPod key of the account. */
  apiKey: string;
  /** Ids of the existing endpoints. */
  endpointIds: Partial<Record<Model, string>>;
  timeoutMs: number;
}

/**
 * Checks the CORS headers and the key of a model with a browser key, and warns about the risk. Without a browser key,
 * browsers use the relay.
 */
export function checkBrowserAccess(model: Model, called: BrowserCheckInputs): (Check | Promise<Check>)[] {
  if (called.target.browserKeys[model] === undefined) {
    return [ok(`${model} browser key`, "not set: browsers use the relay")];
  }
  const id = called.endpointIds[model];
  const cors = id === undefined ? [] : [checkCors(model, id, called)];
  return [...cors, checkBrowserKey(model, called), directAccess(model)];
}

/** Warning about every model with a browser key. */
function directAccess(model: Model): Check {
  const seen =
    `every browser gets a RunPod key that opens the whole job API of ${model}: a guest can empty the queue, and ` +
    "see and cancel the jobs of others";
  const todo = `Remove the key: pulumi config rm ${model}BrowserKey, and "pulumi up". Sessions then use the relay.`;
  return warning(`${model} direct access`, seen, todo);
}

/**
 * Checks that the stack's origins may call an endpoint from a browser. It sends the preflight request and an actual
 * request.
 */
async function checkCors(
  model: Model,
  endpointId: string,
  { target, apiKey, timeoutMs }: BrowserCheckInputs,
): Promise<Check> {
  const label = `${model} CORS`;
  const { config, browserKeys } = target;
  const browserKey = browserKeys[model];
  const key = typeof browserKey === "object" ? browserKey.key : apiKey;
  const base = `${config.runpodJobApiUrl}/${endpointId}`;
  const refusals = await Promise.all(
    config.frontend.origins.map(async (origin) => {
      const signal = AbortSignal.timeout(timeoutMs);
      try {
        const [preflight, answer] = await Promise.all([
          fetch(`${base}/run`, { method: "OPTIONS", headers: preflightFrom(origin), signal }),
          fetch(`${base}/health`, { headers: { origin, authorization: `Bearer ${key}` }, signal }),
        ]);
        await Promise.all([preflight.body?.cancel(), answer.body?.cancel()]);
        const why = preflightRefusal(preflight, origin) ?? answerRefusal(answer, origin);
        return why === undefined ? [] : [`${origin}: ${why}`];
      } catch (error) {
        return [`${origin}: ${messageOf(error)}`];
      }
    }),
  );
  const refused = refusals.flat();
  if (refused.length === 0) return ok(label, `allows ${config.frontend.origins.join(", ")}`);
  const seen = `the job API does not allow ${refused.join("; ")}`;
  const todo = `Browsers cannot chat with ${model} directly: put your own proxy in front of the job API and set runpodJobApiUrl to its URL.`;
  return failed(label, seen, todo);
}

/** Checks that a model's browser key opens its endpoint and nothing else. */
async function checkBrowserKey(
  model: Model,
  { target, apiKey, endpointIds, timeoutMs }: BrowserCheckInputs,
): Promise<Check> {
  const label = `${model} browser key`;
  const { config, browserKeys } = target;
  const given = browserKeys[model];
  const make = `Make a Restricted key for only the ${model} endpoint in RunPod's console. Then run "pulumi config set --secret ${model}BrowserKey" and "pulumi up".`;
  if (typeof given !== "object") {
    const variable = `${model.toUpperCase()}_BROWSER_KEY`;
    return unknown(
      label,
      "set, but it cannot be read here",
      `Set ${variable} in the environment, or sign in with Pulumi.`,
    );
  }
  const { key } = given;
  if (key === apiKey) return failed(label, "this is the account's key, and every browser can see it", make);
  const options = { apiKey: key, timeoutMs };
  const opens = async (id: string) => (await getHealth({ ...options, url: config.runpodJobApiUrl }, id)).status;
  try {
    const own = endpointIds[model];
    const status = own === undefined ? 200 : await opens(own);
    if (status !== 200) return failed(label, `its endpoint answers ${status}`, make);
    const others = models.filter((each) => each !== model && endpointIds[each] !== undefined);
    const opened = await Promise.all(
      others.map(async (each) => ((await opens(endpointIds[each] ?? "")) === 200 ? [each] : [])),
    );
    const tooMany = opened.flat();
    if (tooMany.length > 0) return failed(label, `it also opens ${tooMany.join(", ")}`, make);
    const client = apis[config.runpodApi]({ ...options, url: config.runpodApiUrl });
    const seesAccount = await client.listEndpoints().then(
      () => true,
      () => false,
    );
    if (seesAccount) return failed(label, "it opens the whole account, and every browser can see it", make);
    return ok(label, "opens only its own endpoint");
  } catch (error) {
    return unknown(label, messageOf(error), "Try again when RunPod answers.");
  }
}

/** Headers of the preflight that a browser sends before a JSON request with an API key. */
function preflightFrom(origin: string): Record<string, string> {
  return {
    origin,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
  };
}

function preflightRefusal({ ok: isOk, status, headers }: Response, origin: string): string | undefined {
  if (!isOk) return `the preflight gets ${status}`;
  if (!allows(headers, origin)) return "the preflight's answer does not allow this origin";
  const allowed = (headers.get("access-control-allow-headers") ?? "").toLowerCase().split(/\s*,\s*/);
  // The value `*` does not allow the `authorization` header (Fetch standard).
  const isNamed = allowed.includes("authorization") && (allowed.includes("content-type") || allowed.includes("*"));
  return isNamed ? undefined : "the preflight does not allow authorization and content-type";
}

function answerRefusal({ status, headers }: Response, origin: string): string | undefined {
  return allows(headers, origin) ? undefined : `an answer (${status}) does not allow this origin`;
}

function allows(headers: Headers, origin: string): boolean {
  return ["*", origin].includes(headers.get("access-control-allow-origin") ?? "");
}
