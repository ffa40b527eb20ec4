import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import ts from "typescript";

/** One source file, with the facts that the structure checks need. */
export interface Source {
  /** Path from the repository's root, with forward slashes. */
  path: string;
  lines: number;
  /** Paths of the source files that the file imports, including files under tests/. */
  imports: string[];
  functions: { name: string; lines: number }[];
}

const ignoredFolders = new Set(["node_modules", "__pycache__"]);
const extensions = /\.(ts|mts|cjs|py)$/;

/**
 * Reads every TypeScript, CommonJS and Python file under a root. Skips hidden folders, declaration files, packages, and
 * every folder named `tests`.
 */
export function readSources(root: string): Source[] {
  const paths = sourcePaths(root, "");
  return paths.map((path) => readSource(root, path));
}

function readSource(root: string, path: string): Source {
  const text = readFileSync(join(root, path), "utf8");
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  const parsed = path.endsWith(".py") ? parsePython(text) : parseTypeScript(path, text);
  const imports = parsed.specifiers.flatMap((specifier) => resolve(root, path, specifier) ?? []);
  return { path, lines, imports: [...new Set(imports)].filter((file) => file !== path), functions: parsed.functions };
}

function sourcePaths(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (entry.name.startsWith(".") || ignoredFolders.has(entry.name) || entry.name === "tests") return [];
    if (entry.isDirectory()) return sourcePaths(root, path);
    return extensions.test(entry.name) && !/\.d\.m?ts$/.test(entry.name) ? [path] : [];
  });
}

interface Parsed {
  /** Relative specifiers, such as `../cli/root`. */
  specifiers: string[];
  functions: Source["functions"];
}

function parseTypeScript(path: string, text: string): Parsed {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  const specifiers: string[] = [];
  const functions: Source["functions"] = [];
  const visit = (node: ts.Node): void => {
    const specifier = specifierOf(node);
    if (specifier && ts.isStringLiteralLike(specifier) && specifier.text.startsWith("."))
      specifiers.push(specifier.text);
    if (ts.isFunctionLike(node) && "body" in node && node.body) functions.push(measure(file, node));
    ts.forEachChild(node, visit);
  };
  visit(file);
  return { specifiers, functions };
}

/** Module that a node imports: `import`, `export … from`, `import()`, `require()` and `import("…").Type`. */
function specifierOf(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier;
  if (ts.isExternalModuleReference(node)) return node.expression;
  if (ts.isImportTypeNode(node)) return ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
  if (!ts.isCallExpression(node)) return undefined;
  const { expression } = node;
  const imports =
    expression.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(expression) && expression.text === "require");
  return imports ? node.arguments[0] : undefined;
}

function measure(file: ts.SourceFile, node: ts.SignatureDeclaration): { name: string; lines: number } {
  const line = (position: number) => file.getLineAndCharacterOfPosition(position).line;
  const start = node.getStart(file);
  const name = nameOf(node) ?? `function at line ${line(start) + 1}`;
  return { name, lines: line(node.end) - line(start) + 1 };
}

function nameOf(node: ts.SignatureDeclaration): string | undefined {
  const owner = ts.isClassLike(node.parent) && node.parent.name ? `${node.parent.name.text}.` : "";
  if (ts.isConstructorDeclaration(node)) return `${owner}constructor`;
  const named = node.name ?? ("name" in node.parent ? (node.parent.name as ts.Node) : undefined);
  return named && ts.isIdentifier(named) ? `${owner}${named.text}` : undefined;
}

/** Finds the relative imports of a Python file, and its functions by their indentation. */
function parsePython(text: string): Parsed {
  const specifiers = [...text.matchAll(/^\s*from (\.[\w.]*) import ([\w, ]+)/gm)].flatMap(
    ([, from = "", names = ""]) =>
      /^\.+$/.test(from) ? names.split(",").map((name) => pythonPath(`${from}${name.trim()}`)) : [pythonPath(from)],
  );
  const lines = text.split("\n");
  const functions = lines.flatMap((line, start) => {
    const [, indent = "", name = ""] = /^(\s*)(?:async )?def (\w+)/.exec(line) ?? [];
    if (!name) return [];
    const header = lines.findIndex((other, index) => index >= start && /:\s*(#.*)?$/.test(other));
    let end = header;
    for (let index = header + 1; index < lines.length; index += 1) {
      const other = lines[index] ?? "";
      if (other.trim() === "") continue;
      if (!other.startsWith(`${indent} `)) break;
      end = index;
    }
    return [{ name, lines: end - start + 1 }];
  });
  return { specifiers, functions };
}

/** `..a.b` → `../a/b`. */
function pythonPath(module: string): string {
  const [, dots = "", name = ""] = /^(\.+)(.*)$/.exec(module) ?? [];
  return `${dots.length === 1 ? "./" : "../".repeat(dots.length - 1)}${name.replaceAll(".", "/")}`;
}

/**
 * Path of the source file that a specifier refers to. Undefined when the specifier refers to another kind of file, such
 * as JSON or a build output.
 */
function resolve(root: string, from: string, specifier: string): string | undefined {
  const path = posix.join(dirname(from), specifier);
  const candidates = from.endsWith(".py")
    ? [`${path}.py`, `${path}/__init__.py`]
    : [path, `${path}.ts`, `${path}/index.ts`, path.replace(/\.js$/, ".ts"), path.replace(/\.mjs$/, ".mts")];
  return candidates.find(
    (file) => extensions.test(file) && statSync(join(root, file), { throwIfNoEntry: false })?.isFile(),
  );
}
