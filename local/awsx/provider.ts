/**
 * The awsx package as far as the program uses it, in a process of its own, because the SDK's component server takes a
 * process over. Prints its gRPC port first. Ends with its parent, whose pipe is its standard input.
 */
import { version } from "@pulumi/awsx/package.json";
import type { ComponentResource, ComponentResourceOptions, Inputs } from "@pulumi/pulumi";
import { main } from "@pulumi/pulumi/provider";
import { Image, Repository } from "./ecr";

type Component = ComponentResource & { urn: ComponentResource["urn"] };

const components: Record<
  string,
  (name: string, inputs: Inputs, options: ComponentResourceOptions) => { component: Component; state: Inputs }
> = {
  "awsx:ecr:Repository": (name, inputs, options) => {
    const component = new Repository(name, inputs, options);
    const { repository, lifecyclePolicy, url } = component;
    return { component, state: { repository, lifecyclePolicy, url } };
  },
  "awsx:ecr:Image": (name, inputs, options) => {
    const component = new Image(name, inputs, options);
    return { component, state: { imageUri: component.imageUri } };
  },
};

/** Where log lines go until an engine attaches and names its own address: nothing listens there. */
const NO_ENGINE = "127.0.0.1:1";

process.stdin.on("end", () => process.exit()).resume();

void main(
  {
    version,
    schema: JSON.stringify({ name: "awsx", version }),
    async construct(name, type, inputs, options) {
      const make = components[type];
      if (make === undefined) {
        throw new Error(`The local cloud has no body for ${type}. It has: ${Object.keys(components).join(", ")}.`);
      }
      const { component, state } = make(name, inputs, options);
      return { urn: component.urn, state };
    },
  },
  [NO_ENGINE],
);
