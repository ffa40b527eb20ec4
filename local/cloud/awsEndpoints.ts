import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { VipProvider } from "../../contract/relay";
import type { AwsCloud } from "../aws/cloud";
import type { Ports } from "../support/ports";
import { JsonFile } from "../support/store";
import type { ImageTags } from "./imageTags";

/** Credentials that the local AWS accepts. */
export const localCredentials = { accessKeyId: "local", secretAccessKey: "local" };

/**
 * Addresses of the local cloud: URLs of AWS by service, base URLs of the external LLMs, and all other ports. Also
 * contains the image tags of the stack, because they differ from the tags in `Pulumi.local.yaml`.
 */
export type Endpoints = AwsCloud["endpoints"] & {
  cognito: string;
  providers: Record<VipProvider, string>;
  ports: Ports;
  imageTags: ImageTags;
};

/** Stores the URLs in the folder of the local cloud's state, for commands that use AWS's clients. */
export function writeAwsEndpoints(dir: string, endpoints: Endpoints): void {
  const file = new JsonFile(fileIn(dir), endpoints);
  file.data = endpoints;
  file.save();
}

/**
 * Reads the stored URLs.
 *
 * @throws Error with the next step when the local cloud has not been started
 */
export function readAwsEndpoints(dir: string): Endpoints {
  const file = fileIn(dir);
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    throw new Error(`${file} cannot be read. Run npm start first, or name a stack with --stack.`);
  }
}

function fileIn(dir: string): string {
  return join(dir, "aws", "endpoints.json");
}
