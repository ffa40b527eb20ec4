import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AwsCloud } from "../aws/cloud";

/**
 * Where AWS's own clients find the services of the local cloud that keeps everything in that folder.
 *
 * @throws Error that says to start it
 */
export function readAwsEndpoints(dir: string): AwsCloud["endpoints"] {
  const file = join(dir, "aws", "endpoints.json");
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    throw new Error(`${file} cannot be read. Run npm start first, or name a stack with --stack.`);
  }
}
