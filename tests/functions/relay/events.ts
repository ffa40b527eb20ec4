import { createParser } from "eventsource-parser";
import { RelayItem } from "../../../contract/relay";

/** An event of the relay's stream, and its arrival time. A comment has no item. */
export interface Arrival {
  item?: RelayItem;
  comment?: string;
  atMs: number;
}

/** Reads the events of a response until its end. Every item must match the contract. */
export async function* readEvents(response: Response): AsyncGenerator<Arrival, void, void> {
  const arrived: Arrival[] = [];
  const startedAt = performance.now();
  const arrive = (arrival: Omit<Arrival, "atMs">) => {
    arrived.push({ ...arrival, atMs: performance.now() - startedAt });
  };
  const parser = createParser({
    onEvent: ({ data }) => arrive({ item: RelayItem.parse(JSON.parse(data)) }),
    onComment: (comment) => arrive({ comment }),
  });
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    yield* arrived.splice(0);
  }
}

/** Reads all items of a response. */
export async function readItems(response: Response): Promise<RelayItem[]> {
  const items: RelayItem[] = [];
  for await (const { item } of readEvents(response)) if (item) items.push(item);
  return items;
}
