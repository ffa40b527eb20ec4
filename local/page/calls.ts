import type { CloudEvent } from "../support/events";
import { byId, create } from "./dom";

const MOST = 200;
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
    list.prepend(row(event));
    if (list.childElementCount > MOST) list.lastElementChild?.remove();
    onEvent(event);
  };
}

function row({ at, source, summary, durationMs }: CloudEvent): HTMLLIElement {
  const item = create("li");
  const chip = create("span", "source", source);
  chip.dataset.source = source;
  const time = create("time", "", new Date(at).toLocaleTimeString("ja-JP", clock));
  time.dateTime = new Date(at).toISOString();
  const took = create("span", "took", durationMs === undefined ? "" : `${Math.round(durationMs)} ms`);
  item.append(chip, took, time, create("span", "summary", summary));
  return item;
}
