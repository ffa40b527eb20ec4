import { isObject } from "../../support/protocol/value";
import { wildcard } from "../iam/policy";

/** Whether a log line, parsed as JSON, matches a pattern. */
export type LineFilter = (line: unknown) => boolean;

/**
 * Parses the pattern of a metric filter: `{ $.member.member = "text" }`, where `*` in the text matches any characters
 * (https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html).
 *
 * @throws Error for any other pattern
 */
export function parsePattern(pattern: string): LineFilter {
  const [, selector, operator, value] = /^\{\s*(\$(?:\.\w+)+)\s*(=|!=)\s*"([^"]*)"\s*\}$/.exec(pattern) ?? [];
  if (selector === undefined || value === undefined) throw new Error(`Unsupported filter pattern ${pattern}`);
  const expected = wildcard(value);
  return (line) => {
    const found = select(line, selector);
    return typeof found === "string" && expected.test(found) === (operator === "=");
  };
}

/** Member of a line by a selector such as `$.message.alarm`. Undefined when the line has no such member. */
export function select(line: unknown, selector: string): unknown {
  let found = line;
  for (const member of selector.split(".").slice(1)) found = isObject(found) ? found[member] : undefined;
  return found;
}
