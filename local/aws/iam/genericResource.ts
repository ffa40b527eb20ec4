import { PROJECT } from "../../../names";

/**
 * Converts an ARN, or a policy's pattern of ARNs, to a form that is the same in every stack, Region and account:
 * `table/users`, `parameter/stripe-api-key`, `foundation-model/<model>`. Removes the prefix and the random suffix of
 * names, and ids that AWS chooses. Keeps a Region that is not the stack's: `us-east-1:foundation-model/<model>`.
 */
export function genericResource(arn: string, { stack, region }: { stack: string; region: string }): string {
  const [, , , arnRegion, , ...rest] = arn.split(":");
  if (rest.length === 0) return arn;
  const resource = rest
    .join(":")
    .replaceAll(`${PROJECT}-${stack}-`, "")
    .replaceAll(`/${PROJECT}/${stack}/`, "/")
    .replaceAll(/-[0-9a-f]{7}(?=$|[/:])/g, "")
    .replace(/^userpool\/.*/, "userpool/<pool>")
    .replace(/^inference-profile\/.*/, "inference-profile/<profile>")
    .replace(/^foundation-model\/.*/, "foundation-model/<model>");
  return arnRegion && arnRegion !== region ? `${arnRegion}:${resource}` : resource;
}
