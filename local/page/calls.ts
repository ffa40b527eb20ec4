import type { CloudEvent } from "../support/events";
import { callKinds, kindOf } from "./callKind";
import { byId, create, setText } from "./dom";
import type { Word } from "./translations";

const MOST = 300;
const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const;

/**
 * Lists the backend calls as they happen, newest first.
 *
 * @param onEvent called with each event, and again with the recent events after a reconnect
 */
export function listCalls(onEvent: (event: CloudEvent) => void): void {
  const list = byId("calls", HTMLOListElement);
  const lost = byId("lost", HTMLElement);
  const quiet = byId("quiet", HTMLElement);
  const kind = byId("kind", HTMLSelectElement);
  addKinds(kind);
  const filter = () => {
    for (const row of list.querySelectorAll("li")) row.hidden = isFiltered(row, kind.value);
  };
  kind.addEventListener("change", filter);

  const source = new EventSource("/events");
  source.onopen = () => {
    // The server sends the recent events again on each new connection, so clear the list.
    list.replaceChildren();
    lost.hidden = true;
  };
  source.onerror = () => {
    lost.hidden = false;
  };
  source.onmessage = ({ data }) => {
    quiet.hidden = true;
    const event = JSON.parse(data) as CloudEvent;
    const row = createRow(event);
    row.hidden = isFiltered(row, kind.value);
    list.prepend(row);
    if (list.childElementCount > MOST) list.lastElementChild?.remove();
    onEvent(event);
  };
}

function addKinds(select: HTMLSelectElement): void {
  const option = (value: string, word: Word) => {
    const element = setText(create("option"), word);
    element.value = value;
    return element;
  };
  select.append(option("", "kind_all"), ...callKinds.map((kind) => option(kind, `kind_${kind}`)));
}

function isFiltered(row: HTMLElement, wanted: string): boolean {
  return wanted !== "" && row.dataset.kind !== wanted;
}

function createRow(event: CloudEvent): HTMLLIElement {
  const { at, source, summary, durationMs } = event;
  const item = create("li");
  item.dataset.kind = kindOf(event) ?? "";
  const chip = create("span", "source", source);
  chip.dataset.source = source;
  const time = create("time", "", new Date(at).toLocaleTimeString("ja-JP", clock));
  time.dateTime = new Date(at).toISOString();
  const took = create("span", "took", durationMs === undefined ? "" : `${Math.round(durationMs)} ms`);
  item.append(chip, took, time, create("span", "summary", summary));
  return item;
}
