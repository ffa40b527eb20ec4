type Values = Record<string, string>;

/** A statement of a policy, as the programs of this repository write it. */
interface Statement {
  Effect: "Allow" | "Deny";
  Action: string[];
  Resource?: string[];
  NotResource?: string[];
  Condition?: Record<string, Record<string, string | string[]>>;
}

/**
 * Decides like IAM whether a policy allows an action. A statement must allow the action, and no statement may deny it.
 *
 * @param context values of the condition keys, such as `aws:ResourceTag/stack`
 */
export function allows(statements: Statement[], action: string, resource: string, context: Values = {}): boolean {
  const effects = statements
    .filter(({ Action }) => Action.some((pattern) => matches(pattern, action)))
    .filter(({ Resource, NotResource = [] }) =>
      Resource
        ? Resource.some((pattern) => matches(pattern, resource))
        : !NotResource.some((pattern) => matches(pattern, resource)),
    )
    .filter(({ Condition = {} }) => holds(Condition, context))
    .map(({ Effect }) => Effect);
  return effects.includes("Allow") && !effects.includes("Deny");
}

function matches(pattern: string, text: string): boolean {
  return new RegExp(`^${pattern.replaceAll("*", ".*")}$`).test(text);
}

function holds(condition: NonNullable<Statement["Condition"]>, context: Values): boolean {
  return Object.entries(condition).every(([operator, keys]) =>
    Object.entries(keys).every(([key, wanted]) => compare(operator, context[key], [wanted].flat())),
  );
}

/** A key without a value makes a comparison false. It makes a negated comparison, and one with `IfExists`, true. */
function compare(operator: string, value: string | undefined, wanted: string[]): boolean {
  const isAny = value !== undefined && wanted.some((pattern) => matches(pattern, value));
  switch (operator) {
    case "StringEquals":
      return isAny;
    case "StringEqualsIfExists":
    case "ForAllValues:StringEquals":
      return isAny || value === undefined;
    case "StringNotEquals":
    case "ArnNotLike":
      return !isAny;
    case "Null":
      return wanted.includes(String(value === undefined));
    default:
      throw new Error(`The test does not know the operator ${operator}`);
  }
}
