import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { unzipSync } from "fflate";
import { ARCHIVE, ASSET, isObject, type Properties, SIGNATURE } from "./values";

/**
 * Writes what Pulumi would zip and upload into a folder.
 *
 * @param file an asset or archive as the protocol carries it: text, a path (a file, a folder, a .zip), or a map of these
 * @param target the folder to write; what it held before is gone
 * @param programDir what relative paths are relative to
 * @throws Error naming the entry: an unreadable path, a key outside the package, a remote (`uri`) asset
 */
export async function materialize(file: unknown, target: string, programDir: string): Promise<void> {
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  await write(file, target, { root: target, programDir });
}

/** Hex SHA-256 over the names and contents of an asset or archive. */
export async function hashOf(file: unknown, programDir: string): Promise<string> {
  const hash = createHash("sha256");
  await digest(file, "", hash, programDir);
  return hash.digest("hex");
}

/** All files below a folder, as sorted paths with `/`, leaving out those `skip` names. */
export async function filesBelow(folder: string, skip: (path: string) => boolean = () => false): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .filter((path) => !skip(path))
    .sort();
}

interface Writing {
  root: string;
  programDir: string;
}

async function write(file: unknown, target: string, { root, programDir }: Writing): Promise<void> {
  const entry = relative(root, target);
  if (entry.startsWith("..")) throw new Error(`code: the entry ${entry} lies outside the package`);
  const parsed = parse(file, entry);
  await mkdir(dirname(target), { recursive: true });
  switch (parsed.kind) {
    case "text":
      return writeFile(target, parsed.text);
    case "path": {
      const source = resolve(programDir, parsed.path);
      if (parsed.archive && source.endsWith(".zip")) return unzip(source, target);
      return cp(source, target, { recursive: true, dereference: true, force: true });
    }
    case "assets":
      for (const [name, member] of Object.entries(parsed.assets)) {
        await write(member, join(target, name), { root, programDir });
      }
  }
}

async function unzip(source: string, target: string): Promise<void> {
  for (const [name, bytes] of Object.entries(unzipSync(await readFile(source)))) {
    if (name.endsWith("/")) continue;
    const path = resolve(target, name);
    if (relative(target, path).startsWith("..")) throw new Error(`code: ${source} holds ${name}, outside the package`);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  }
}

async function digest(
  file: unknown,
  name: string,
  hash: ReturnType<typeof createHash>,
  programDir: string,
): Promise<void> {
  const parsed = parse(file, name);
  switch (parsed.kind) {
    case "text":
      hash.update(`${name}\0${parsed.text}\0`);
      return;
    case "path": {
      const source = resolve(programDir, parsed.path);
      const folder = (await stat(source)).isDirectory();
      for (const path of folder ? await filesBelow(source) : [""]) {
        hash
          .update(`${name}/${path}\0`)
          .update(await readFile(join(source, path)))
          .update("\0");
      }
      return;
    }
    case "assets":
      for (const [member, value] of Object.entries(parsed.assets).sort(([a], [b]) => (a < b ? -1 : 1))) {
        await digest(value, `${name}/${member}`, hash, programDir);
      }
  }
}

type Parsed =
  | { kind: "text"; text: string }
  | { kind: "path"; path: string; archive: boolean }
  | { kind: "assets"; assets: Properties };

function parse(file: unknown, entry: string): Parsed {
  if (isObject(file) && (file[SIGNATURE] === ASSET || file[SIGNATURE] === ARCHIVE)) {
    if (isObject(file.assets)) return { kind: "assets", assets: file.assets };
    if (typeof file.path === "string" && file.path !== "") {
      return { kind: "path", path: file.path, archive: file[SIGNATURE] === ARCHIVE };
    }
    if (typeof file.text === "string") return { kind: "text", text: file.text };
    if (file[SIGNATURE] === ARCHIVE && file.uri === undefined) return { kind: "assets", assets: {} };
  }
  throw new Error(`code${entry === "" ? "" : ` (${entry})`}: expected text, a path, or an archive of these`);
}
