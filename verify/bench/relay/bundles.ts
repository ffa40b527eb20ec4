import { readFileSync } from "node:fs";
import { join } from "node:path";
import { zipSync } from "fflate";
import { root } from "../../../cli/root";
import { vipProviders } from "../../../contract/relay";
import { buildBundles, bundlePath, lazyBundles } from "../../../infra/bundle";
import { importMs } from "../importRatio";
import { median } from "../median";
import { round } from "../round";

const ROUNDS = 15;

/** Sizes and import times of the relay's bundles. */
export interface BundleBench {
  /** Median time to import the relay, and each external LLM's bundle, in a fresh process. */
  importMs: Record<string, number>;
  /** Zipped size of the relay with the bundles of all external LLMs. */
  zipBytes: number;
  /** Zipped size of the relay's own bundle. A chat on RunPod loads only this bundle. */
  runpodZipBytes: number;
}

/**
 * Measures the bundles that the program uploads. The imports alternate, so that a busy machine slows down all of them.
 */
export function benchBundles(): BundleBench {
  buildBundles(root);
  const imports = {
    relay: "relay",
    ...Object.fromEntries(vipProviders.map((name) => [name, `relay/providers/${name}`])),
  };
  const rounds = Array.from({ length: ROUNDS }, () => Object.values(imports).map((name) => importMs(fileOf(name))));
  const times = Object.keys(imports).map((name, index) => {
    const ms = median(rounds.map((round) => round[index] ?? Number.NaN));
    return [name, round(ms, 1)];
  });
  return {
    importMs: Object.fromEntries(times),
    zipBytes: zippedBytes(["relay", ...(lazyBundles.relay ?? [])]),
    runpodZipBytes: zippedBytes(["relay"]),
  };
}

function fileOf(bundle: string): string {
  return join(root, bundlePath(`functions/${bundle}`));
}

function zippedBytes(bundles: string[]): number {
  const entries = bundles.map((name) => [`${name}.cjs`, new Uint8Array(readFileSync(fileOf(name)))]);
  return zipSync(Object.fromEntries(entries), { level: 9 }).length;
}
