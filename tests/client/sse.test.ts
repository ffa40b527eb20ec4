import { createParser } from "eventsource-parser";
import { describe, expect, it } from "vitest";
import { createEventParser } from "../../client/sse";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Parses a stream that arrives in these chunks. */
function parse(...chunks: Uint8Array[]): string[] {
  return chunks.flatMap(createEventParser());
}

/** Splits a stream before each position. */
function cut(stream: Uint8Array, positions: number[]): Uint8Array[] {
  const sorted = [0, ...positions.toSorted((one, other) => one - other), stream.length];
  return sorted.slice(1).map((end, index) => stream.slice(sorted[index], end));
}

describe("The event parser", () => {
  it.each([
    ["one event", "data: a\n\n", ["a"]],
    ["a value without a space after the colon", "data:a\n\n", ["a"]],
    ["a value that begins with two spaces, and removes one space", "data:  a\n\n", [" a"]],
    ["data in several lines, and joins the lines with a line feed", "data: a\ndata: b\ndata\n\n", ["a\nb\n"]],
    ["an empty value", "data:\n\n", [""]],
    ["a stream with comments, and ignores the comments", ":\n\n: hi\ndata: a\n:x\ndata: b\n\n:\n\n", ["a\nb"]],
    [
      "an event with other fields, and ignores these fields",
      "event: x\nid: 1\nretry: 5\nfoo\ndatax: 1\ndata: a\n\n",
      ["a"],
    ],
    ["a stream with an event without data, and ignores this event", "event: x\n\ndata: a\n\n", ["a"]],
    ["CR LF", "data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", ["a\nb", "c"]],
    ["CR", "data: a\rdata: b\r\rdata: c\r\r", ["a\nb", "c"]],
    ["a byte order mark at the start, and removes the mark", "\uFEFFdata: a\n\n", ["a"]],
    ["a byte order mark inside a value, and keeps the mark", "data: \uFEFFa\n\n", ["\uFEFFa"]],
    ["a stream with an incomplete event at its end, and ignores this event", "data: a\n\ndata: b\n", ["a"]],
    ["a Unicode line separator in the value", "data: a\u2028b\n\n", ["a\u2028b"]],
    ["a colon in the value", 'data: {"delta":"a: b"}\n\n', ['{"delta":"a: b"}']],
  ])("reads %s", (_, text, expected) => {
    expect(parse(bytes(text))).toEqual(expected);
    expect(parse(...cut(bytes(text), [...bytes(text).keys()]))).toEqual(expected);
  });

  it("returns an event as soon as a chunk completes the empty line, even when the empty line ends with CR", () => {
    const parser = createEventParser();
    expect(parser(bytes("data: a\r"))).toEqual([]);
    expect(parser(bytes("\r"))).toEqual(["a"]);
    expect(parser(bytes("\ndata: b\n"))).toEqual([]);
    expect(parser(bytes("\n"))).toEqual(["b"]);
  });

  it("reads the same events as another parser when a random stream arrives in random chunks", () => {
    const random = seeded(11);
    const pick = <T>(values: T[]) => values[Math.floor(random() * values.length)] as T;
    const pieces = [
      "data:",
      "data: ",
      "data",
      ":",
      " ",
      "あら、",
      "🍶",
      "é",
      "x",
      "\n",
      "\n\n",
      "\r\n",
      "\r\n\r\n",
      "\r",
    ];
    for (let run = 0; run < 2_000; run++) {
      const text = Array.from({ length: 30 }, () => pick(pieces)).join("");
      const stream = bytes(pick(["", "\uFEFF"]) + text);
      const chunks = cut(
        stream,
        Array.from({ length: 8 }, () => Math.floor(random() * stream.length)),
      );
      expect(parse(...chunks), JSON.stringify(text)).toEqual(otherParser(text));
    }
  });
});

/** Parses a whole stream with a library. Returns the data of the events. */
function otherParser(text: string): string[] {
  const events: string[] = [];
  // The library waits for the character after a final CR.
  createParser({ onEvent: ({ data }) => events.push(data) }).feed(`${text}${text.endsWith("\r") ? "\n" : ""}`);
  return events;
}

/** Random numbers from 0 to 1 that repeat with the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
