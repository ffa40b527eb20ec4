import { DescribeImagesCommand, ECRClient } from "@aws-sdk/client-ecr";
import { isPrivateEcr, parseImageName } from "../../runpod/imageName";
import { type Aws, awsClient } from "./aws";

/**
 * Reads the tags of an image that is named by digest. The program names its own images by digest.
 *
 * @returns undefined when the name already has a tag, the image is not in private ECR, or AWS does not return its tags
 */
export async function imageTags(imageName: string, aws: Aws): Promise<string[] | undefined> {
  const { host, repository, reference } = parseImageName(imageName);
  if (!isPrivateEcr(imageName) || !reference.startsWith("sha256:")) return undefined;
  const [registryId, , , region = aws.region] = host.split(".");
  const command = new DescribeImagesCommand({
    registryId,
    repositoryName: repository,
    imageIds: [{ imageDigest: reference }],
  });
  try {
    const { imageDetails } = await new ECRClient(awsClient("ecr", { ...aws, region })).send(command);
    return imageDetails?.[0]?.imageTags ?? [];
  } catch {
    return undefined;
  }
}
