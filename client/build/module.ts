import { buildSync } from "esbuild";
import buildWhenStale from "../../cli/buildWhenStale.cjs";
import { dist, entry, sources } from "./sources";

/** Builds the ES module of the client's package, unless it is fresh. */
export function buildClientModule(): void {
  const outfile = `${dist}/index.mjs`;
  buildWhenStale(outfile, () => {
    const options = { bundle: true, format: "esm", target: "es2023", write: false } as const;
    const { outputFiles } = buildSync({ ...options, entryPoints: [entry], outfile });
    return { outputFiles, sources: sources() };
  });
}
