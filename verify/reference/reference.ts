import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { command, run } from "../../cli/command";
import { withAlarms, withJapaneseAlarms } from "./alarms";
import { commandsPage } from "./commands";
import { configurationPage } from "./configuration";

const folder = "docs/reference";
const runbook = "docs/operations.md";
const japaneseRunbook = "docs/operations.ja.md";

const program = command(
  "docs:generate",
  "Writes the reference pages for the configuration and the commands, and the alarms of the runbook.",
)
  .option("--check", "write nothing, and exit with status 1 when a page is out of date")
  .action(async ({ check, json }: { check?: boolean; json?: boolean }) => {
    const pages = {
      [`${folder}/configuration.md`]: configurationPage(),
      [`${folder}/commands.md`]: await commandsPage(),
      [runbook]: withAlarms(read(runbook) ?? ""),
      [japaneseRunbook]: withJapaneseAlarms(read(japaneseRunbook) ?? ""),
    };
    const stale = Object.entries(pages).filter(([name, text]) => read(name) !== text);
    if (!check) {
      mkdirSync(folder, { recursive: true });
      for (const [name, text] of stale) writeFileSync(name, text);
    }
    const names = stale.map(([name]) => name);
    if (json) console.log(JSON.stringify({ [check ? "stale" : "written"]: names }));
    else if (names.length === 0) console.log("The reference pages are up to date.");
    else
      console.log(
        check
          ? `These pages are out of date: ${names.join(", ")}. Run npm run docs:generate.`
          : `Wrote ${names.join(", ")}`,
      );
    if (check && stale.length > 0) process.exitCode = 1;
  });

void run(program);

function read(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}
