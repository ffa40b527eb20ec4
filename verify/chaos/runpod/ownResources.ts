import { createHash } from "node:crypto";
import { models } from "../../../contract/plan";
import type { RunpodAccount } from "../../../local/runpod/account/account";
import { OWNER_TAG, TEMPLATE_TAG } from "../../../runpod/ownerTag";
import { type DeclaredModel, type DeclaredStack, environmentOf, owner } from "./declaredStack";

/**
 * The stack's resources in an account: templates with the stack's owner tag, endpoints that run such a template, and
 * credentials and secrets whose name starts with the stack's name.
 */
function ownOf(account: RunpodAccount) {
  const hasOwnerTag = (id: string) =>
    account.template(id)?.env.some(({ key, value }) => key === OWNER_TAG && value === owner);
  return {
    // RunPod's REST API copies the template for each endpoint, and deletes the copy with the endpoint.
    templates: account.templates.filter(({ id, isCopy }) => !isCopy && hasOwnerTag(id)),
    endpoints: account.endpoints.filter(({ templateId }) => hasOwnerTag(templateId)),
    registryAuths: account.registryAuths.filter(({ name }) => name.startsWith("snack-misaki-chaos-")),
    secrets: account.secrets.all.filter(({ name }) => name.startsWith("snack-misaki-chaos-")),
  };
}

/** Ids of the stack's resources in an account. */
export function ownIds(account: RunpodAccount): string[] {
  return Object.values(ownOf(account)).flatMap((all) => all.map(({ id }) => id));
}

/** Names that two or more of the stack's resources share. */
export function duplicatesIn(account: RunpodAccount): string[] {
  return Object.entries(ownOf(account)).flatMap(([kind, all]) => {
    const names = all.map(({ name }) => name);
    return names.filter((name, at) => names.indexOf(name) !== at).map((name) => `${kind} ${name}`);
  });
}

/** Differences between an account and the declared stack. Empty when the account matches the declared stack. */
export function differences(account: RunpodAccount, declared: DeclaredStack): string[] {
  const { templates, endpoints, registryAuths, secrets } = ownOf(account);
  const [auth, ...others] = registryAuths;
  const hash = createHash("sha256").update(`${auth?.id}:${declared.registry.password}`).digest("hex");
  const isRight = others.length === 0 && auth?.name === declared.registry.name && auth.passwordHash === hash;
  const found = isRight ? [] : ["registry credentials differ"];
  const secretValues = secrets.map(({ name, value }) => ({ name, value }));
  if (show(secretValues) !== show(declared.secret ? [declared.secret] : [])) found.push("secrets differ");
  const count = models.filter((model) => declared.models[model]).length;
  if (templates.length !== count) found.push(`${templates.length} templates, expected ${count}`);
  if (endpoints.length !== count) found.push(`${endpoints.length} endpoints, expected ${count}`);

  for (const each of models.flatMap((model) => declared.models[model] ?? [])) {
    const template = templates.find(({ name }) => name === each.name);
    const endpoint = endpoints.find(({ name }) => name === each.name);
    const running = account.template(endpoint?.templateId ?? "");
    const expected = container({ ...each, env: environmentOf(each, declared) }, auth?.id ?? "");
    if (!template || show(container(seen(template), template.containerRegistryAuthId)) !== show(expected))
      found.push(`template ${each.name} differs`);
    if (!running || show(container(seen(running), running.containerRegistryAuthId)) !== show(expected))
      found.push(`template of endpoint ${each.name} differs`);
    const isScaled =
      endpoint?.workersMax === each.workersMax &&
      endpoint.idleTimeout === each.idleTimeoutSeconds &&
      show((endpoint.gpuIds ?? "").split(",").sort()) === show(each.gpuIds.toSorted());
    if (!isScaled) found.push(`endpoint ${each.name} differs`);
  }
  return found;
}

/** Settings of the workers' container, in a fixed order. */
function container({ imageName, env }: Pick<DeclaredModel, "imageName" | "env">, registryAuthId?: string | null) {
  const variables = Object.entries(env).filter(([key]) => key !== OWNER_TAG && key !== TEMPLATE_TAG);
  return { imageName, env: variables.sort(([one], [other]) => (one < other ? -1 : 1)), registryAuthId };
}

function seen({ imageName, env }: { imageName?: string | null; env: { key: string; value: string }[] }) {
  return { imageName: imageName ?? "", env: Object.fromEntries(env.map(({ key, value }) => [key, value])) };
}

function show(value: unknown): string {
  return JSON.stringify(value);
}
