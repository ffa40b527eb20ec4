/** A permission with a `*` that IAM needs. */
interface KnownWildcard {
  action: string;
  /** Resource in a policy. It must match as a whole. */
  resource: RegExp;
  /** Why the permission cannot be narrower. */
  reason: string;
}

/** The only permissions of functions and schedules that may contain a `*`. */
const knownWildcards: KnownWildcard[] = [
  {
    action: "ecr:GetAuthorizationToken",
    resource: /^\*$/,
    reason: "IAM cannot restrict this action to a resource. The token can only do what its role may do.",
  },
  ...["logs:CreateLogStream", "logs:PutLogEvents"].map((action) => ({
    action,
    resource: /\blog-group:[^*]+:\*$/,
    reason: "Lambda chooses the names of the streams in the function's own log group.",
  })),
  ...["ssm:GetParameters", "ssm:PutParameter"].map((action) => ({
    action,
    resource: /\bparameter\/[^*]*candidates\/\*$/,
    reason: "The models' candidates are the only parameters under this path, and most of them do not exist.",
  })),
];

/** Whether an action or a resource of a policy contains a `*` or a `?`. */
export function isWildcard(action: string, resource: string): boolean {
  return /[*?]/.test(action + resource);
}

/** The reason for a known wildcard; undefined for an unknown one. */
export function reasonOf(action: string, resource: string): string | undefined {
  return knownWildcards.find((known) => known.action === action && known.resource.test(resource))?.reason;
}
