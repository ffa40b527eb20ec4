/** Fault of the next call of an operation. */
export type Fault =
  /** The fake executes the operation, but the connection breaks before the response. */
  | "lost answer"
  /** The connection breaks before the fake executes the operation. */
  | "lost request"
  | { status: number; retryAfterSeconds?: number }
  | { message: string };

/** Operations of both APIs. A "save" is a create or an update. */
export type Operation =
  | "saveTemplate"
  | "deleteTemplate"
  | "saveEndpoint"
  | "deleteEndpoint"
  | "createRegistryAuth"
  | "updateRegistryAuth"
  | "deleteRegistryAuth"
  | "list";

/** Container of a template or endpoint, the same for both APIs. */
interface ContainerSnapshot {
  image: string;
  env: Record<string, string>;
  diskGb: number;
  registryId: string | undefined;
}

/** Content of an account, the same for both APIs. */
export interface AccountSnapshot {
  templates: ({ id: string; name: string } & ContainerSnapshot)[];
  /**
   * Each endpoint has the container that its workers run. GraphQL stores the container in the template, REST in the
   * endpoint.
   */
  endpoints: ({
    id: string;
    name: string;
    workersMin: number;
    workersMax: number;
    gpus: string[];
  } & ContainerSnapshot)[];
  registryAuths: { id: string; name: string; username: string; password: string }[];
}

/** A strict fake of one of RunPod's control planes, with faults on demand. */
export interface FakeRunpod {
  /** Base URL, without `/graphql` or `/v2`. */
  url: string;
  apiKey: string;
  snapshot(): AccountSnapshot;
  /** Every received call, in order. */
  calls: { operation: string; input: Record<string, unknown>; authorization: string; userAgent: string }[];
  /** Number of received calls of an operation. */
  count(operation: Operation): number;
  /** Adds a fault for the next call of an operation. Several faults apply in order. */
  failNext(operation: Operation, fault: Fault): void;
  /**
   * Makes the next deletes of templates and registry credentials fail with "in use". `deletes` is the number of
   * failures.
   */
  keepInUse(deletes: number): void;
  /** Changes `workersMax` of an endpoint. RunPod does the same after days without requests. */
  setWorkersMax(endpointId: string, workersMax: number): void;
  workers: WorkerStates;
  /** Empties the account and removes all faults. */
  reset(): void;
  close(): Promise<void>;
}

/** A worker in a response of REST v2. */
export interface WorkerState {
  status: "RUNNING" | "IDLE" | "INITIALIZING" | "THROTTLED" | "UNHEALTHY";
  isStale: boolean;
}

/**
 * Responses to reads of an endpoint's workers. Each read gets the next response of a list; the last response repeats.
 */
export interface WorkerStates {
  /** Responses of REST v2, one per read of `/releases`. If undefined, the response is a 404. */
  rest: { version: number; workers: WorkerState[] }[] | undefined;
  /** Whether REST v2 answers a read of `/releases` with a 404. */
  hasNoReleases: boolean;
  /** Whether REST v2 answers a read of `/workers` with a 404. */
  hasNoWorkers: boolean;
  /** Responses of the job API's `/health`. If undefined, the response is a 404. */
  health: Record<string, number | null>[] | undefined;
  /** Numbers of running jobs that `/health` returns, when it returns the workers. */
  runningJobs: number[];
  /** Log lines of a worker's host. */
  hostLog: string[];
  /** Received reads, in order. */
  reads: ("releases" | "workers" | "health")[];
  /** Last response of `/releases`. `/workers` returns the same workers. */
  latest: { version: number; workers: WorkerState[] } | undefined;
}
