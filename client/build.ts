import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { generateDtsBundle } from "dts-bundle-generator";
import { buildSync } from "esbuild";

// npm runs this file before it packs the client: one ES module and one file with its types.
const folder = "client/dist";
const entry = "client/index.ts";

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
buildSync({ entryPoints: [entry], bundle: true, format: "esm", target: "es2023", outfile: `${folder}/index.mjs` });
const [types = ""] = generateDtsBundle([{ filePath: entry, output: { noBanner: true } }], {
  preferredConfigPath: "tsconfig.json",
});
writeFileSync(`${folder}/index.d.mts`, types);
