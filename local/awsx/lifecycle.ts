/** A lifecycle rule of awsx.ecr. */
export interface LifecycleRule {
  description?: string;
  tagStatus: "any" | "tagged" | "untagged";
  tagPrefixList?: string[];
  /** Maximum age in days since the push. */
  maximumAgeLimit?: number;
  maximumNumberOfImages?: number;
}

/** Default rules of awsx: keep one untagged image. */
const DEFAULT_RULES: LifecycleRule[] = [
  { description: "remove untagged images", tagStatus: "untagged", maximumNumberOfImages: 1 },
];

/**
 * Converts awsx's rules to an ECR policy document. Puts the `any` rule at the end, as ECR requires.
 *
 * @throws Error when a rule has no limit, a `tagged` rule has no prefixes, or more than one rule has the tag status
 *   `any`
 */
export function lifecyclePolicyDocument(rules: LifecycleRule[] = DEFAULT_RULES): string {
  const any = rules.filter(({ tagStatus }) => tagStatus === "any");
  if (any.length > 1) throw new Error("lifecyclePolicy.rules: at most one rule may have tagStatus any");
  const ordered = [...rules.filter(({ tagStatus }) => tagStatus !== "any"), ...any];
  return JSON.stringify({
    rules: ordered.map((rule, index) => ({
      rulePriority: index + 1,
      description: rule.description,
      selection: { ...tags(rule), ...count(rule) },
      action: { type: "expire" },
    })),
  });
}

function tags({ tagStatus, tagPrefixList = [] }: LifecycleRule) {
  if (tagStatus !== "tagged") return { tagStatus };
  if (tagPrefixList.length === 0)
    throw new Error("lifecyclePolicy.rules: tagPrefixList must not be empty with tagStatus tagged");
  return { tagStatus, tagPrefixList };
}

function count({ maximumNumberOfImages, maximumAgeLimit }: LifecycleRule) {
  if (maximumNumberOfImages !== undefined)
    return { countType: "imageCountMoreThan", countNumber: maximumNumberOfImages };
  if (maximumAgeLimit !== undefined)
    return { countType: "sinceImagePushed", countNumber: maximumAgeLimit, countUnit: "days" };
  throw new Error("lifecyclePolicy.rules: each rule needs maximumNumberOfImages or maximumAgeLimit");
}
