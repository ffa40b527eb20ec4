import type { VipProvider } from "../../contract/relay";

/** Faults of the RunPod double on the page, in display order. */
export const runpodSwitches = ["noGpus", "slowStart", "crash", "noImage", "refuse", "busy"] as const;
export type RunpodSwitch = (typeof runpodSwitches)[number];

/** Faults of the external LLMs on the page, in display order. `none`: the server has no fault. */
export const llmFaults = ["none", "overloaded", "cut", "silent"] as const;
export type LlmFault = (typeof llmFaults)[number];

/** Workers and jobs of one RunPod endpoint. */
export interface EndpointState {
  name: string;
  workers: { id: string; status: string }[];
  jobs: { inQueue: number; inProgress: number; completed: number; failed: number };
}

/** State of the models: the answer of `GET /models` and of every `POST /models/<action>`. */
export interface ModelsState {
  runpod: Record<RunpodSwitch, boolean>;
  llms: Record<VipProvider, LlmFault>;
  endpoints: EndpointState[];
}

/** The panel's actions on the models. */
export interface ModelsPanel {
  state(): ModelsState;
  setRunpod(name: RunpodSwitch, on: boolean): void;
  setLlm(name: VipProvider, fault: LlmFault): void;
}
