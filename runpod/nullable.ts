import { z } from "zod";
import { RunpodError } from "./error";

/** Schema of a value with a default. RunPod returns `null`, or omits the field, when the value was never set. */
export function nullable<T>(type: z.ZodType<T>, fallback: T) {
  return type.nullish().transform((value) => value ?? fallback);
}

/** Schema of a text. Default: empty. */
export const text = nullable(z.string(), "");

/** Schema of an optional text. `null` and an empty text become undefined. */
export const optionalText = z
  .string()
  .nullish()
  .transform((value) => value || undefined);

/** A list in a response. */
export interface Listing<T> {
  items: T[];
  /**
   * Ids of the entries that do not match the schema. Undefined for an entry without an id. Such an entry usually
   * belongs to somebody else, so it must not fail the whole list.
   */
  unreadable: (string | undefined)[];
}

const withId = z.object({ id: z.string() });

/**
 * Schema of a list in a response. Validates each entry separately. A missing list is an error, and so is `null`.
 * Neither counts as an empty list.
 */
export function listing<T>(record: z.ZodType<T>) {
  const list = z.array(z.unknown(), {
    error: "must be a list: without it, the program does not know which resources exist",
  });
  return list.transform((values): Listing<T> => {
    const items: T[] = [];
    const unreadable: Listing<T>["unreadable"] = [];
    for (const value of values) {
      const parsed = record.safeParse(value);
      if (parsed.success) items.push(parsed.data);
      else unreadable.push(withId.safeParse(value).data?.id);
    }
    return { items, unreadable };
  });
}

/** Whether one of the entries that do not match the schema may have this id. */
export function mayHide({ unreadable }: Listing<unknown>, id: string): boolean {
  return unreadable.some((other) => other === undefined || other === id);
}

/**
 * Finds an entry of a list by its id.
 *
 * @throws RunpodError when an entry with this id, or without an id, does not match the schema
 */
export function findById<T extends { id: string }>(list: Listing<T>, id: string): T | undefined {
  const found = list.items.find((item) => item.id === id);
  if (found === undefined && mayHide(list, id)) {
    throw new RunpodError(
      `RunPod returned an entry that cannot be read, so it is unknown whether ${id} exists. Run the command again. ` +
        "If this message appears again, look for the resource in RunPod's console.",
      { transient: false },
    );
  }
  return found;
}
