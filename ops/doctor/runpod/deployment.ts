import type { EndpointRecord, TemplateRecord } from "../../../runpod/client";
import { parseImageName } from "../../../runpod/imageName";
import { splitOwnerTag } from "../../../runpod/ownerTag";
import { templateFields } from "../../../runpod/templateFields";
import type { RegistryImage } from "../aws/imageTags";
import { type Check, failed, ok, unknown, warning } from "../check";
import type { Version } from "./versions";

/**
 * Checks that exactly one endpoint of the stack has this name.
 *
 * @param version beginning of the check's name, such as `mistral` or `mistral candidate`
 * @returns the endpoint when found
 */
export function checkEndpoint(
  version: string,
  name: string,
  owner: string,
  endpoints: EndpointRecord[],
): { check: Check; endpoint: EndpointRecord | undefined } {
  const label = `${version} endpoint`;
  const named = endpoints.filter((each) => each.name === name);
  const own = named.filter((each) => each.owner === owner);
  const [endpoint] = own;
  const ids = (some: EndpointRecord[]) => some.map(({ id }) => id).join(", ");
  if (own.length > 1) {
    const todo = `Run "pulumi up": it keeps the endpoint in the state and deletes the others, which use up the quota.`;
    return { check: failed(label, `${own.length} endpoints are named ${name} (${ids(own)})`, todo), endpoint };
  }
  if (endpoint !== undefined) return { check: ok(label, `${name} (${endpoint.id})`), endpoint };
  if (named.length > 0) {
    const check = failed(label, notOurs(name, ids(named), named[0]?.owner, owner), repairTag("endpoint"));
    return { check, endpoint: undefined };
  }
  const seen = `RunPod has no endpoint named ${name}`;
  return { check: failed(label, seen, `Run "pulumi refresh", then "pulumi up".`), endpoint: undefined };
}

/** Checks that the stack's template exists and that the stack's endpoint uses it. */
export function checkTemplate(
  version: string,
  name: string,
  owner: string,
  template: TemplateRecord | undefined,
  endpoint: EndpointRecord | undefined,
): Check {
  const label = `${version} template`;
  const todo = `Run "pulumi refresh", then "pulumi up".`;
  if (template === undefined) return failed(label, `RunPod has no template named ${name}`, todo);
  const maker = splitOwnerTag(template.env).owner;
  if (maker !== owner) {
    return failed(label, notOurs(name, template.id, maker, owner), repairTag("template"));
  }
  if (endpoint !== undefined && endpoint.templateId !== template.id) {
    const other = endpoint.templateId || "an unknown template";
    return failed(label, `endpoint ${endpoint.id} runs ${other} instead of ${template.id}`, todo);
  }
  return ok(label, `${name} (${template.id})${endpoint ? ", used by its endpoint" : ""}`);
}

/** Finding for a resource without the stack's owner tag. */
function notOurs(name: string, id: string, maker: string | undefined, owner: string): string {
  const tag = maker === undefined ? "no owner tag" : `the owner tag of ${maker}`;
  return `${name} (${id}) has ${tag}, not that of ${owner}`;
}

/** Next step for a resource without the stack's owner tag. A resource in the stack's state gets its tag back. */
function repairTag(kind: "template" | "endpoint"): string {
  return (
    `Run "pulumi up --refresh": it restores the tag if this stack created the ${kind}. If it says that the ${kind} belongs to ` +
    `somebody else, rename or delete that ${kind} in RunPod's console, then run "pulumi up".`
  );
}

/**
 * Checks that a template's image is the configured one and has an immutable name.
 *
 * @param image the image in private ECR; undefined for another registry
 */
export function checkImage(
  { label: version, model, key, image: { imageTag, imageUri } }: Omit<Version, "settings">,
  imageName: string,
  image: RegistryImage | undefined,
): Check {
  const label = `${version} image`;
  if (!templateFields.imageName.safeParse(imageName).success) {
    const todo = `Push it under a tag that names one build, set ${key}.imageTag or ${key}.imageUri, and run "pulumi up".`;
    return failed(label, `${imageName}: the tag can move, so hosts with a cached image run old code`, todo);
  }
  if (image === "missing") {
    const todo = imageUri
      ? "Push the image again, or set another imageUri."
      : `Set a new ${key}.imageTag, and run "pulumi up".`;
    return failed(label, `the registry does not have ${imageName}: no new worker can pull it`, todo);
  }
  if (imageUri !== undefined) {
    if (imageName === imageUri) return ok(label, imageName);
    return warning(label, `${imageName}, but the configuration says ${imageUri}`, `Run "pulumi up --refresh".`);
  }
  const { reference } = parseImageName(imageName);
  if (image && "why" in image)
    return unknown(
      label,
      `${imageName}: its tags cannot be read from ECR: ${image.why}`,
      "Sign in to AWS, or set AWS_PROFILE.",
    );
  const known = image?.tags ?? [reference];
  // The format of the tags that the program pushes.
  const wanted = `${model}-${imageTag}`;
  if (known.includes(wanted)) return ok(label, `${wanted}: ${imageName}`);
  return warning(
    label,
    `${imageName} is ${known.join(", ") || "untagged"}, but the configuration says ${wanted}`,
    // Somebody may have changed the image by hand. Only a refresh detects this.
    `Run "pulumi up --refresh".`,
  );
}

/** Finds endpoints with the stack's owner tag that the program does not manage. They take workers from the quota. */
export function checkLeakedEndpoints(names: string[], owner: string, endpoints: EndpointRecord[]): Check {
  const label = "leaked endpoints";
  const others = endpoints.filter((each) => each.owner === owner && !names.includes(each.name));
  if (others.length === 0) return ok(label, "no other endpoint has the stack's owner tag");
  const list = others.map(({ name, id, workersMax }) => `${name} (${id}, workersMax ${workersMax})`).join(", ");
  return warning(
    label,
    list,
    "Delete them in RunPod's console, unless a running pulumi up will delete them: they take workers from the quota.",
  );
}
