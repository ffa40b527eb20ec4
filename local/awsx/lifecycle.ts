/** A rule as awsx.ecr takes it. */
export interface LifecycleRule {
  description?: string;
  tagStatus: "any" | "tagged" | "untagged";
  tagPrefixList?: string[];
  /** Days since the push. */
  maximumAgeLimit?: number;
  maximumNumberOfImages?: number;
}

/** What awsx keeps where the program says nothing: one untagged image. */
const DEFAULT_RULES: LifecycleRule[] = [
  { description: "remove untagged images", tagStatus: "untagged", maximumNumberOfImages: 1 },
];

/**
 * The ECR policy document for awsx's rules, the `any` rule last because ECR wants it so.
 *
 * @throws Error when a rule has no limit, a `tagged` rule no prefixes, or two rules are `any`
 */
export function lifecyclePolicyDocument(rules: LifecycleRule[] = DEFAULT_RULES): string {
  const any = rules.filter(({ tagStatus }) => tagStatus === "any");
  if (any.length > 1) throw new Error("lifecyclePolicy.rules: at most one may have tagStatus any");
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
  if (tagPrefixList.length === 0) throw new Error("lifecyclePolicy.rules: tagPrefixList must not be empty");
  return { tagStatus, tagPrefixList };
}

function count({ maximumNumberOfImages, maximumAgeLimit }: LifecycleRule) {
  if (maximumNumberOfImages !== undefined)
    return { countType: "imageCountMoreThan", countNumber: maximumNumberOfImages };
  if (maximumAgeLimit !== undefined)
    return { countType: "sinceImagePushed", countNumber: maximumAgeLimit, countUnit: "days" };
  throw new Error("lifecyclePolicy.rules: each needs maximumNumberOfImages or maximumAgeLimit");
}
