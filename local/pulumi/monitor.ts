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
import { goalOf } from "./goal";
import { parallel } from "./program";
import { createUrn, packageOf } from "./urn";

const { ResourceMonitorFeature: feature } = resource;

/** What this engine can do, by the SDK's names of old and of new. */
const features = {
  secrets: feature.RESOURCE_MONITOR_FEATURE_SECRETS,
  resourceReferences: feature.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
  outputValues: feature.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES,
  aliasSpecs: feature.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
};

/** What a program and a component provider talk to. */
export interface Monitor {
  /** `127.0.0.1:<port>` of both services. */
  address: string;
  /** What the program has reported as errors. */
  errors: readonly string[];
  close(): Promise<void>;
}

/** Serves Pulumi's ResourceMonitor and Engine over gRPC: translates between protocol and deployment. */
export async function serveMonitor(context: DeploymentContext, deployment: Deployment): Promise<Monitor> {
  const { options, dryRun, providers } = context;
  const { project, stack, config, secretKeys } = options;
  const errors: string[] = [];
  let root = "";
  let address = "";

  const monitor = {
    getDeploymentInfo: unary(() => {
      const info = new resource.DeploymentInfo();
      info.setProject(project).setStack(stack).setDryrun(dryRun).setParallel(parallel);
      info.setConfigsecretkeysList(secretKeys);
      for (const [key, value] of Object.entries(config)) info.getConfigMap().set(key, value);
      return info.setSupportedfeaturesList(Object.values(features));
    }),
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
    readResource: unary(read),
    invoke: unary(async (request: ResourceInvokeRequest) => {
      const token = request.getTok();
      const args = request.getArgs()?.toJavaScript() ?? {};
      const result =
        token === "pulumi:pulumi:getResource"
          ? known(String(args.urn))
          : await (await providers.get(packageOf(token))).invoke(token, args);
      return new resource.ResourceInvokeResponse().setReturn(structs.Struct.fromJavaScript(result));
    }),
    signalAndWaitForShutdown: unary(() => new empty.Empty()),
  };

  const host = {
    log: unary((request: LogRequest) => {
      if (request.getSeverity() === engine.LogSeverity.ERROR) errors.push(request.getMessage());
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

  /** Answers the one data source that is the engine's own: a resource that was handed on by reference. */
  function known(urn: string) {
    const found = context.state.get(urn);
    if (!found) throw new EngineError(`there is no resource ${urn}`);
    return { urn, id: found.id, state: found.outputs };
  }

  async function register(request: RegisterResourceRequest) {
    const state = await deployment.register(goalOf(request, project, stack));
    return new resource.RegisterResourceResponse()
      .setUrn(state.urn)
      .setId(state.id)
      .setObject(structs.Struct.fromJavaScript(state.outputs));
  }

  async function construct(request: RegisterResourceRequest) {
    const target = await providers.get(packageOf(request.getType()));
    await target.attach(address);
    const constructed = await target.construct(constructRequest(request));
    const response = new resource.RegisterResourceResponse();
    response.setUrn(constructed.getUrn());
    response.setObject(constructed.getState());
    for (const [property, dependencies] of constructed.getStatedependenciesMap().entries()) {
      const urns = new resource.RegisterResourceResponse.PropertyDependencies();
      response.getPropertydependenciesMap().set(property, urns.setUrnsList(dependencies.getUrnsList()));
    }
    return response;
  }

  function constructRequest(request: RegisterResourceRequest) {
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

  async function read(request: ReadResourceRequest) {
    const type = request.getType();
    const name = request.getName();
    const parent = request.getParent() || undefined;
    const goal = {
      urn: createUrn({ stack, project, type, name, parent }),
      type,
      name,
      custom: true,
      parent,
      inputs: mapValues(request.getProperties()?.toJavaScript() ?? {}, collapseOutputs),
      dependencies: request.getDependenciesList(),
      propertyDependencies: {},
      protect: undefined,
      retainOnDelete: undefined,
      deleteBeforeReplace: undefined,
      ignoreChanges: [],
      replaceOnChanges: [],
      additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
      aliases: [],
    };
    const state = await deployment.read(goal, request.getId());
    return new resource.ReadResourceResponse()
      .setUrn(state.urn)
      .setProperties(structs.Struct.fromJavaScript(state.outputs));
  }

  const server = await serveGrpc([
    [resourceGrpc.ResourceMonitorService, monitor],
    [engineGrpc.EngineService, host],
  ]);
  address = `127.0.0.1:${server.port}`;
  return { address, errors, close: server.close };
}
