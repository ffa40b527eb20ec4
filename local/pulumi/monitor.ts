import engineGrpc from "@pulumi/pulumi/proto/engine_grpc_pb";
import type { LogRequest, SetRootResourceRequest } from "@pulumi/pulumi/proto/engine_pb";
import engine from "@pulumi/pulumi/proto/engine_pb";
import provider from "@pulumi/pulumi/proto/provider_pb";
import resourceGrpc from "@pulumi/pulumi/proto/resource_grpc_pb";
import type {
  ReadResourceRequest,
  RegisterResourceOutputsRequest,
  RegisterResourceRequest,
  ResourceInvokeRequest,
  SupportsFeatureRequest,
} from "@pulumi/pulumi/proto/resource_pb";
import resource from "@pulumi/pulumi/proto/resource_pb";
import empty from "google-protobuf/google/protobuf/empty_pb";
import structs from "google-protobuf/google/protobuf/struct_pb";
import { serveGrpc, unary } from "../support/protocol/grpc";
import { collapseOutputs, mapValues } from "../support/protocol/value";
import type { Deployment, DeploymentContext } from "./deployment";
import { EngineError } from "./error";
import { goalOf, goalOfRead } from "./goal";
import type { EngineOptions } from "./options";
import { parallel } from "./program";
import type { StackState } from "./state";
import { Transforms } from "./transforms";
import { packageOf } from "./urn";

const { ResourceMonitorFeature: feature } = resource;

/** Features of this engine. Older SDKs request a feature by its name, newer SDKs by its number. */
const features = {
  secrets: feature.RESOURCE_MONITOR_FEATURE_SECRETS,
  resourceReferences: feature.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
  outputValues: feature.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES,
  aliasSpecs: feature.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
  transforms: feature.RESOURCE_MONITOR_FEATURE_TRANSFORMS,
};

/** The services that programs and component providers call. */
export interface Monitor {
  /** `127.0.0.1:<port>` of both services. */
  address: string;
  /** Errors that the program has reported. */
  errors: readonly string[];
  close(): Promise<void>;
}

/** Serves Pulumi's ResourceMonitor and Engine over gRPC, and translates their calls for the deployment. */
export async function serveMonitor(context: DeploymentContext, deployment: Deployment): Promise<Monitor> {
  const errors: string[] = [];
  let address = "";
  const transforms = new Transforms(context.state);
  const server = await serveGrpc([
    [resourceGrpc.ResourceMonitorService, monitorMethods(context, deployment, transforms, () => address)],
    [engineGrpc.EngineService, engineMethods(context.options, errors)],
  ]);
  address = `127.0.0.1:${server.port}`;
  const close = async () => {
    transforms.close();
    await server.close();
  };
  return { address, errors, close };
}

/** Methods of the ResourceMonitor. `address` returns the address where the monitor is served. */
function monitorMethods(
  context: DeploymentContext,
  deployment: Deployment,
  transforms: Transforms,
  address: () => string,
) {
  const { options, providers } = context;
  const { project, stack } = options;

  async function register(request: RegisterResourceRequest) {
    const goal = goalOf(request, project, stack);
    transforms.add(goal.urn, request.getTransformsList());
    const state = await deployment.register({ ...goal, ...(await transforms.apply(goal)) });
    return new resource.RegisterResourceResponse()
      .setUrn(state.urn)
      .setId(state.id)
      .setObject(structs.Struct.fromJavaScript(state.outputs));
  }

  async function construct(request: RegisterResourceRequest) {
    transforms.add(goalOf(request, project, stack).urn, request.getTransformsList());
    const target = await providers.get(packageOf(request.getType()));
    await target.attach(address());
    const constructed = await target.construct(constructRequest(request, context, address()));
    const response = new resource.RegisterResourceResponse();
    response.setUrn(constructed.getUrn());
    response.setObject(constructed.getState());
    for (const [property, dependencies] of constructed.getStatedependenciesMap().entries()) {
      const urns = new resource.RegisterResourceResponse.PropertyDependencies();
      response.getPropertydependenciesMap().set(property, urns.setUrnsList(dependencies.getUrnsList()));
    }
    return response;
  }

  return {
    getDeploymentInfo: unary(() => deploymentInfo(context)),
    supportsFeature: unary((request: SupportsFeatureRequest) =>
      new resource.SupportsFeatureResponse().setHassupport(request.getId() in features),
    ),
    registerPackage: unary(() => new resource.RegisterPackageResponse().setRef("default")),
    registerResource: unary((request: RegisterResourceRequest) =>
      request.getRemote() ? construct(request) : register(request),
    ),
    registerResourceOutputs: unary((request: RegisterResourceOutputsRequest) => {
      const outputs = request.getOutputs()?.toJavaScript() ?? {};
      deployment.registerOutputs(request.getUrn(), mapValues(outputs, collapseOutputs));
      return new empty.Empty();
    }),
    readResource: unary(async (request: ReadResourceRequest) => {
      const state = await deployment.read(goalOfRead(request, project, stack), request.getId());
      return new resource.ReadResourceResponse()
        .setUrn(state.urn)
        .setProperties(structs.Struct.fromJavaScript(state.outputs));
    }),
    invoke: unary(async (request: ResourceInvokeRequest) => {
      const token = request.getTok();
      const args = request.getArgs()?.toJavaScript() ?? {};
      const result =
        token === "pulumi:pulumi:getResource"
          ? getResource(context.state, String(args.urn))
          : await (await providers.get(packageOf(token))).invoke(token, args);
      return new resource.ResourceInvokeResponse().setReturn(structs.Struct.fromJavaScript(result));
    }),
    signalAndWaitForShutdown: unary(() => new empty.Empty()),
  };
}

/** Methods of the Engine. Appends the errors that the program logs to `errors`. */
function engineMethods({ onWarning }: EngineOptions, errors: string[]) {
  const { ERROR, WARNING } = engine.LogSeverity;
  let root = "";
  return {
    log: unary((request: LogRequest) => {
      const severity = request.getSeverity();
      if (severity === ERROR) errors.push(request.getMessage());
      if (severity === WARNING) onWarning?.(request.getMessage());
      return new empty.Empty();
    }),
    getRootResource: unary(() => new engine.GetRootResourceResponse().setUrn(root)),
    setRootResource: unary((request: SetRootResourceRequest) => {
      root = request.getUrn();
      return new engine.SetRootResourceResponse();
    }),
    startDebugging: unary(() => new empty.Empty()),
    requirePulumiVersion: unary(() => new engine.RequirePulumiVersionResponse()),
  };
}

function deploymentInfo({ options, dryRun }: DeploymentContext) {
  const { project, stack, config, secretKeys } = options;
  const info = new resource.DeploymentInfo();
  info.setProject(project).setStack(stack).setDryrun(dryRun).setParallel(parallel);
  info.setConfigsecretkeysList(secretKeys);
  for (const [key, value] of Object.entries(config)) info.getConfigMap().set(key, value);
  return info.setSupportedfeaturesList(Object.values(features));
}

/** Resolves a resource reference. This is the only function call that the engine handles without a provider. */
function getResource(state: StackState, urn: string) {
  const found = state.get(urn);
  if (!found) throw new EngineError(`resource ${urn} does not exist`);
  return { urn, id: found.id, state: found.outputs };
}

function constructRequest(request: RegisterResourceRequest, { options, dryRun }: DeploymentContext, address: string) {
  const { project, stack, config, secretKeys } = options;
  const component = new provider.ConstructRequest();
  component.setProject(project).setStack(stack).setOrganization("local").setDryrun(dryRun).setParallel(parallel);
  component.setMonitorendpoint(address).setType(request.getType()).setName(request.getName());
  component.setParent(request.getParent()).setInputs(request.getObject()).setAcceptsOutputValues(true);
  component.setDependenciesList(request.getDependenciesList()).setAliasesList(request.getAliasesList());
  component.setAdditionalsecretoutputsList(request.getAdditionalsecretoutputsList());
  component.setIgnorechangesList(request.getIgnorechangesList());
  component.setReplaceonchangesList(request.getReplaceonchangesList());
  component.setConfigsecretkeysList(secretKeys);
  if (request.hasProtect()) component.setProtect(request.getProtect() === true);
  if (request.hasRetainondelete()) component.setRetainondelete(request.getRetainondelete() === true);
  for (const [key, value] of Object.entries(config)) component.getConfigMap().set(key, value);
  for (const [key, value] of request.getProvidersMap().entries()) component.getProvidersMap().set(key, value);
  for (const [property, dependencies] of request.getPropertydependenciesMap().entries()) {
    const urns = new provider.ConstructRequest.PropertyDependencies();
    component.getInputdependenciesMap().set(property, urns.setUrnsList(dependencies.getUrnsList()));
  }
  return component;
}
