import { buildSchema } from "graphql";

/**
 * The part of RunPod's GraphQL schema that serverless endpoints need, with its own names, nullability and defaults
 * (the official Pulumi provider's schema, runpod/pulumi-runpod v0.1.5, and RunPod's docs, Aug 2026). An input with a
 * default may be left out but not be null.
 */
export const schema = buildSchema(/* GraphQL */ `
  scalar Void
  scalar JSON
  enum FlashBootType { OFF FLASHBOOT PRIORITY_FLASHBOOT }

  type Query {
    myself: User
    podTemplate(id: String!): PodTemplate
    podTemplates(input: PodTemplatesInput): [PodTemplate]
  }

  type Mutation {
    saveTemplate(input: SaveTemplateInput): PodTemplate
    deleteTemplate(templateName: String): Void
    saveEndpoint(input: EndpointInput!): Endpoint!
    updateEndpointTemplate(input: UpdateEndpointTemplateInput): Endpoint
    deleteEndpoint(id: String!): Void
    saveRegistryAuth(input: SaveRegistryAuthInput!): ContainerRegistryAuth
    updateRegistryAuth(input: UpdateRegistryAuthInput!): ContainerRegistryAuth
    deleteRegistryAuth(registryAuthId: String): Void
  }

  type User {
    id: String
    email: String
    clientBalance: Float
    currentSpendPerHr: Float
    endpoints: [Endpoint]
    endpoint(id: String!): Endpoint
    podTemplates: [PodTemplate]
    containerRegistryCreds: [ContainerRegistryAuth]
  }

  type EnvironmentVariable { key: String value: String }
  input EnvironmentVariableInput { key: String! value: String! }

  type ContainerRegistryAuth { id: String name: String }
  input SaveRegistryAuthInput { name: String! username: String! password: String! }
  input UpdateRegistryAuthInput { id: String! username: String! password: String! }

  type PodTemplate {
    id: String
    name: String
    imageName: String
    containerDiskInGb: Int
    volumeInGb: Int
    dockerArgs: String
    env: [EnvironmentVariable]
    isServerless: Boolean
    isPublic: Boolean
    readme: String
    containerRegistryAuthId: String
    ports: String
    volumeMountPath: String
    startSsh: Boolean
    startJupyter: Boolean
    startScript: String
    category: String
    config: JSON
    boundEndpointId: String
  }

  input PodTemplatesInput { isRunpod: Boolean }

  input SaveTemplateInput {
    id: String
    name: String!
    imageName: String
    containerDiskInGb: Int!
    volumeInGb: Int!
    dockerArgs: String!
    env: [EnvironmentVariableInput!]!
    isServerless: Boolean! = false
    isPublic: Boolean! = false
    readme: String
    containerRegistryAuthId: String
    ports: String
    volumeMountPath: String
    startSsh: Boolean! = false
    startJupyter: Boolean! = false
    startScript: String
    category: String
    config: JSON
  }

  input EndpointTemplateInput {
    name: String!
    imageName: String
    containerDiskInGb: Int!
    dockerArgs: String!
    env: [EnvironmentVariableInput!]!
    containerRegistryAuthId: String
    ports: String
    readme: String
    startSsh: Boolean! = false
    startJupyter: Boolean! = false
    startScript: String
    config: JSON
  }

  type Pod { id: String desiredStatus: String }
  type NetworkVolumeReference { networkVolumeId: String dataCenterId: String }
  input NetworkVolumeReferenceInput { networkVolumeId: String! }

  type Endpoint {
    id: String
    name: String
    type: String
    gpuIds: String
    gpuCount: Int
    instanceIds: [String]
    idleTimeout: Int
    locations: String
    networkVolumeId: String
    networkVolumeIds: [NetworkVolumeReference]
    scalerType: String
    scalerValue: Int
    workersMin: Int
    workersMax: Int
    workersStandby: Int
    workersPFBTarget: Int
    templateId: String
    template: PodTemplate
    env: [EnvironmentVariable]
    allowedCudaVersions: String
    minCudaVersion: String
    executionTimeoutMs: Int
    flashBootType: FlashBootType
    modelName: String
    modelReferences: [String]
    aiKey: String
    userId: String
    version: Int
    createdAt: String
    pods: [Pod]
  }

  input EndpointInput {
    id: String
    name: String!
    type: String! = "QB"
    gpuIds: String
    gpuCount: Int! = 1
    instanceIds: [String]
    idleTimeout: Int! = 10
    locations: String
    networkVolumeId: String
    networkVolumeIds: [NetworkVolumeReferenceInput]
    scalerType: String! = "QUEUE_DELAY"
    scalerValue: Int! = 4
    workersMin: Int! = 0
    workersMax: Int! = 3
    workersPFBTarget: Int! = 0
    templateId: String
    template: EndpointTemplateInput
    env: [EnvironmentVariableInput!]
    allowedCudaVersions: String
    minCudaVersion: String
    executionTimeoutMs: Int! = 0
    bindEndpoint: Boolean! = true
    flashBootType: FlashBootType! = OFF
    modelName: String
    modelReferences: [String]
  }

  input UpdateEndpointTemplateInput { endpointId: String! templateId: String! }
`);
