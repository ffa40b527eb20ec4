import { byId, checkbox, create, onLanguageChange, setText, textOf } from "./dom";
import { type EndpointState, llmFaults, type ModelsState, runpodSwitches } from "./modelsPanel";
import type { PanelClient } from "./panelClient";

/** The drawer's part for the models: faults of RunPod and of the external LLMs, workers and jobs. */
export class ModelControls {
  private state: ModelsState | undefined;

  constructor(private readonly client: PanelClient) {
    onLanguageChange(() => this.show());
  }

  /** Reads and shows the state. */
  async load(): Promise<void> {
    const answer = await this.client.read("/models");
    if (!answer.ok) return;
    this.state = answer.body as ModelsState;
    this.show();
  }

  private show(): void {
    const { state } = this;
    if (!state) return;
    this.fillOnce(state);
    for (const name of runpodSwitches) byId(`runpod-${name}`, HTMLInputElement).checked = state.runpod[name];
    for (const [name, fault] of Object.entries(state.llms)) byId(`llm-${name}`, HTMLSelectElement).value = fault;
    byId("endpoints", HTMLElement).replaceChildren(...state.endpoints.map(endpointItem));
  }

  /** Creates the controls when the state is known for the first time. */
  private fillOnce({ llms }: ModelsState): void {
    const runpod = byId("runpod-controls", HTMLElement);
    if (runpod.hasChildNodes()) return;
    for (const name of runpodSwitches) {
      const { label, box } = checkbox(`runpod_${name}`, (on) => this.act("runpod", { name, on }));
      box.id = `runpod-${name}`;
      runpod.append(label);
    }
    byId("llm-controls", HTMLElement).append(...Object.keys(llms).map((name) => this.faultChoice(name)));
  }

  private faultChoice(name: string): HTMLLabelElement {
    const select = create("select");
    select.id = `llm-${name}`;
    for (const fault of llmFaults) {
      const option = setText(create("option"), `llm_${fault}`);
      option.value = fault;
      select.append(option);
    }
    select.addEventListener("change", () => this.act("llm", { name, fault: select.value }));
    const label = create("label");
    label.append(create("span", "", name), select);
    return label;
  }

  private async act(action: string, body: object): Promise<void> {
    const answer = await this.client.act(`/models/${action}`, body);
    if (answer.ok) this.state = answer.body as ModelsState;
    this.show();
  }
}

function endpointItem({ name, workers, jobs }: EndpointState): HTMLElement {
  const item = create("div", "endpoint");
  const list = workers.map(({ id, status }) => `${id} ${status}`).join(", ");
  item.append(
    create("p", "", name),
    create("p", "jobs", textOf("jobCounts", { ...jobs })),
    create("p", "workers", list || textOf("noWorkers")),
  );
  return item;
}
