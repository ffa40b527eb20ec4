import { field, textField } from "./problem";
import type { ChatDone, ChatItem } from "./types";

/** Whether a value is an item of a reply. Later versions may add items, which this client ignores. */
export function isItem(value: unknown): value is ChatItem {
  return (
    textField(value, "delta") !== undefined ||
    (field(value, "waiting") === true && textField(value, "message") !== undefined) ||
    field(value, "restart") === true ||
    isDone(value)
  );
}

/** Whether a value is the last item of a reply. */
export function isDone(value: unknown): value is ChatDone {
  return field(value, "done") === true && textField(value, "text") !== undefined;
}
