import { type BuildOptions, buildSync } from "esbuild";
import buildWhenStale from "../../cli/buildWhenStale.cjs";

/**
 * Bundles a script with esbuild, unless the existing bundle is up to date.
 *
 * @returns the path of the bundle: `outfile`
 */
export function bundleWhenStale(options: BuildOptions & { outfile: string }): string {
  const { outfile } = options;
  buildWhenStale(outfile, () => {
    const { outputFiles, metafile } = buildSync({ ...options, bundle: true, metafile: true, write: false });
    return { outputFiles, sources: ["package-lock.json", ...Object.keys(metafile.inputs)] };
  });
  return outfile;
}
