import { readFileSync } from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";
import { root } from "../../../cli/root";
import { buildBundles, bundlePath, lazyBundles } from "../../../infra/bundle";
import { importMs } from "../importRatio";
import { median } from "../median";

const ROUNDS = 15;

/** Sizes and import times of the relay's bundles. */
export interface BundleBench {
  /** Median time to import the relay, and each external LLM's bundle, in a fresh process. */
  importMs: Record<string, number>;
  /** Zipped size of the relay with the bundles of all external LLMs. */
  zipBytes: number;
  /** Zipped size of the relay's own bundle, which is everything that a chat on RunPod loads. */
  runpodZipBytes: number;
}

/** Measures the bundles that the program uploads. The imports alternate, so that a busy machine slows down all. */
export function benchBundles(): BundleBench {
  buildBundles(root);
  const names = ["relay", ...(lazyBundles.relay ?? [])];
  const files = names.map((name) => join(root, bundlePath(`functions/${name}`)));
  const rounds = Array.from({ length: ROUNDS }, () => files.map((file) => importMs(file)));
  const times = names.map((name, index) => {
    const ms = median(rounds.map((round) => round[index] ?? Number.NaN));
    return [name.split("/").at(-1) ?? name, Math.round(ms * 10) / 10];
  });
  return {
    importMs: Object.fromEntries(times),
    zipBytes: zippedBytes(files),
    runpodZipBytes: zippedBytes(files.slice(0, 1)),
  };
}

function zippedBytes(files: string[]): number {
  const entries = files.map((file) => [file, new Uint8Array(readFileSync(file))]);
  return zipSync(Object.fromEntries(entries), { level: 9 }).length;
}
