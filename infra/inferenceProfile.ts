/**
 * Regions to which an inference profile of each geography may route a request. A Region in which a profile has no model
 * does no harm. Source: https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
 */
export const destinationRegions = {
  us: ["us-east-1", "us-east-2", "us-west-1", "us-west-2"],
  eu: ["eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3"],
  apac: [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-4",
  ],
  jp: ["ap-northeast-1", "ap-northeast-3"],
  au: ["ap-southeast-2", "ap-southeast-4"],
  // The empty Region stands for every Region.
  global: [""],
} as const satisfies Record<string, readonly string[]>;

export type Geography = keyof typeof destinationRegions;

/** Prefixes of the inference profiles' ids. */
export const geographies = Object.keys(destinationRegions) as Geography[];

/** Matches the id of an inference profile, such as `jp.<vendor>.<model>`, or its ARN. */
export const inferenceProfile = new RegExp(
  `^(?:arn:aws:bedrock:[a-z0-9-]+:\\d{12}:inference-profile/)?(${geographies.join("|")})\\.([\\w-]+\\.[\\w.:-]+)$`,
);
