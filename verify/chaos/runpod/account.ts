import { createHash } from "node:crypto";
import { models } from "../../../contract/plan";
import type { RunpodAccount } from "../../../local/runpod/account/account";
import { OWNER_TAG, TEMPLATE_TAG } from "../../../runpod/ownerTag";
import { owner, type Wanted, type WantedModel } from "./wanted";

/** What of an account is the stack's: a template by its mark, an endpoint by that of the template it runs, a credential by its name. */
function ownOf(account: RunpodAccount) {
  const isMarked = (id: string) =>
    account.template(id)?.env.some(({ key, value }) => key === OWNER_TAG && value === owner);
  return {
    // What REST copies for an endpoint comes and goes with the endpoint.
    templates: account.templates.filter(({ id, isCopy }) => !isCopy && isMarked(id)),
    endpoints: account.endpoints.filter(({ templateId }) => isMarked(templateId)),
    registryAuths: account.registryAuths.filter(({ name }) => name.startsWith("snack-misaki-chaos-")),
  };
}

/** Ids of what the stack has in an account. */
export function ownIds(account: RunpodAccount): string[] {
  return Object.values(ownOf(account)).flatMap((all) => all.map(({ id }) => id));
}

/** Names of the stack's that there are more than once. */
export function duplicatesIn(account: RunpodAccount): string[] {
  return Object.entries(ownOf(account)).flatMap(([kind, all]) => {
    const names = all.map(({ name }) => name);
    return names.filter((name, at) => names.indexOf(name) !== at).map((name) => `${kind} ${name}`);
  });
}

/** In what an account is not as a program says; nothing when it is. */
export function differences(account: RunpodAccount, wanted: Wanted): string[] {
  const { templates, endpoints, registryAuths } = ownOf(account);
  const [auth, ...others] = registryAuths;
  const hash = createHash("sha256").update(`${auth?.id}:${wanted.registry.password}`).digest("hex");
  const isRight = others.length === 0 && auth?.name === wanted.registry.name && auth.passwordHash === hash;
  const found = isRight ? [] : ["the registry's credentials"];
  const count = models.filter((model) => wanted.models[model]).length;
  if (templates.length !== count) found.push(`${templates.length} templates in place of ${count}`);
  if (endpoints.length !== count) found.push(`${endpoints.length} endpoints in place of ${count}`);

  for (const each of models.flatMap((model) => wanted.models[model] ?? [])) {
    const template = templates.find(({ name }) => name === each.name);
    const endpoint = endpoints.find(({ name }) => name === each.name);
    const running = account.template(endpoint?.templateId ?? "");
    const expected = container(each, auth?.id ?? "");
    if (!template || show(container(seen(template), template.containerRegistryAuthId)) !== show(expected))
      found.push(`template ${each.name}`);
    if (!running || show(container(seen(running), running.containerRegistryAuthId)) !== show(expected))
      found.push(`what endpoint ${each.name} runs`);
    const isScaled =
      endpoint?.workersMax === each.workersMax &&
      endpoint.idleTimeout === each.idleTimeoutSeconds &&
      show((endpoint.gpuIds ?? "").split(",").sort()) === show(each.gpuIds.toSorted());
    if (!isScaled) found.push(`endpoint ${each.name}`);
  }
  return found;
}

/** What workers run, in one order. */
function container({ imageName, env }: Pick<WantedModel, "imageName" | "env">, registryAuthId?: string | null) {
  const variables = Object.entries(env).filter(([key]) => key !== OWNER_TAG && key !== TEMPLATE_TAG);
  return { imageName, env: variables.sort(([one], [other]) => (one < other ? -1 : 1)), registryAuthId };
}

function seen({ imageName, env }: { imageName?: string | null; env: { key: string; value: string }[] }) {
  return { imageName: imageName ?? "", env: Object.fromEntries(env.map(({ key, value }) => [key, value])) };
}

function show(value: unknown): string {
  return JSON.stringify(value);
}
