import Table from "cli-table3";
import pc from "picocolors";
import { command, run } from "../../cli/command";
import { root } from "../../cli/root";
import { circles, upwardImports } from "./imports";
import { rooms } from "./rooms";
import { readSources } from "./sources";

const SMALL_FILE_LINES = 25;
const LISTED_FUNCTIONS = 5;

const program = command(
  "structure",
  "Reads the imports of all sources and reports circles and imports that go up. Exits with status 1 when it finds one of them.",
)
  .addHelpText(
    "after",
    `
circles               groups of files that import each other
upward                imports that go up. Such an import closes a cycle between children of one folder, goes from a lower
                      room to a higher room, bypasses a room's entry, or goes into tests/. The file
                      verify/structure/rooms.ts lists the rooms
filesUnder25Lines     source files with fewer than ${SMALL_FILE_LINES} lines
longestFunctionLines  length of the longest function

Test files are neither checked nor counted.`,
  )
  .action(({ json }: { json?: boolean }) => {
    const sources = readSources(root);
    const found = { circles: circles(sources), upward: upwardImports(sources, rooms) };
    const small = sources.filter(({ lines }) => lines < SMALL_FILE_LINES);
    const functions = sources
      .flatMap(({ path, functions }) => functions.map((each) => ({ path, ...each })))
      .sort((a, b) => b.lines - a.lines);
    const counts = {
      circles: found.circles.length,
      upward: found.upward.length,
      filesUnder25Lines: small.length,
      longestFunctionLines: functions[0]?.lines ?? 0,
    };
    if (counts.circles + counts.upward > 0) process.exitCode = 1;
    if (json) {
      console.log(JSON.stringify(counts));
      return;
    }
    const table = new Table({ style: { head: [], border: [] } });
    const list = (lines: string[]) => lines.join("\n");
    table.push(
      ["circles", counts.circles, list(found.circles.map((files) => files.join(" ↔ ")))],
      ["upward", counts.upward, list(found.upward.map(({ from, to, reason }) => `${from} → ${to}\n  ${reason}`))],
      ["filesUnder25Lines", counts.filesUnder25Lines, list(small.map(({ path, lines }) => `${lines} ${path}`))],
      [
        "longestFunctionLines",
        counts.longestFunctionLines,
        list(functions.slice(0, LISTED_FUNCTIONS).map(({ path, name, lines }) => `${lines} ${path}: ${name}`)),
      ],
    );
    console.log(table.toString());
    const verdict = `${counts.circles} circles, ${counts.upward} upward imports`;
    console.log(process.exitCode ? pc.red(verdict) : pc.green(verdict));
  });

void run(program);
