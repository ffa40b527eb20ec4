import { credentials } from "@grpc/grpc-js";
import callbackGrpc from "@pulumi/pulumi/proto/callback_grpc_pb";
import callback, { type Callback } from "@pulumi/pulumi/proto/callback_pb";
import resource from "@pulumi/pulumi/proto/resource_pb";
import structs from "google-protobuf/google/protobuf/struct_pb";
import { unlimited } from "../support/protocol/grpc";
import { collapseOutputs, mapValues } from "../support/protocol/value";
import { EngineError } from "./error";
import type { Goal } from "./goal";
import type { StackState } from "./state";

/** Parts of a resource that a transform can change. */
type Transformed = Pick<Goal, "inputs" | "ignoreChanges">;

/**
 * The transforms of a program. A transform is a function of the program. It changes the properties of a resource and of
 * its descendants, including the children of a remote component. Of the resource options, the local engine applies only
 * changes of `ignoreChanges`.
 */
export class Transforms {
  private readonly byUrn = new Map<string, Callback[]>();
  private readonly clients = new Map<string, InstanceType<typeof callbackGrpc.CallbacksClient>>();

  constructor(private readonly state: StackState) {}

  /** Stores the transforms of a resource. Call this method before a remote component is constructed. */
  add(urn: string, transforms: Callback[]): void {
    if (transforms.length > 0) this.byUrn.set(urn, transforms);
  }

  /** Applies the transforms of a resource, then the transforms of its ancestors, from the nearest to the farthest. */
  async apply(goal: Goal): Promise<Transformed> {
    let changed: Transformed = { inputs: goal.inputs, ignoreChanges: goal.ignoreChanges };
    for (const transform of this.of(goal)) changed = await this.invoke(transform, { ...goal, ...changed });
    return changed;
  }

  /** Closes the connections to the program. */
  close(): void {
    for (const client of this.clients.values()) client.close();
  }

  private of({ urn, parent }: Goal): Callback[] {
    const found: Callback[] = [];
    for (let next: string | undefined = urn; next; next = next === urn ? parent : this.state.get(next)?.parent)
      found.push(...(this.byUrn.get(next) ?? []));
    return found;
  }

  private async invoke(transform: Callback, goal: Goal): Promise<Transformed> {
    const { type, name, custom, parent, inputs, ignoreChanges } = goal;
    const request = new resource.TransformRequest().setType(type).setName(name).setCustom(custom);
    request.setParent(parent ?? "").setProperties(structs.Struct.fromJavaScript(inputs));
    request.setOptions(new resource.TransformResourceOptions().setIgnoreChangesList(ignoreChanges));
    const call = new callback.CallbackInvokeRequest().setToken(transform.getToken());
    call.setRequest(request.serializeBinary());
    const answer = await new Promise<Uint8Array>((resolve, reject) =>
      this.client(transform.getTarget()).invoke(call, (error, response) =>
        error ? reject(new EngineError(`transform failed: ${error.details}`)) : resolve(response.getResponse_asU8()),
      ),
    );
    const response = resource.TransformResponse.deserializeBinary(answer);
    const properties = response.getProperties();
    return {
      inputs: properties ? mapValues(properties.toJavaScript(), collapseOutputs) : inputs,
      ignoreChanges: response.getOptions()?.getIgnoreChangesList() ?? ignoreChanges,
    };
  }

  private client(target: string) {
    const client =
      this.clients.get(target) ?? new callbackGrpc.CallbacksClient(target, credentials.createInsecure(), unlimited);
    this.clients.set(target, client);
    return client;
  }
}
