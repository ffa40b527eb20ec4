import { isMap, isScalar, type Pair, type ParsedNode, parseDocument, type YAMLMap } from "yaml";
import type { Model } from "../../contract/plan";
import { configKey } from "../../names";
import { type Image, imageIn } from "./stackFile";

/** A model's candidate in a stack's file. */
export interface FileCandidate {
  /** Undefined when the block has no image, which is not valid. */
  image: Image | undefined;
  /** Text of the file without the candidate's block. Every other character stays. */
  without: string;
}

/**
 * Reads the candidate of a model.
 *
 * @param text text of `Pulumi.<stack>.yaml`
 * @returns undefined when the file has no candidate for the model, or is not YAML
 */
export function candidateOf(text: string, model: Model): FileCandidate | undefined {
  const document = parseDocument(text);
  const block = document.errors.length === 0 ? document.getIn(["config", configKey(model)]) : undefined;
  if (!isMap(block)) return undefined;
  const map = block as YAMLMap.Parsed;
  const index = map.items.findIndex(({ key }) => isScalar(key) && key.value === "candidate");
  const pair = map.items[index];
  if (!pair) return undefined;
  const [start, end] = map.flow ? flowRange(map, index) : linesOf(text, pair);
  return {
    image: isMap(pair.value) ? imageIn(pair.value)?.image : undefined,
    without: text.slice(0, start) + text.slice(end),
  };
}

type ParsedPair = Pair<ParsedNode, ParsedNode | null>;

/** Place of the lines of a pair, with the comment behind its last value. */
function linesOf(text: string, pair: ParsedPair): [start: number, end: number] {
  const last = text.slice(0, endOf(pair)).trimEnd().length;
  const lineBreak = text.indexOf("\n", last);
  return [text.lastIndexOf("\n", pair.key.range[0]) + 1, lineBreak === -1 ? text.length : lineBreak + 1];
}

/** Place of a pair in `{ … }`, with one comma. */
function flowRange({ items }: YAMLMap.Parsed, index: number): [start: number, end: number] {
  const [before, pair, after] = [items[index - 1], items[index], items[index + 1]] as ParsedPair[];
  if (!pair) throw new Error("The block has no such pair");
  if (after) return [pair.key.range[0], after.key.range[0]];
  return [before ? endOf(before) : pair.key.range[0], endOf(pair)];
}

function endOf({ key, value }: ParsedPair): number {
  return (value ?? key).range[1];
}
