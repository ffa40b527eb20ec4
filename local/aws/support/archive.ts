import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { unzipSync } from "fflate";
import { contentOf } from "../../support/protocol/assets";
import { isArchive } from "../../support/protocol/value";

/**
 * Unpacks an asset or archive into a folder.
 *
 * @param file an asset or archive of the Pulumi protocol: text, a path (a file, a folder, a .zip), or a map of these
 * @param target the folder to write; its old content is deleted
 * @param programDir base folder of relative paths
 * @throws Error that names an unreadable path, a key outside the package, or a remote (`uri`) asset
 */
export async function materialize(file: unknown, target: string, programDir: string): Promise<void> {
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  await write(file, target, { root: target, programDir });
}

/** Sorted paths, with `/`, of all files below a folder for which `skip` returns false. */
export async function filesBelow(folder: string, skip: (path: string) => boolean = () => false): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .filter((path) => !skip(path))
    .sort();
}

interface WriteOptions {
  root: string;
  programDir: string;
}

async function write(file: unknown, target: string, { root, programDir }: WriteOptions): Promise<void> {
  const entry = relative(root, target);
  if (entry.startsWith("..")) throw new Error(`code: the entry ${entry} lies outside the package`);
  const content = contentOf(file);
  await mkdir(dirname(target), { recursive: true });
  if ("text" in content) return writeFile(target, content.text);
  if ("path" in content) {
    const source = resolve(programDir, content.path);
    if (isArchive(file) && source.endsWith(".zip")) return unzip(source, target);
    return cp(source, target, { recursive: true, dereference: true, force: true });
  }
  for (const [name, member] of Object.entries(content.assets)) {
    await write(member, join(target, name), { root, programDir });
  }
}

async function unzip(source: string, target: string): Promise<void> {
  for (const [name, bytes] of Object.entries(unzipSync(await readFile(source)))) {
    if (name.endsWith("/")) continue;
    const path = resolve(target, name);
    if (relative(target, path).startsWith(".."))
      throw new Error(`code: ${source}: the entry ${name} lies outside the package`);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  }
}
