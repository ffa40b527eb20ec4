import { vipProviders } from "../../contract/relay";
import type { LlmFault, ModelsPanel, RunpodSwitch } from "../page/modelsPanel";
import { withPattern } from "../runpod/account/switches";
import type { RunpodDouble } from "../runpod/server";
import type { VipServers } from "../vip/vip";

const EVERYTHING = "*";
const SLOW_START_MS = 20_000;
/** Call with which the relay submits a chat. */
const SUBMIT = "POST /v2/*/run";
const STATUS = { refuse: 500, busy: 429 } as const;

/** Implements the models panel of the local cloud's page with the RunPod double and the servers of the external LLMs. */
export function modelsPanel(
  runpod: Pick<RunpodDouble, "switches" | "endpoints" | "tick">,
  vip: Pick<VipServers, "faults">,
): ModelsPanel {
  const { switches } = runpod;

  function isRefused(name: keyof typeof STATUS): boolean {
    return switches.faults.some(({ on, answer }) => on === SUBMIT && answer === STATUS[name]);
  }

  function refuse(name: keyof typeof STATUS, on: boolean): void {
    switches.faults = switches.faults.filter((fault) => fault.on !== SUBMIT || fault.answer !== STATUS[name]);
    if (!on) return;
    const times = Number.MAX_SAFE_INTEGER;
    switches.faults.push({ on: SUBMIT, answer: STATUS[name], times, skip: 0, done: false, delayMs: 0 });
  }

  const set: Record<RunpodSwitch, (on: boolean) => void> = {
    noGpus(on) {
      switches.noCapacity = withPattern(switches.noCapacity, EVERYTHING, on);
    },
    slowStart(on) {
      switches.coldStartMs = on ? SLOW_START_MS : 0;
    },
    crash(on) {
      switches.crashing = withPattern(switches.crashing, EVERYTHING, on);
    },
    noImage(on) {
      switches.unpullable = withPattern(switches.unpullable, EVERYTHING, on);
    },
    refuse: (on) => refuse("refuse", on),
    busy: (on) => refuse("busy", on),
  };

  return {
    state: () => ({
      runpod: {
        noGpus: switches.noCapacity.includes(EVERYTHING),
        slowStart: switches.coldStartMs > 0,
        crash: switches.crashing.includes(EVERYTHING),
        noImage: switches.unpullable.includes(EVERYTHING),
        refuse: isRefused("refuse"),
        busy: isRefused("busy"),
      },
      llms: Object.fromEntries(vipProviders.map((name) => [name, faultOf(vip, name)])) as Record<
        (typeof vipProviders)[number],
        LlmFault
      >,
      endpoints: runpod.endpoints(),
    }),
    setRunpod(name, on) {
      set[name](on);
      runpod.tick();
    },
    setLlm(name, fault) {
      if (fault === "none") vip.faults.delete(name);
      else vip.faults.set(name, fault);
    },
  };
}

/** The page shows both kinds of `cut` as one fault. */
function faultOf({ faults }: Pick<VipServers, "faults">, name: (typeof vipProviders)[number]): LlmFault {
  const fault = faults.get(name) ?? "none";
  return fault === "cut late" ? "cut" : fault;
}
