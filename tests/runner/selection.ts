import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pythonPackages } from "../../local/support/pythonEnvironment";

/** Selects tests by their files, and by words that a test's name must contain. */
export interface Selection {
  files: string[];
  words: string[];
}

/**
 * Finds tests by file or by name. An argument that is part of a test file's path selects these files. All other
 * arguments are words: a test is selected when its name contains all of them, in any order and case.
 *
 * @throws Error when an argument looks like a path but is not part of any test file's path, or when no test matches
 */
export function selectTests(args: string[], root = process.cwd()): { vitest?: Selection; pytest?: Selection } {
  const all = testFiles(root);
  const isPath = (arg: string) => all.some((file) => file.includes(relative(arg, root)));
  const paths = args.filter(isPath);
  const words = args.filter((arg) => !paths.includes(arg)).flatMap((arg) => arg.split(/\s+/).filter(Boolean));
  const path = words.find((word) => /\/|\.(ts|py)$/.test(word));
  if (path) throw new Error(`${path}: no test file's path contains this text.`);

  const inPaths =
    paths.length > 0 ? all.filter((file) => paths.some((arg) => file.includes(relative(arg, root)))) : all;
  const typescript = withWords(
    inPaths.filter((file) => file.endsWith(".ts")),
    words,
    root,
  );
  const python = inPaths.filter((file) => file.endsWith(".py") && namesPythonTest(join(root, file), words));
  if (typescript.length + python.length === 0) throw new Error(`No test matches ${args.join(" ")}.`);
  return {
    ...(typescript.length > 0 && { vitest: { files: typescript, words } }),
    ...(python.length > 0 && { pytest: { files: python, words } }),
  };
}

/** Arguments of vitest for a selection. */
export function vitestArguments({ files, words }: Selection): string[] {
  return words.length === 0
    ? files
    : [...files, "--testNamePattern", words.map((word) => `(?=.*${anyCase(word)})`).join("")];
}

/** Arguments of pytest for a selection, to run in a package's folder. Undefined without a file of this package. */
export function pytestArguments({ files, words }: Selection, folder: string): string[] | undefined {
  const paths = files.flatMap((file) => (file.startsWith(`${folder}/`) ? file.slice(folder.length + 1) : []));
  if (paths.length === 0) return undefined;
  return words.length === 0 ? paths : [...paths, "-k", words.join(" and ")];
}

function testFiles(root: string): string[] {
  const names = (folder: string) => readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
  return [
    ...names("tests")
      .filter((name) => name.endsWith(".test.ts"))
      .map((name) => join("tests", name)),
    ...Object.values(pythonPackages).flatMap((folder) =>
      names(join(folder, "tests"))
        .filter((name) => /^test_\w+\.py$/.test(name))
        .map((name) => join(folder, "tests", name)),
    ),
  ].map((file) => file.replaceAll("\\", "/"));
}

/**
 * Converts an argument to a path relative to the root, because editors and shells give `./tests/…` or an absolute path.
 */
function relative(arg: string, root: string): string {
  return arg
    .replaceAll("\\", "/")
    .replace(`${root.replaceAll("\\", "/")}/`, "")
    .replace(/^\.\//, "");
}

/**
 * Returns the test files that contain all words, so that only these files are loaded. When there are no such files,
 * returns the test files whose folder contains all words. A helper in the folder, such as `tests/tables/users.ts`, may
 * then declare the test.
 */
function withWords(files: string[], words: string[], root: string): string[] {
  if (words.length === 0) return files;
  const contains = (text: string) => words.every((word) => text.toLowerCase().includes(word.toLowerCase()));
  const own = files.filter((file) => contains(readFileSync(join(root, file), "utf8")));
  if (own.length > 0) return own;
  return files.filter((file) => {
    const folder = join(root, dirname(file));
    const beside = readdirSync(folder).filter((name) => name.endsWith(".ts"));
    return contains(beside.map((name) => readFileSync(join(folder, name), "utf8")).join("\n"));
  });
}

/**
 * Whether a Python file has a test whose name contains all words. False when a word contains other characters than
 * letters, digits and underscores, because pytest's -k does not accept such a word.
 */
function namesPythonTest(file: string, words: string[]): boolean {
  if (words.length === 0) return true;
  if (!words.every((word) => /^\w+$/.test(word))) return false;
  const names = [...readFileSync(file, "utf8").matchAll(/^\s*(?:async )?def (test_\w+)/gm)].map(
    ([, name = ""]) => name,
  );
  return names.some((name) => words.every((word) => name.toLowerCase().includes(word.toLowerCase())));
}

/** Pattern that matches a word in any case, because vitest's name patterns have no case-insensitive flag. */
function anyCase(word: string): string {
  return [...word]
    .map((letter) => {
      const [lower, upper] = [letter.toLowerCase(), letter.toUpperCase()];
      return lower === upper ? letter.replace(/[\\^$.*+?()[\]{}|]/, "\\$&") : `[${lower}${upper}]`;
    })
    .join("");
}
