import { DescribeImagesCommand, ECRClient } from "@aws-sdk/client-ecr";
import { messageOf } from "../../../runpod/error";
import { isPrivateEcr, parseImageName } from "../../../runpod/imageName";
import { type Aws, awsClient } from "../awsClient";

/** Image in a registry: its tags, `missing` when the registry does not have it, or the reason why it could not be read. */
export type RegistryImage = { tags: string[] } | "missing" | { why: string };

/**
 * Reads an image of private ECR. The program names its own images by digest, so that their tags are in the registry only.
 *
 * @returns undefined when the image is not in private ECR
 */
export async function readImage(imageName: string, aws: Aws): Promise<RegistryImage | undefined> {
  if (!isPrivateEcr(imageName)) return undefined;
  const { host, repository, reference } = parseImageName(imageName);
  const [registryId, , , region = aws.region] = host.split(".");
  const command = new DescribeImagesCommand({
    registryId,
    repositoryName: repository,
    imageIds: [reference.startsWith("sha256:") ? { imageDigest: reference } : { imageTag: reference }],
  });
  try {
    const { imageDetails } = await new ECRClient(awsClient("ecr", { ...aws, region })).send(command);
    return { tags: imageDetails?.[0]?.imageTags ?? [] };
  } catch (error) {
    if (error instanceof Error && /^(Image|Repository)NotFoundException$/.test(error.name)) return "missing";
    return { why: messageOf(error) };
  }
}
