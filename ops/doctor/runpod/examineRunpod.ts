import { apis } from "../../../runpod/apis";
import type { EndpointRecord, RegistryAuthRecord, RunpodClient, TemplateRecord } from "../../../runpod/client";
import { messageOf } from "../../../runpod/error";
import { getHealth } from "../../../runpod/health";
import type { Listing } from "../../../runpod/nullable";
import { type WorkerMonitor, workerMonitor } from "../../../runpod/workers";
import { readImage } from "../aws/imageTags";
import { attempt, type Check, failed, unknown } from "../check";
import { secretTodo } from "../secrets";
import type { Target } from "../target";
import { checkAccount, checkKey } from "./account";
import { checkBrowserAccess } from "./browser";
import { checkControlPlane } from "./controlPlane";
import { checkEndpoint, checkImage, checkLeakedEndpoints, checkTemplate } from "./deployment";
import { checkDrift } from "./drift";
import { checkQuota } from "./quota";
import { checkRegistry } from "./registry";
import { versionsOf } from "./versions";
import { checkWorkerSecrets } from "./workerSecrets";
import { checkVersion, checkWorkers, readWorkers } from "./workers";

/** The account's resources. A part that could not be read holds the reason instead. */
interface Account {
  endpoints: EndpointRecord[] | Unread;
  /** Templates of the versions, by name. */
  templates: Record<string, TemplateRecord | undefined> | Unread;
  credentials: Listing<RegistryAuthRecord> | Unread;
}
interface Unread {
  why: string;
}

/** Options of the doctor. */
export interface ExamineOptions {
  /** Timeout of one call. */
  timeoutMs: number;
  /** Time to read the log of a worker that is not ready. Default: that of the worker monitor. */
  logMs: number | undefined;
}

/** Checks every part of a stack at RunPod. */
export async function examineRunpod(target: Target, { timeoutMs, logMs }: ExamineOptions): Promise<Check[]> {
  const { config, apiKey } = target;
  if (typeof apiKey !== "object") {
    const seen =
      apiKey === undefined
        ? "runpodApiKey is not set in the stack's file"
        : "runpodApiKey is encrypted in the stack's file, and the pulumi command could not read it";
    return [unknown("RunPod", seen, secretTodo(apiKey, "runpodApiKey", "RUNPOD_API_KEY", config.stack))];
  }
  const options = { apiKey: apiKey.key, url: config.runpodApiUrl, timeoutMs };
  const client = apis[config.runpodApi](options);
  const monitor = workerMonitor({ ...options, ...(logMs && { logMs }) }, config.runpodJobApiUrl, client);
  return examineThrough(target, apiKey.key, client, monitor, timeoutMs);
}

async function examineThrough(
  target: Target,
  apiKey: string,
  client: RunpodClient,
  monitor: WorkerMonitor,
  timeoutMs: number,
): Promise<Check[]> {
  const { config, owner } = target;
  const versions = versionsOf(config);
  const names = versions.map(({ settings }) => settings.name);
  const account = await readAccount(client, names);
  const unread = Object.entries(account).flatMap(([what, read]) => ("why" in read ? [{ what, why: read.why }] : []));
  if (unread.length === Object.keys(account).length) return [unreachable(config.runpodApiUrl, unread[0]?.why ?? "")];

  const general: Promise<Check[]>[] = [
    attempt("RunPod API", again, () => checkControlPlane(client, config.runpodApi)),
    attempt("account", again, () => checkAccount(client)),
    attempt("key", again, () => checkKey(client, unread)),
  ];
  const { endpoints, templates, credentials } = account;
  if ("why" in endpoints) return (await Promise.all(general)).flat();
  const asked = Object.fromEntries(versions.map(({ settings: { name, endpoint } }) => [name, endpoint.workersMax]));
  general.push(
    attempt("worker quota", again, () => checkQuota(client, endpoints, asked, config.runpodWorkerQuota)),
    Promise.resolve([checkLeakedEndpoints(names, owner, endpoints)]),
  );

  const found = versions.map((version) => ({
    version,
    ...checkEndpoint(version.label, version.settings.name, owner, endpoints),
  }));
  const ids = found.flatMap(({ version, endpoint }) => (endpoint ? [[version.key, endpoint.id]] : []));
  const called = { target, apiKey, endpointIds: Object.fromEntries(ids), timeoutMs };
  const ofVersion = async ({ version, check, endpoint }: (typeof found)[number]) => {
    const { label, model } = version;
    const { name, ...declared } = version.settings;
    const lines: (Check | Promise<Check>)[] = [check];
    const template = "why" in templates ? undefined : templates[name];
    if (!("why" in templates)) lines.push(checkTemplate(label, name, owner, template, endpoint));
    if (template) {
      const { imageName } = template;
      lines.push(readImage(imageName, target.aws).then((image) => checkImage(version, imageName, image)));
    }
    const seen =
      endpoint &&
      (await readWorkers(monitor, endpoint.id, health(config.runpodJobApiUrl, apiKey, endpoint.id, timeoutMs)));
    if (template && !("why" in credentials)) {
      lines.push(checkRegistry(label, config, template, credentials, seen?.problems ?? []));
    }
    if (endpoint && seen) {
      lines.push(checkVersion(label, seen), checkWorkers(label, endpoint, seen));
      lines.push(checkDrift(label, declared, { endpoint, template }));
    }
    // Browsers call only the released endpoint.
    if (version.key === model) lines.push(...checkBrowserAccess(model, called));
    if (template) lines.push(...(await checkWorkerSecrets(label, client, template)));
    return Promise.all(lines);
  };
  const ofVersions = found.map((one) => attempt(one.version.label, again, () => ofVersion(one)));
  return (await Promise.all([...general, ...ofVersions])).flat();
}

/** Reads the resources that the checks share. A part that fails does not stop the others. */
async function readAccount(client: RunpodClient, names: string[]): Promise<Account> {
  const unread = (error: unknown): Unread => ({ why: messageOf(error) });
  const template = async (name: string) => [name, await client.findTemplateByName(name)] as const;
  const [endpoints, templates, credentials] = await Promise.all([
    client.listEndpoints().catch(unread),
    Promise.all(names.map(template)).then(Object.fromEntries<TemplateRecord | undefined>, unread),
    client.listRegistryAuths().catch(unread),
  ]);
  return { endpoints, templates, credentials };
}

const again = "Run the doctor again. Is RunPod up? https://uptime.runpod.io";

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

async function health(url: string, apiKey: string, endpointId: string, timeoutMs: number) {
  const answer = await getHealth({ apiKey, url, timeoutMs }, endpointId).catch(() => undefined);
  return answer?.health;
}
