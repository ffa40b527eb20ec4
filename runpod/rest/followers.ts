import type { TemplateRecord } from "../client";
import { splitOwnerTag, TEMPLATE_TAG } from "../ownerTag";
import { containerBody, type RestEndpoint } from "./records";

/**
 * Whether an endpoint runs the container of a template. RunPod adds its own variables to an endpoint's environment, so
 * only the template's variables count. RunPod sometimes omits the image and the disk of an endpoint, so missing values
 * count as equal.
 */
export function runsTemplate(endpoint: RestEndpoint, template: TemplateRecord): boolean {
  return (
    ["", template.imageName].includes(endpoint.image) &&
    endpoint.args === template.dockerArgs &&
    [0, template.containerDiskInGb].includes(endpoint.disk) &&
    endpoint.registry === template.containerRegistryAuthId &&
    Object.entries(template.env).every(([key, value]) => key === TEMPLATE_TAG || endpoint.env[key] === value)
  );
}

/**
 * Whether the program must also write a change of the template to the endpoint. An endpoint from REST v2 has a tag with
 * the id of its template. An endpoint from GraphQL has no such tag, so its owner and container must be equal to the
 * owner and container of the template.
 */
export function followsTemplate(endpoint: RestEndpoint, template: TemplateRecord): boolean {
  const templateId = endpoint.env[TEMPLATE_TAG];
  if (templateId !== undefined) return templateId === template.id;
  const { owner } = splitOwnerTag(endpoint.env);
  return owner !== undefined && owner === splitOwnerTag(template.env).owner && runsTemplate(endpoint, template);
}

/**
 * Request body with a template's container, for an endpoint that follows the template. It includes the tag with the
 * template's id.
 */
export function followerBody({ id: templateId, ...settings }: TemplateRecord) {
  const body = containerBody(settings);
  return { ...body, env: { ...body.env, [TEMPLATE_TAG]: templateId } };
}
