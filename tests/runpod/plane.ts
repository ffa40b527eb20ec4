/** What goes wrong with the next call of an operation. */
export type Fault =
  | "lost answer"
  | "not reached"
  | { status: number; retryAfterSeconds?: number }
  | { message: string };

/** What both APIs do. A fault of a "save" hits the next create or update, whichever comes. */
export type Operation =
  | "saveTemplate"
  | "deleteTemplate"
  | "saveEndpoint"
  | "deleteEndpoint"
  | "createRegistryAuth"
  | "updateRegistryAuth"
  | "deleteRegistryAuth"
  | "list";

/** What workers run, whichever API it was said through. */
interface SeenContainer {
  image: string;
  env: Record<string, string>;
  diskGb: number;
  registryId: string | undefined;
}

/** An account as a test looks at it, in words of neither API. */
export interface Seen {
  templates: ({ id: string; name: string } & SeenContainer)[];
  /** With what its workers run, wherever the API keeps that. */
  endpoints: ({ id: string; name: string; workersMin: number; workersMax: number; gpus: string[] } & SeenContainer)[];
  registryAuths: { id: string; name: string; username: string; password: string }[];
}

/** A strict stand-in for one of RunPod's control planes, with faults on demand. */
export interface Plane {
  /** Without `/graphql` or `/v2`. */
  url: string;
  apiKey: string;
  seen(): Seen;
  /** Every call received, in order. */
  calls: { operation: string; input: Record<string, unknown>; authorization: string; userAgent: string }[];
  /** How often an operation was called. */
  count(operation: Operation): number;
  /** Makes the next call of an operation go wrong; several are taken in order. */
  failNext(operation: Operation, fault: Fault): void;
  /** Templates and registry credentials count as in use for this many more deletes. */
  hold(deletes: number): void;
  /** RunPod changes an endpoint by itself. */
  setWorkersMax(endpointId: string, workersMax: number): void;
  /** RunPod says how the workers are; undefined: it does not tell. */
  workers: WorkerStates;
  /** Back to an empty account without faults. */
  reset(): void;
  close(): Promise<void>;
}

/** A worker as REST v2 lists it. */
export interface WorkerState {
  status: "RUNNING" | "IDLE" | "INITIALIZING" | "THROTTLED" | "UNHEALTHY";
  isStale: boolean;
}

/** What the plane answers when asked for the workers of any endpoint: the first of the list, and the last again and again. */
export interface WorkerStates {
  /** REST v2; undefined answers 404. */
  rest: { version: number; workers: WorkerState[] }[] | undefined;
  /** The job API's `/health`; undefined answers 404. */
  health: Record<string, number | null>[] | undefined;
  /** Lines of a worker's host. */
  hostLog: string[];
}
