import { buildSchema } from "graphql";

/**
 * Part of RunPod's GraphQL schema for serverless endpoints. Names, nullability and defaults come from the schema of the
 * official Pulumi provider (runpod/pulumi-runpod v0.1.5) and RunPod's docs of August 2026. Some fields are not
 * published, but RunPod's tools query them: `serverlessGpuPools` (runpodctl), `Endpoint.version`, `pods`, `aiKey`,
 * `userId` and others (flash, runpod-python). `User.maxServerlessConcurrency`, the quota of workers, is known only from
 * third parties.
 */
export const schema = buildSchema(/* GraphQL */ `
  scalar Void
  scalar JSON
  scalar DateTime
  enum FlashBootType { OFF FLASHBOOT PRIORITY_FLASHBOOT }
  enum TemplateCategory { CPU GPU NVIDIA AMD }
  enum Compliance {
    GDPR ISO_IEC_27001 ISO_14001 PCI_DSS HITRUST SOC_1_TYPE_2 SOC_2_TYPE_2 SOC_3_TYPE_2 ITAR FISMA_HIGH HIPAA
  }

  type Query {
    myself: User
    podTemplate(id: String!): PodTemplate
    podTemplates(input: PodTemplatesInput): [PodTemplate]
    gpuTypes(input: GpuTypeFilter): [GpuType]
    dataCenters: [DataCenter]
    serverlessGpuPools: [ServerlessGpuPool]
  }

  type Mutation {
    saveTemplate(input: SaveTemplateInput): PodTemplate
    deleteTemplate(templateName: String): Void
    saveEndpoint(input: EndpointInput!): Endpoint!
    updateEndpointTemplate(input: UpdateEndpointTemplateInput): Endpoint
    deleteEndpoint(id: String!): Void
    saveRegistryAuth(input: SaveRegistryAuthInput): ContainerRegistryAuth
    updateRegistryAuth(input: UpdateRegistryAuthInput): ContainerRegistryAuth
    deleteRegistryAuth(registryAuthId: String): Void
    createNetworkVolume(input: CreateNetworkVolumeInput!): NetworkVolume
    updateNetworkVolume(input: UpdateNetworkVolumeInput!): NetworkVolume
    deleteNetworkVolume(input: DeleteNetworkVolumeInput!): Void
    secretCreate(input: SecretCreateInput!): Secret
    secretValueUpdate(input: SecretValueUpdateInput!): Secret
    secretDescriptionUpdate(input: SecretDescriptionUpdateInput!): Secret
    secretDelete(id: ID!): Void
  }

  type User {
    id: String
    email: String
    pubKey: String
    clientBalance: Float
    currentSpendPerHr: Float
    spendLimit: Float
    maxServerlessConcurrency: Int
    endpoints: [Endpoint]!
    endpoint(id: String!): Endpoint
    podTemplates: [PodTemplate]
    containerRegistryCreds: [ContainerRegistryAuth]
    networkVolumes: [NetworkVolume]
    secrets: [Secret!]!
    serverlessDiscount: ServerlessDiscount
  }

  type ServerlessDiscount { discountFactor: Float type: String expirationDate: DateTime }

  input GpuTypeFilter { id: String ids: [String!] cluster: Boolean }
  type GpuType {
    id: String
    displayName: String
    manufacturer: String
    memoryInGb: Int
    cudaCores: Int
    secureCloud: Boolean
    communityCloud: Boolean
    securePrice: Float
    communityPrice: Float
    secureSpotPrice: Float
    communitySpotPrice: Float
    oneWeekPrice: Float
    oneMonthPrice: Float
    threeMonthPrice: Float
    maxGpuCount: Int
    lowestPrice(input: GpuLowestPriceInput): LowestPrice
  }
  input GpuLowestPriceInput {
    gpuCount: Int!
    countryCode: String
    dataCenterId: String
    secureCloud: Boolean
    includeAiApi: Boolean
    minDisk: Int
    minMemoryInGb: Int
    minVcpuCount: Int
    cudaVersion: String
    minCudaVersion: String
    allowedCudaVersions: [String]
    compliance: [Compliance]
  }
  type LowestPrice { gpuTypeId: String minimumBidPrice: Float uninterruptablePrice: Float stockStatus: String }

  type DataCenter {
    id: String
    name: String
    location: String
    listed: Boolean
    storageSupport: Boolean
    gpuAvailability(input: GpuAvailabilityInput): [GpuAvailability]
  }
  input GpuAvailabilityInput { gpuCount: Int secureCloud: Boolean includeAiApi: Boolean minCudaVersion: String }
  type GpuAvailability { available: Boolean stockStatus: String gpuTypeId: String displayName: String id: String }

  type ServerlessGpuPool { id: String gpuTypeIds: [String] }

  type EnvironmentVariable { key: String value: String }
  input EnvironmentVariableInput { key: String! value: String! }

  type ContainerRegistryAuth { id: String name: String }
  input SaveRegistryAuthInput { name: String! username: String! password: String! }
  input UpdateRegistryAuthInput { id: String! username: String! password: String! }

  type NetworkVolume { id: String name: String size: Int dataCenterId: String }
  input CreateNetworkVolumeInput { name: String size: Int dataCenterId: String! }
  input UpdateNetworkVolumeInput { id: String! name: String size: Int }
  input DeleteNetworkVolumeInput { id: String! }

  type Secret { id: ID! name: String! description: String createdAt: DateTime! updatedAt: DateTime }
  input SecretCreateInput { name: String! value: String! description: String }
  input SecretValueUpdateInput { id: ID! value: String! }
  input SecretDescriptionUpdateInput { id: ID! description: String! }

  type PortConfig { port: String name: String }
  input PortConfigInput { port: String! name: String! }

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
    portsConfig: [PortConfig]
    volumeMountPath: String
    startSsh: Boolean
    startJupyter: Boolean
    startScript: String
    advancedStart: Boolean
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
    env: [EnvironmentVariableInput]!
    isServerless: Boolean
    isPublic: Boolean
    readme: String
    containerRegistryAuthId: String
    ports: String
    portsConfig: [PortConfigInput]
    volumeMountPath: String
    startSsh: Boolean
    startJupyter: Boolean
    startScript: String
    advancedStart: Boolean
    category: TemplateCategory
    config: JSON
  }

  input EndpointTemplateInput {
    name: String!
    imageName: String
    containerDiskInGb: Int!
    dockerArgs: String!
    env: [EnvironmentVariableInput]!
    containerRegistryAuthId: String
    ports: String
    readme: String
    startSsh: Boolean
    startJupyter: Boolean
    startScript: String
    advancedStart: Boolean
    config: JSON
  }

  type Pod { id: String desiredStatus: String }
  type NetworkVolumeIds { networkVolumeId: String dataCenterId: String }
  input NetworkVolumeIdsInput { networkVolumeId: String! }

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
    networkVolume: NetworkVolume
    networkVolumeIds: [NetworkVolumeIds]
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
    flashEnvironmentId: String
    modelName: String
    modelReferences: [String]
    computeType: String
    activeBuildid: String
    idePodId: String
    aiKey: String
    userId: String
    version: Int
    createdAt: String
    pods: [Pod]
  }

  input EndpointInput {
    id: String
    name: String!
    type: String
    gpuIds: String
    gpuCount: Int = 1
    instanceIds: [String]
    idleTimeout: Int = 10
    locations: String
    networkVolumeId: String
    networkVolumeIds: [NetworkVolumeIdsInput]
    scalerType: String
    scalerValue: Int = 4
    workersMin: Int = 0
    workersMax: Int = 3
    workersPFBTarget: Int = 0
    templateId: String
    template: EndpointTemplateInput
    env: [EnvironmentVariableInput]
    allowedCudaVersions: String
    minCudaVersion: String
    executionTimeoutMs: Int
    bindEndpoint: Boolean = true
    flashBootType: FlashBootType
    flashEnvironmentId: String
    modelName: String
    modelReferences: [String]
    hubReleaseId: String
    repo: EndpointRepoInput
    cloudStorageConfig: CloudStorageConfigInput
  }

  input EndpointRepoInput {
    repoName: String!
    branch: String
    dockerFilePath: String
    buildContext: String
    dockerArgs: String
    containerRegistryAuthId: String
  }

  input CloudStorageConfigInput {
    provider: String!
    region: String!
    bucketName: String!
    accessKey: String!
    secretKey: String!
  }

  input UpdateEndpointTemplateInput { endpointId: String! templateId: String! }
`);
