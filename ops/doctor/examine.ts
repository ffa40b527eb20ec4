import { type Model, models } from "../../contract/plan";
import { inferenceSettings } from "../../infra/inferenceSettings";
import { apis } from "../../runpod/apis";
import type { EndpointRecord, RegistryAuthRecord, RunpodClient, TemplateRecord } from "../../runpod/client";
import { messageOf, redact } from "../../runpod/error";
import { getHealth } from "../../runpod/health";
import { isPrivateEcr } from "../../runpod/imageName";
import type { Listing } from "../../runpod/nullable";
import { type WorkerMonitor, workerMonitor } from "../../runpod/workers";
import { checkAccount, checkKey } from "./account";
import { checkBrowserAccess } from "./browser";
import { type Check, failed } from "./check";
import { checkConcurrency } from "./concurrency";
import { checkControlPlane } from "./controlPlane";
import { checkEndpoint, checkImage, checkLeakedEndpoints, checkTemplate } from "./deployment";
import { checkDrift } from "./drift";
import { checkEmail } from "./email";
import { imageTags } from "./imageTags";
import { checkPortal } from "./portal";
import { checkQuota } from "./quota";
import { checkRegistry } from "./registry";
import { checkRegistryToken } from "./registryToken";
import type { Target } from "./target";
import { checkWorkerSecrets } from "./workerSecrets";
import { checkVersion, checkWorkers, readWorkers } from "./workers";

/** Default timeout of one call. */
const TIMEOUT_MS = 10_000;

/** The account's resources. A part that could not be read holds the reason instead. */
interface Account {
  endpoints: EndpointRecord[] | Unread;
  templates: Record<Model, TemplateRecord | undefined> | Unread;
  credentials: Listing<RegistryAuthRecord> | Unread;
}
interface Unread {
  why: string;
}

/**
 * Checks every part of a stack that is visible from outside. Changes nothing.
 *
 * @param options.timeoutMs timeout of one call
 * @param options.logMs time to read the log of a worker that is not ready
 * @returns one line per check, without secrets
 */
export async function examine(
  target: Target,
  { timeoutMs = TIMEOUT_MS, logMs }: { timeoutMs?: number; logMs?: number } = {},
): Promise<Check[]> {
  const { config, apiKey, browserKeys, stripeKey } = target;
  const options = { apiKey, url: config.runpodApiUrl, timeoutMs };
  const client = apis[config.runpodApi](options);
  const monitor = workerMonitor({ ...options, ...(logMs && { logMs }) }, config.runpodJobApiUrl, client);
  const checks = await examineThrough(target, client, monitor, timeoutMs);
  const keys = Object.values(browserKeys).flatMap((each) => (typeof each === "object" ? each.key : []));
  return checks.map((check) => ({
    ...check,
    seen: redact(check.seen, [apiKey, ...keys, ...(typeof stripeKey === "object" ? [stripeKey.key] : [])]),
  }));
}

async function examineThrough(
  target: Target,
  client: RunpodClient,
  monitor: WorkerMonitor,
  timeoutMs: number,
): Promise<Check[]> {
  const { config, owner } = target;
  const settings = models.map((model) => inferenceSettings(model, config));
  const names = settings.map(({ name }) => name);
  const account = await readAccount(client, config);
  const unread = Object.entries(account).flatMap(([what, read]) => ("why" in read ? [{ what, why: read.why }] : []));
  if (unread.length === Object.keys(account).length) return [unreachable(config.runpodApiUrl, unread[0]?.why ?? "")];

  const general = [
    checkControlPlane(client, config.runpodApi),
    checkAccount(client),
    checkKey(client, unread),
    checkConcurrency(config.relay.concurrency, target.aws),
    Promise.resolve(checkEmail(config.auth)),
  ];
  if (typeof target.stripeKey === "object") {
    const stripe = { apiKey: target.stripeKey.key, url: config.stripeApiUrl };
    general.push(checkPortal(stripe, config.billing.portalConfiguration, timeoutMs));
  }
  if (isFromEcr(config)) general.push(checkRegistryToken(config.stack, target.aws));
  const { endpoints, templates, credentials } = account;
  if ("why" in endpoints) return Promise.all(general);
  const asked = Object.fromEntries(settings.map(({ name, endpoint }) => [name, endpoint.workersMax]));
  general.push(checkQuota(client, endpoints, asked, config.runpodWorkerQuota));
  general.push(Promise.resolve(checkLeakedEndpoints(names, owner, endpoints)));

  const found = models.map((model, index) => ({
    model,
    ...checkEndpoint(model, names[index] ?? "", owner, endpoints),
  }));
  const ids = found.flatMap(({ model, endpoint }) => (endpoint ? [[model, endpoint.id]] : []));
  const called = { target, endpointIds: Object.fromEntries(ids), timeoutMs };
  const ofModels = found.map(async ({ model, check, endpoint }, index) => {
    const { name, ...declared } = settings[index] ?? inferenceSettings(model, config);
    const lines: (Check | Promise<Check>)[] = [check];
    const template = "why" in templates ? undefined : templates[model];
    if (!("why" in templates)) lines.push(checkTemplate(model, name, owner, template, endpoint));
    if (template) {
      const { imageName } = template;
      lines.push(imageTags(imageName, target.aws).then((tags) => checkImage(model, config[model], imageName, tags)));
    }
    const seen = endpoint && (await readWorkers(monitor, endpoint.id, health(target, endpoint.id, timeoutMs)));
    if (template && !("why" in credentials)) {
      lines.push(checkRegistry(model, config, template, credentials, seen?.problems ?? []));
    }
    if (endpoint && seen) {
      lines.push(checkVersion(model, seen), checkWorkers(model, endpoint, seen));
      lines.push(checkDrift(model, declared, { endpoint, template }));
    }
    lines.push(...checkBrowserAccess(model, called));
    if (template) lines.push(...(await checkWorkerSecrets(model, client, template)));
    return Promise.all(lines);
  });
  return [...(await Promise.all(general)), ...(await Promise.all(ofModels)).flat()];
}

/** Whether RunPod pulls images with an ECR token that a function renews. */
function isFromEcr(config: Target["config"]): boolean {
  const images = models.map((model) => config[model].imageUri);
  return config.registry.kind === "ecr" && images.some((uri) => uri === undefined || isPrivateEcr(uri));
}

/** Reads the resources that the checks share. A part that fails does not stop the others. */
async function readAccount(client: RunpodClient, config: Target["config"]): Promise<Account> {
  const unread = (error: unknown): Unread => ({ why: messageOf(error) });
  const template = async (model: Model) =>
    [model, await client.findTemplateByName(inferenceSettings(model, config).name)] as const;
  const [endpoints, templates, credentials] = await Promise.all([
    client.listEndpoints().catch(unread),
    Promise.all(models.map(template)).then(
      (pairs) => Object.fromEntries(pairs) as Record<Model, TemplateRecord | undefined>,
      unread,
    ),
    client.listRegistryAuths().catch(unread),
  ]);
  return { endpoints, templates, credentials };
}

/** Returns the only line of the report when nothing could be read from RunPod. */
function unreachable(url: string, why: string): Check {
  if (/410 Gone/.test(why)) return failed("RunPod API", why, "Then run the doctor again.");
  if (/refused/.test(why)) {
    const todo =
      "Make a key with All permissions in RunPod's console (Settings, API Keys), then: " +
      "pulumi config set --secret runpodApiKey. A key restricted to an endpoint cannot be used here.";
    return failed("key", why, todo);
  }
  const todo = "Check this machine's network and runpodApiUrl, and whether RunPod is up: https://uptime.runpod.io.";
  return failed("RunPod", `${url} cannot be reached: ${why}`, todo);
}

async function health({ config, apiKey }: Target, endpointId: string, timeoutMs: number) {
  const answer = await getHealth({ apiKey, url: config.runpodJobApiUrl, timeoutMs }, endpointId).catch(() => undefined);
  return answer?.health;
}
