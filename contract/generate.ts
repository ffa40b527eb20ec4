import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { command, run } from "../cli/command";
import { generatedFiles } from "./generatedFiles";

const program = command(
  "contract:generate",
  "Writes the files generated from contract/: the Python worker's JSON schemas and error codes, openapi.json, and the relay's copy of the persona.",
).action(({ json }: { json?: boolean }) => {
  const files = Object.entries(generatedFiles());
  for (const [path, text] of files) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  const paths = files.map(([path]) => path);
  console.log(json ? JSON.stringify({ files: paths }) : `Wrote:\n${paths.join("\n")}`);
});

void run(program);
