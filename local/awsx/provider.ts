/**
 * Entry point of the awsx provider, with the components that the program uses. The provider is a separate process,
 * because the component server of Pulumi's SDK takes over the whole process. It prints its gRPC port on the first line.
 * It ends when its parent closes standard input.
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

/** Placeholder until a Pulumi engine attaches and sends its address. Nothing listens at this address. */
const NO_ENGINE = "127.0.0.1:1";

process.stdin.on("end", () => process.exit()).resume();

void main(
  {
    version,
    schema: JSON.stringify({ name: "awsx", version }),
    async construct(name, type, inputs, options) {
      const make = components[type];
      if (make === undefined) {
        throw new Error(
          `The local cloud does not support ${type}. It supports: ${Object.keys(components).join(", ")}.`,
        );
      }
      const { component, state } = make(name, inputs, options);
      return { urn: component.urn, state };
    },
  },
  [NO_ENGINE],
);
