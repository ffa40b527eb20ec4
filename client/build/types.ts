import { generateDtsBundle } from "dts-bundle-generator";
import buildWhenStale from "../../cli/buildWhenStale.cjs";
import { dist, entry, sources } from "./sources";

/**
 * Builds the types of the client's package, unless they are fresh. This function has a separate file, because the file
 * loads TypeScript.
 */
export function buildClientTypes(): void {
  const path = `${dist}/index.d.mts`;
  buildWhenStale(path, () => {
    const [contents = ""] = generateDtsBundle([{ filePath: entry, output: { noBanner: true } }], {
      preferredConfigPath: "tsconfig.json",
    });
    return { outputFiles: [{ path, contents }], sources: sources() };
  });
}
