import * as pulumi from "@pulumi/pulumi";
import * as aws from "./aws";

/**
 * Gives every IAM role of the program a permissions boundary. Call it before the first resource. A change of the boundary
 * updates the roles in place.
 *
 * @param boundary ARN of the policy; undefined leaves the roles without a boundary
 */
export function limitRoles(boundary: string | undefined): void {
  if (boundary === undefined) return;
  pulumi.runtime.registerStackTransformation(({ resource, props, opts }) =>
    resource instanceof aws.iam.Role ? { props: { ...props, permissionsBoundary: boundary }, opts } : undefined,
  );
}
