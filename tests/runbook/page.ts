/** One block of shell commands of a page. */
export interface Block {
  /** The nearest heading above the block. */
  heading: string;
  commands: string;
}

/** Reads the blocks of shell commands of a Markdown page, in their order. */
export function shellBlocks(page: string): Block[] {
  const blocks: Block[] = [];
  let heading = "";
  let open: string[] | undefined;
  for (const line of page.split("\n")) {
    if (open && line === "```") {
      blocks.push({ heading, commands: open.join("\n") });
      open = undefined;
    } else if (open) open.push(line);
    else if (line === "```sh") open = [];
    else if (line.startsWith("```")) throw new Error(`A block of another language than sh is not tested: ${line}`);
    else if (/^#+ /.test(line)) heading = line.replace(/^#+ /, "");
  }
  return blocks;
}

/** The commands of a block without comments, which each language has its own. */
export function withoutComments(commands: string): string {
  return commands
    .split("\n")
    .map((line) => line.replace(/(^|\s+)# .*$/, ""))
    .filter(Boolean)
    .join("\n");
}

/** The commands in the text of a page: the code between backticks that begins with the name of a program. */
export function commandsInText(page: string): string[] {
  const text = page.replaceAll(/^```sh\n[\s\S]*?^```$/gm, "");
  const found = [...text.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
  return [...new Set(found.filter((code) => /^(npm|pulumi|aws|gh|git|docker) /.test(code)))];
}
