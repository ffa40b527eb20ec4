import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { command, run } from "../local/command";
import { generatedFiles, generatedFolder } from "./generated";

const program = command("contract:generate", "Writes the Python worker's half of the contract.").action(
  ({ json }: { json?: boolean }) => {
    const files = Object.entries(generatedFiles());
    mkdirSync(generatedFolder, { recursive: true });
    for (const [name, text] of files) writeFileSync(join(generatedFolder, name), text);
    const names = files.map(([name]) => name);
    console.log(json ? JSON.stringify({ folder: generatedFolder, files: names }) : `Wrote ${names.join(", ")}`);
  },
);

void run(program);
